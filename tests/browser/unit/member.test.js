import assert from "node:assert/strict";
import { test } from "node:test";

import { EMAIL, MINUTE, QUARTER, SECOND, token, World } from "./world.js";

const SESSION = "/api/auth/session";
const CLAIM = "/api/auth/claim";
const EXCHANGE = "/api/tokenUpdate";
const NO = { success: false, code: "unauthorized", error: "no cookie" };

const paths = (world) => world.asked.map((request) => request.path);

function member(options = {}) {
  const world = new World();
  world.serveMember();
  world.stored.set("user-email", EMAIL);
  return { world, tab: world.tab(options) };
}

test("a member's page asks for the present state every 12 to 15 minutes, and nothing else", async () => {
  const { world, tab } = member();

  await world.clock.run(10 * 14 * MINUTE);

  assert.ok(world.asked.length >= 10 && world.asked.length <= 12);
  assert.deepEqual([...new Set(paths(world))], [SESSION]);
  assert.equal(tab.state.refreshCount, world.asked.length);
});

test("a member's page gets the token only when it wants it, and no storage ever holds it", async () => {
  const wanting = member();
  const without = member({ onRefreshSuccess: undefined });
  await wanting.world.clock.run(SECOND);
  await without.world.clock.run(SECOND);

  assert.deepEqual(wanting.tab.heard.tokens, [token(7)]);
  assert.equal(without.world.asked[0].query, "");
  assert.ok(![...wanting.world.stored.values()].join().includes(token(7)));
});

test("a member who is known by the cookie alone is noticed when the page starts", async () => {
  const world = new World();
  world.serveMember();
  const tab = world.tab();

  await world.clock.run(SECOND);

  assert.equal(tab.state.signedIn, true);
});

test("a cookie that comes later is noticed when somebody looks at the page again, once a minute at most", async () => {
  const world = new World();
  const tab = world.tab();
  await world.clock.run(2 * MINUTE);
  assert.equal(world.count(SESSION), 1);

  world.serveMember();
  tab.hide();
  tab.show();
  await world.clock.run(SECOND);
  assert.equal(tab.state.signedIn, true);
});

test("a signed-out visitor's page that is looked at all the time asks once a minute", async () => {
  const world = new World();
  const tab = world.tab();
  await world.clock.run(SECOND);

  for (let look = 0; look < 50; look += 1) {
    tab.hide();
    tab.show();
    await world.clock.run(SECOND);
  }

  assert.equal(world.count(SESSION), 1);
  assert.equal(tab.heard.logouts + tab.heard.errors.length, 0);
});

test("auto: the cookie first, then one claim, and a claim that is granted makes a member", async () => {
  const { world, tab } = member();
  const serve = world.routes[SESSION];
  world.answer(SESSION, 401, NO);
  world.routes[CLAIM] = () => {
    world.routes[SESSION] = serve;
    return { status: 200, body: { success: true } };
  };

  await world.clock.run(2 * QUARTER);

  assert.deepEqual(paths(world).slice(0, 3), [SESSION, CLAIM, SESSION]);
  assert.equal(world.count(CLAIM), 1);
  assert.equal(tab.state.signedIn, true);
});

test("auto: without cookie and claim the holder's token is exchanged, and from then on it alone", async () => {
  const world = new World();
  world.signIn();
  world.serveHolder();
  world.tab();

  await world.clock.run(2 * QUARTER);

  assert.deepEqual(paths(world), [SESSION, CLAIM, EXCHANGE, EXCHANGE, EXCHANGE].slice(0, world.asked.length));
  assert.ok(world.asked.length >= 4);
});

test("auto: a service without member routes serves holders all the same", async () => {
  const world = new World();
  world.signIn();
  world.serveHolder();
  world.answer(SESSION, 404, { success: false, code: "not_found", error: "nothing at this address" });
  world.answer(CLAIM, 404, { success: false, code: "not_found", error: "nothing at this address" });
  const tab = world.tab();

  await world.clock.run(SECOND);

  assert.deepEqual(tab.heard.tokens, [token(2)]);
});

test("auto: an e-mail in storage that nothing stands behind is signed out, once", async () => {
  const world = new World();
  world.stored.set("user-email", EMAIL);
  const tab = world.tab();

  await world.clock.run(4 * QUARTER);

  assert.equal(tab.heard.logouts, 1);
  assert.equal(world.stored.get("user-email"), EMAIL);
});

test("auto: a service that can't be asked signs nobody out", async () => {
  const { world, tab } = member();
  world.answer(SESSION, 503, { success: false, code: "store_unavailable", error: "not now." });

  await world.clock.run(60 * MINUTE);

  assert.equal(tab.heard.logouts, 0);
  assert.ok(tab.heard.errors.length > 2);
  assert.equal(tab.state.signedIn, true);
});

test("auto: a proxy's 404 signs no member out", async () => {
  const { world, tab } = member();
  await world.clock.run(SECOND);
  world.answer(SESSION, 404, "<html>");
  world.answer(CLAIM, 404, "<html>");

  await world.clock.run(60 * MINUTE);

  assert.equal(tab.heard.logouts, 0);
});

test("a member whose cookie is gone: one re-sync, by claim and token too, then the page is told", async () => {
  const { world, tab } = member();
  await world.clock.run(SECOND);
  world.asked.length = 0;
  world.answer(SESSION, 401, NO);

  await tab.refresh.refresh();

  assert.deepEqual(paths(world), [SESSION, SESSION, CLAIM]);
  assert.equal(tab.heard.logouts, 1);
});

test("a member whose cookie is gone but who holds a token goes on with that", async () => {
  const { world, tab } = member();
  await world.clock.run(SECOND);
  world.answer(SESSION, 401, NO);
  world.serveHolder(30);
  world.signIn(30);

  await tab.refresh.refresh();

  assert.equal(world.stored.get("refreshToken"), token(31));
  assert.equal(tab.heard.logouts, 0);
});

test("a holder whose token is too old to be known is served by the cookie", async () => {
  const world = new World();
  world.signIn();
  world.serveHolder();
  const tab = world.tab();
  await world.clock.run(SECOND);
  world.answer(EXCHANGE, 404, { success: false, code: "unknown_session", error: "No active session found" });
  world.serveMember(token(99));

  await tab.refresh.refresh();

  assert.equal(tab.heard.tokens.at(-1), token(99));
  assert.equal(tab.heard.logouts, 0);
});

test("an ended session signs its member out", async () => {
  const { world, tab } = member();
  await world.clock.run(SECOND);
  world.answer(SESSION, 200, { success: true, email: EMAIL, status: "ended" });

  await world.clock.run(QUARTER + MINUTE);

  assert.equal(tab.heard.logouts, 1);
  assert.equal(world.stored.has("user-email"), false);
});

test("a session whose token is lost is told as an error, and signs nobody out", async () => {
  const { world, tab } = member();
  world.answer(SESSION, 200, { success: true, email: EMAIL, status: "token_lost" });

  await world.clock.run(SECOND);

  assert.equal(tab.heard.errors[0].code, "token_lost");
  assert.equal(tab.heard.logouts, 0);
});

test("an e-mail removed by the site's own logout: the cookie is asked, and only then the page is told", async () => {
  const { world, tab } = member();
  await world.clock.run(SECOND);
  world.answer(SESSION, 401, NO);
  world.write("user-email", null);

  await world.clock.run(5 * SECOND);

  assert.equal(tab.heard.logouts, 1);
  assert.equal(tab.state.signedIn, false);
});

test("mode member asks with no token, mode holder asks no cookie", async () => {
  for (const [mode, wanted] of [["member", [SESSION, CLAIM]], ["holder", [EXCHANGE]]]) {
    const world = new World();
    world.signIn();
    world.serveHolder();
    world.tab({ mode });

    await world.clock.run(SECOND);

    assert.deepEqual(paths(world), wanted);
  }
});

test("another address of aimkeeper gets the cookie too, the page's own origin needs no permission", async () => {
  for (const [baseUrl, url, credentials] of [
    ["https://keeper.test/", "https://keeper.test/api/auth/session", "include"],
    ["/keeper/", "/keeper/api/auth/session", "include"],
    ["https://site.test", "/api/auth/session", "same-origin"],
  ]) {
    const world = new World();
    world.tab({ baseUrl });
    await world.clock.run(0);

    assert.equal(world.asked[0].path, url);
    assert.equal(world.asked[0].init.credentials, credentials);
    // A redirect to some login page is no answer, and must not be followed with a token in hand.
    assert.equal(world.asked[0].init.redirect, "error");
  }
});

for (const baseUrl of ["https://aimharder.com", "https://box.aimharder.com/x", "https://login.aimharder.es", "javascript:1", "http://"]) {
  test(`an address of ${baseUrl} is refused`, () => {
    assert.throws(() => new World().tab({ baseUrl }), TypeError);
  });
}

test("a mode that is none is refused", () => {
  assert.throws(() => new World().tab({ mode: "both" }), /auto, member or holder/);
});

test("a signed-out visitor's cookie is claimed for once, however long the page is open; a new sign-in is one more", async () => {
  const world = new World();
  world.tab();
  await world.clock.run(4 * QUARTER);
  assert.equal(world.count(CLAIM), 1);

  world.write("user-email", EMAIL);
  await world.clock.run(2 * SECOND);

  assert.equal(world.count(CLAIM), 2);
  assert.deepEqual(world.asked.filter((request) => request.path === CLAIM).map((request) => request.body), [{}, { email: EMAIL }]);
});

test("a member by claim whose cookie is gone may claim again", async () => {
  const { world, tab } = member();
  const serve = world.routes[SESSION];
  world.answer(SESSION, 401, NO);
  world.routes[CLAIM] = () => ((world.routes[SESSION] = serve), { status: 200, body: { success: true } });
  await world.clock.run(SECOND);
  world.answer(SESSION, 401, NO);

  await tab.refresh.refresh();

  assert.equal(world.count(CLAIM), 2);
  assert.equal(tab.heard.logouts, 0);
});

test("whether a visitor is signed in can't be asked: he hears nothing, and is found once it can", async () => {
  const world = new World();
  world.answer(SESSION, 503, { success: false, code: "store_unavailable", error: "not now." });
  const tab = world.tab();
  await world.clock.run(5 * MINUTE);
  assert.ok(world.count(SESSION) > 3 && world.count(SESSION) < 10);

  world.serveMember();
  await world.clock.run(10 * MINUTE);

  assert.deepEqual([tab.heard.errors, tab.heard.logouts, tab.state.signedIn], [[], 0, true]);
});

test("a member's session that ended while somebody signed in anew: the new sign-in stays", async () => {
  const { world, tab } = member();
  await world.clock.run(SECOND);
  world.routes[SESSION] = () => {
    world.write("user-email", "berta@example.com");
    world.serveMember();
    return { status: 200, body: { success: true, status: "ended" } };
  };

  await tab.refresh.refresh();
  await world.clock.run(5 * SECOND);

  assert.equal(world.stored.get("user-email"), "berta@example.com");
  assert.deepEqual([tab.heard.logouts, tab.state.signedIn], [0, true]);
});
