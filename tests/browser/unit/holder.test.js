import assert from "node:assert/strict";
import { test } from "node:test";

import { DEVICE, MINUTE, QUARTER, SECOND, token, World } from "./world.js";

const PATH = "/api/tokenUpdate";

function started(options = {}) {
  const world = new World();
  world.signIn();
  world.serveHolder();
  return { world, tab: world.tab({ mode: "holder", ...options }) };
}

test("a signed-in holder's token is exchanged at once and then every 12 to 15 minutes", async () => {
  const { world, tab } = started();

  await world.clock.run(10 * 14 * MINUTE);

  assert.ok(world.count(PATH) >= 10 && world.count(PATH) <= 12, `${world.count(PATH)} requests`);
  assert.deepEqual(world.asked[0].body, { fingerprint: DEVICE, token: token(1) });
  assert.equal(tab.state.refreshCount, world.count(PATH));
});

test("the token presented next is the one that came, and storage holds it", async () => {
  const { world } = started();

  await world.clock.run(QUARTER + MINUTE);

  assert.deepEqual(world.asked.map((request) => request.body.token), [token(1), token(2)]);
  assert.equal(world.stored.get("refreshToken"), token(3));
});

test("no storm of refreshes follows a success, over ten cycles", async () => {
  const { world } = started();
  const at = [];
  const serve = world.routes[PATH];
  world.routes[PATH] = (request) => (at.push(world.clock.now()), serve(request));

  await world.clock.run(10 * QUARTER);

  const gaps = at.slice(1).map((instant, index) => instant - at[index]);
  assert.ok(gaps.length >= 9);
  assert.ok(gaps.every((gap) => gap >= 12 * MINUTE && gap <= QUARTER + 10 * SECOND), String(gaps));
});

test("nothing is asked while nobody is signed in, and a sign-in in this very page is noticed", async () => {
  const world = new World();
  world.serveHolder();
  const tab = world.tab({ mode: "holder" });
  await world.clock.run(60 * MINUTE);
  assert.equal(world.asked.length, 0);

  world.stored.set("user-email", "ana@example.com");
  world.stored.set("fingerprint", DEVICE);
  world.stored.set("refreshToken", token(1));
  await world.clock.run(2 * SECOND);

  assert.equal(world.count(PATH), 1);
  assert.equal(tab.state.signedIn, true);
});

test("a token without an e-mail is nobody's sign-in", async () => {
  const { world } = started();
  world.stored.delete("user-email");

  await world.clock.run(QUARTER);

  assert.equal(world.asked.length, 0);
});

test("a token the page gives is a sign-in, and is kept in storage once it was exchanged", async () => {
  const world = new World();
  world.serveHolder();
  const tab = world.tab({ mode: "holder", token: token(1), fingerprint: DEVICE });

  await world.clock.run(SECOND);

  assert.deepEqual(world.asked[0].body, { fingerprint: DEVICE, token: token(1) });
  assert.equal(world.stored.get("refreshToken"), token(2));
  assert.deepEqual(tab.heard.tokens, [token(2)]);
});

test("of the page's token and storage's the later one is presented", async () => {
  const world = new World();
  world.serveHolder(9);
  world.signIn(9);
  world.tab({ mode: "holder", token: token(1), fingerprint: DEVICE });

  await world.clock.run(SECOND);

  assert.equal(world.asked[0].body.token, token(9));
});

test("storage's token of another account or device does not stand in for the page's", async () => {
  for (const [stored, device] of [[token(9, 1), DEVICE], [token(9), "e".repeat(50)]]) {
    const world = new World();
    world.serveHolder();
    world.signIn();
    world.stored.set("refreshToken", stored);
    world.stored.set("fingerprint", device);
    world.tab({ mode: "holder", token: token(1), fingerprint: DEVICE });

    await world.clock.run(SECOND);

    assert.equal(world.asked[0].body.token, token(1));
  }
});

test("the fingerprint may be a global of the page", async (t) => {
  globalThis.NEXT_PUBLIC_AIMHARDER_FINGERPRINT = "a".repeat(50);
  t.after(() => delete globalThis.NEXT_PUBLIC_AIMHARDER_FINGERPRINT);
  const world = new World();
  world.serveHolder();
  world.stored.set("user-email", "ana@example.com");
  world.stored.set("refreshToken", token(1));
  world.tab({ mode: "holder" });

  await world.clock.run(SECOND);

  assert.equal(world.asked[0].body.fingerprint, "a".repeat(50));
});

test("a logout clears storage, stops, and calls back once", async () => {
  const { world, tab } = started();
  world.answer(PATH, 200, { logout: 1 });

  await world.clock.run(3 * QUARTER);

  assert.equal(world.count(PATH), 1);
  assert.equal(tab.heard.logouts, 1);
  assert.deepEqual(["user-email", "refreshToken"].map((key) => world.stored.has(key)), [false, false]);
  assert.equal(world.stored.get("fingerprint"), DEVICE);
  assert.equal(tab.state.lastError, "Session expired - logout required");
});

test("a stale tab's logout never wipes a newer sign-in: it goes on with that one", async () => {
  const { world, tab } = started();
  world.routes[PATH] = async ({ body }) => {
    if (body.token !== token(1)) return { status: 200, body: { success: true, newToken: token(51) } };
    world.signIn(50);
    return { status: 200, body: { logout: 1 } };
  };

  await world.clock.run(MINUTE);

  assert.equal(tab.heard.logouts, 0);
  assert.equal(world.stored.get("user-email"), "ana@example.com");
  assert.equal(world.stored.get("refreshToken"), token(51));
});

test("a token that came for the sign-in before is not put over a newer one", async () => {
  const { world } = started();
  let first = true;
  world.routes[PATH] = ({ body }) => {
    if (first) world.signIn(50, "berta@example.com");
    first = false;
    const number = Number(body.token.split("|")[2]);
    return { status: 200, body: { success: true, newToken: token(number + 1) } };
  };

  await world.clock.run(MINUTE);

  assert.deepEqual(world.asked.map((request) => request.body.token), [token(1), token(50)]);
  assert.equal(world.stored.get("refreshToken"), token(51));
});

for (const status of [401, 404]) {
  test(`${status}: storage is read once more, and a token found there is tried`, async () => {
    const { world, tab } = started();
    await world.clock.run(SECOND);
    world.routes[PATH] = ({ body }) => {
      if (body.token === token(80)) return { status: 200, body: { success: true, newToken: token(81) } };
      world.stored.set("refreshToken", token(80));
      return { status, body: { success: false, code: "unknown_session", error: "No active session found" } };
    };

    await tab.refresh.refresh();

    assert.equal(world.stored.get("refreshToken"), token(81));
    assert.equal(tab.heard.logouts, 0);
  });

  test(`${status} with nothing new in storage: the page is told once, and nothing is erased`, async () => {
    const { world, tab } = started();
    world.answer(PATH, status, { success: false, code: "unknown_session", error: "No active session found" });

    await world.clock.run(3 * QUARTER);

    assert.equal(tab.heard.logouts, 1);
    assert.equal(world.count(PATH), 1);
    assert.equal(world.stored.get("refreshToken"), token(1));
  });
}

test("a newer sign-in after a logout is kept fresh again", async () => {
  const { world, tab } = started();
  world.answer(PATH, 200, { logout: 1 });
  await world.clock.run(SECOND);

  world.serveHolder(20);
  world.signIn(20);
  await world.clock.run(2 * SECOND);

  assert.equal(world.asked.at(-1).body.token, token(20));
  assert.equal(tab.state.signedIn, true);
  assert.equal(tab.heard.logouts, 1);
});

const CONFLICT = { success: false, code: "holder_conflict", error: "two programs use this session's tokens." };

test("a conflict: storage is read once more, then the page is told clearly, and signed out it is not", async () => {
  const { world, tab } = started();
  world.answer(PATH, 409, CONFLICT);

  await world.clock.run(10 * MINUTE);

  assert.equal(world.count(PATH), 1);
  assert.deepEqual(tab.heard.errors, [{ error: CONFLICT.error, code: "holder_conflict", status: 409 }]);
  assert.equal(tab.heard.logouts, 0);
});

test("a conflict whose better token lies in storage is no conflict", async () => {
  const { world, tab } = started();
  world.routes[PATH] = ({ body }) => {
    if (body.token === token(60)) return { status: 200, body: { success: true, newToken: token(61) } };
    world.stored.set("refreshToken", token(60));
    return { status: 409, body: CONFLICT };
  };

  await world.clock.run(SECOND);

  assert.equal(world.stored.get("refreshToken"), token(61));
  assert.deepEqual(tab.heard.errors, []);
});

const NOT_NOW = {
  "503": [503, { success: false, code: "upstream_unavailable", error: "not now." }],
  "429": [429, { success: false, code: "rate_limited", error: "slower." }],
  "500": [500, { success: false, code: "fault", error: "a bug." }],
  "502 of a proxy": [502, "<html>Bad Gateway</html>"],
  "404 of a proxy": [404, "<html>Not Found</html>"],
  "404 of a service without the route": [404, { success: false, code: "not_found", error: "nothing here" }],
  "the start page instead": [200, "<html>Welcome</html>"],
  "200 that says nothing": [200, {}],
  "200 with an empty token": [200, { success: true, newToken: "" }],
  "400": [400, { success: false, code: "bad_request", error: "fingerprint and token parameters are required" }],
  "403": [403, { success: false, code: "upstream_refused", error: "refused" }],
  "a list": [200, []],
};

for (const [what, [status, body]] of Object.entries(NOT_NOW)) {
  test(`${what}: nobody is signed out, and it is tried again ever more seldom`, async () => {
    const { world, tab } = started();
    world.answer(PATH, status, body);

    await world.clock.run(60 * MINUTE);

    assert.equal(tab.heard.logouts, 0);
    assert.equal(world.stored.get("refreshToken"), token(1));
    assert.ok(world.count(PATH) >= 3 && world.count(PATH) <= 16, `${world.count(PATH)} requests in an hour`);
    assert.equal(tab.heard.errors.length, world.count(PATH));
    assert.equal(tab.state.lastError, tab.heard.errors[0].error);
  });
}

test("a lost network: nobody is signed out, and the first success ends the error", async () => {
  const { world, tab } = started();
  const serve = world.routes[PATH];
  world.routes[PATH] = null;
  await world.clock.run(MINUTE);
  assert.equal(tab.state.lastError, "aimkeeper can't be reached.");

  world.routes[PATH] = serve;
  tab.say("online");
  await world.clock.run(SECOND);

  assert.equal(tab.state.lastError, null);
  assert.equal(tab.heard.logouts, 0);
});

test("an answer that never comes is given up after 40 seconds", async () => {
  const { world, tab } = started();
  world.routes[PATH] = ({ init }) => new Promise((_, fail) => {
    init.signal.addEventListener("abort", () => fail(new DOMException("aborted", "AbortError")));
  });

  await world.clock.run(41 * SECOND);

  assert.equal(tab.heard.errors[0].code, "timeout");
});

test("Retry-After is obeyed, by every tab", async () => {
  const { world } = started();
  world.tab({ mode: "holder" });
  world.answer(PATH, 503, { success: false, code: "paused", error: "paused." }, { "retry-after": "600" });

  await world.clock.run(9.9 * MINUTE);

  assert.equal(world.count(PATH), 1);
});

test("offline nothing is asked; back online what was missed is asked at once", async () => {
  const { world, tab } = started();
  await world.clock.run(SECOND);
  tab.navigator.onLine = false;
  await world.clock.run(2 * QUARTER);
  assert.equal(world.count(PATH), 1);

  tab.navigator.onLine = true;
  tab.say("online");
  await world.clock.run(SECOND);

  assert.equal(world.count(PATH), 2);
});

test("a page asked by hand asks at once, and its promise ends with the answer", async () => {
  const { world, tab } = started();
  await world.clock.run(MINUTE);

  await tab.refresh.refresh();

  assert.equal(world.count(PATH), 2);
  assert.deepEqual(tab.heard.tokens, [token(2), token(3)]);
});

test("asked by hand many times at once it asks once", async () => {
  const { world, tab } = started();
  await world.clock.run(MINUTE);

  await Promise.all(Array.from({ length: 20 }, () => tab.refresh.refresh()));

  assert.equal(world.count(PATH), 2);
});

test("a page that stopped asks by hand only", async () => {
  const { world, tab } = started({ enabled: false });
  await world.clock.run(2 * QUARTER);
  assert.equal(world.asked.length, 0);

  await tab.refresh.refresh();
  await world.clock.run(2 * QUARTER);

  assert.equal(world.count(PATH), 1);
});

test("what a page's own function throws does not end the refreshing", async () => {
  const { world } = started({ onRefreshSuccess: () => { throw new Error("the page's own"); } });

  await world.clock.run(4 * QUARTER);

  assert.ok(world.count(PATH) >= 4);
});

test("a token that has ended is not presented again, though the page goes on giving it", async () => {
  const world = new World();
  world.answer(PATH, 200, { logout: 1 });
  const tab = world.tab({ token: token(1), fingerprint: DEVICE });

  await world.clock.run(4 * QUARTER);

  assert.equal(world.count(PATH), 1);
  assert.equal(tab.heard.logouts, 1);
});

for (const mode of ["auto", "holder"]) {
  test(`mode ${mode}: a conflict that comes later signs nobody out either`, async () => {
    const { world, tab } = started({ mode });
    await world.clock.run(SECOND);
    world.answer(PATH, 409, CONFLICT);

    await tab.refresh.refresh();

    assert.deepEqual([tab.heard.logouts, tab.heard.errors.length, tab.state.signedIn], [0, 1, true]);
    assert.equal(world.count(PATH), 2);
  });
}
