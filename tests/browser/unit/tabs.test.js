import assert from "node:assert/strict";
import { test } from "node:test";

import { EMAIL, MINUTE, QUARTER, SECOND, token, World } from "./world.js";

const EXCHANGE = "/api/tokenUpdate";
const SESSION = "/api/auth/session";

const BROWSERS = {
  "with locks and channels": {},
  "without locks": { withLocks: false },
  "without channels": { withChannel: false },
  "with neither": { withLocks: false, withChannel: false },
};

function tabs(count, options, browser, world = new World()) {
  world.signIn();
  world.serveHolder();
  const made = Array.from({ length: count }, () => world.tab({ mode: "holder", ...options }, browser));
  return { world, made };
}

for (const [what, browser] of Object.entries(BROWSERS)) {
  test(`${what}: three tabs make one request, and all hear its token`, async () => {
    const { world, made } = tabs(3, {}, browser);

    await world.clock.run(10 * SECOND);

    assert.equal(world.count(EXCHANGE), 1);
    assert.deepEqual(made.map((tab) => tab.heard.tokens), [[token(2)], [token(2)], [token(2)]]);
    assert.deepEqual(made.map((tab) => tab.state.refreshCount), [1, 1, 1]);
  });

  test(`${what}: ten cycles of three tabs are ten requests`, async () => {
    const { world } = tabs(3, {}, browser);
    let roll = 0;
    world.roll = () => (roll = (roll + 0.37) % 1);

    await world.clock.run(9 * QUARTER);

    assert.ok(world.count(EXCHANGE) >= 10 && world.count(EXCHANGE) <= 12, `${world.count(EXCHANGE)} requests`);
  });

  test(`${what}: the tab that asked last is closed, and another takes over`, async () => {
    const { world, made } = tabs(3, {}, browser);
    await world.clock.run(10 * SECOND);
    world.asked[0].tab.refresh.stop();
    world.asked[0].tab.isAwake = false;

    await world.clock.run(QUARTER + MINUTE);

    assert.equal(world.count(EXCHANGE), 2);
    assert.notEqual(world.asked[1].tab, world.asked[0].tab);
    assert.ok(made.includes(world.asked[1].tab));
  });

  test(`${what}: a logout heard by one tab ends all, each is told once`, async () => {
    const { world, made } = tabs(3, {}, browser);
    await world.clock.run(10 * SECOND);
    world.answer(EXCHANGE, 200, { logout: 1 });

    await world.clock.run(2 * QUARTER);

    assert.deepEqual(made.map((tab) => tab.heard.logouts), [1, 1, 1]);
    assert.equal(world.count(EXCHANGE), 2);
  });

  test(`${what}: three tabs of a member make one request, and all get the token`, async () => {
    const world = new World();
    world.stored.set("user-email", EMAIL);
    world.serveMember();
    const made = Array.from({ length: 3 }, () => world.tab({}, browser));

    await world.clock.run(MINUTE);
    world.serveMember(token(8));
    world.asked.length = 0;

    await world.clock.run(QUARTER);

    // Where a word can only be passed through storage no token is in it: each tab then reads its own.
    assert.equal(world.count(SESSION), browser.withChannel === false ? 3 : 1);
    assert.deepEqual(made.map((tab) => tab.heard.tokens), Array(3).fill([token(7), token(8)]));
    assert.ok(!/69232/.test([...world.stored.values()].join()));
  });
}

test("a tab that crashed while it asked holds nobody up for long, even without locks", async () => {
  const world = new World();
  world.stored.set("aimkeeper:claim", JSON.stringify({ id: "crashed", until: world.clock.now() + 60 * SECOND }));
  tabs(1, {}, BROWSERS["without locks"], world);

  await world.clock.run(30 * SECOND);
  assert.equal(world.count(EXCHANGE), 0);
  await world.clock.run(40 * SECOND);

  assert.equal(world.count(EXCHANGE), 1);
});

test("a claim from before the clock was set back is nobody's", async () => {
  const world = new World();
  world.stored.set("aimkeeper:claim", JSON.stringify({ id: "earlier", until: world.clock.now() + 3600 * SECOND }));
  tabs(1, {}, BROWSERS["without locks"], world);

  await world.clock.run(SECOND);

  assert.equal(world.count(EXCHANGE), 1);
});

test("a failure is one tab's, the others wait with it", async () => {
  const { world, made } = tabs(3);
  world.answer(EXCHANGE, 503, { success: false, code: "paused", error: "paused." });

  await world.clock.run(3 * SECOND);

  assert.equal(world.count(EXCHANGE), 1);
  assert.deepEqual(made.map((tab) => tab.heard.errors.length).sort(), [0, 0, 1]);
});

test("a page loaded again does not ask before it is due", async () => {
  const { world, made } = tabs(1);
  await world.clock.run(MINUTE);
  made[0].refresh.stop();

  const again = world.tab({ mode: "holder" });
  await world.clock.run(5 * MINUTE);

  assert.equal(world.count(EXCHANGE), 1);
  assert.equal(again.state.signedIn, true);
  assert.ok(again.state.nextRefreshTime);
});

test("a page asked by hand while another tab asks shares what comes of it", async () => {
  const { world, made } = tabs(2);
  await world.clock.run(MINUTE);

  const both = Promise.all(made.map((tab) => tab.refresh.refresh()));
  await world.clock.run(5 * SECOND);
  await both;

  assert.equal(world.count(EXCHANGE), 2);
  assert.deepEqual(made.map((tab) => tab.heard.tokens.at(-1)), [token(3), token(3)]);
});

test("two accounts one after the other: the note of the first says nothing about the second", async () => {
  const { world } = tabs(1);
  await world.clock.run(MINUTE);

  world.signIn(40, "berta@example.com");
  await world.clock.run(6 * SECOND);

  assert.equal(world.asked.at(-1).body.token, token(40));
});

test("tabs with another interval keep to their own", async () => {
  const { world } = tabs(1);
  world.tab({ mode: "holder", intervalMinutes: 5 });

  await world.clock.run(6 * MINUTE);

  assert.equal(world.count(EXCHANGE), 2);
});

test("nothing that reaches storage or another tab's log is a secret", async () => {
  const { world, made } = tabs(3, {}, BROWSERS["with neither"]);
  await world.clock.run(2 * QUARTER);
  world.answer(EXCHANGE, 503, { success: false, code: "paused", error: "paused." });
  await world.clock.run(QUARTER);
  world.answer(EXCHANGE, 200, { logout: 1 });
  await world.clock.run(2 * QUARTER);

  const written = made.flatMap((tab) => tab.console).join("\n");
  assert.ok(written.split("\n").length > 6);
  for (const secret of [EMAIL, "ffff", "69232", "19000000", "00000000"]) assert.ok(!written.includes(secret), secret);
});
