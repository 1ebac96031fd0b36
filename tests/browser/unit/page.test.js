import assert from "node:assert/strict";
import { test } from "node:test";

import { EMAIL, MINUTE, QUARTER, SECOND, settle, token, World } from "./world.js";

const EXCHANGE = "/api/tokenUpdate";

function holder(options = {}, browser = {}) {
  const world = new World();
  world.signIn();
  world.serveHolder();
  return { world, tab: world.tab({ mode: "holder", ...options }, browser) };
}

test("after two hours of sleep it asks once, within the seconds of one look", async () => {
  const { world } = holder();
  await world.clock.run(MINUTE);

  world.clock.jump(120 * MINUTE);
  await world.clock.run(6 * SECOND);

  assert.equal(world.count(EXCHANGE), 2);
});

for (const [what, wake] of [
  ["shown again", (tab) => tab.show()],
  ["taken out of a cache", (tab) => tab.say("pageshow")],
  ["thawed", (tab) => tab.say("resume", tab.document)],
]) {
  test(`a page ${what} asks at once when it is due, and only then`, async () => {
    const { world, tab } = holder();
    await world.clock.run(MINUTE);
    tab.document.visibilityState = "hidden";
    wake(tab);
    await settle();
    assert.equal(world.count(EXCHANGE), 1);

    tab.document.visibilityState = "hidden";
    world.clock.jump(120 * MINUTE);
    wake(tab);
    await settle();

    assert.equal(world.count(EXCHANGE), 2);
  });
}

test("a clock set back two hours does not silence the page", async () => {
  const { world } = holder();
  await world.clock.run(MINUTE);

  world.clock.jump(-120 * MINUTE);
  await world.clock.run(QUARTER);

  assert.ok(world.count(EXCHANGE) >= 2 && world.count(EXCHANGE) <= 3);
});

test("a page on its way into the cache hangs up, and leaves neither timer nor channel", async () => {
  const { world, tab } = holder();
  let signal;
  world.routes[EXCHANGE] = ({ init }) => new Promise((_, fail) => {
    signal = init.signal;
    signal.addEventListener("abort", () => fail(new DOMException("aborted", "AbortError")));
  });
  await world.clock.run(SECOND);

  tab.say("pagehide");
  await settle();

  assert.equal(signal.aborted, true);
  assert.equal(world.clock.timers.size, 0);
  assert.equal(world.channels.size, 0);
  assert.equal(world.locks.held.size, 0);
  assert.equal(tab.heard.errors.length, 0);
});

test("a page out of the cache hears other tabs again", async () => {
  const { world, tab } = holder();
  await world.clock.run(SECOND);
  tab.say("pagehide");
  tab.say("pageshow");
  const other = world.tab({ mode: "holder" });

  const asked = other.refresh.refresh();
  await world.clock.run(SECOND);
  await asked;

  assert.equal(tab.heard.tokens.at(-1), token(3));
});

test("a page that slept through a sign-out in another tab is told when it wakes", async () => {
  const { world, tab } = holder();
  await world.clock.run(MINUTE);
  tab.isAwake = false;
  tab.say("pagehide");
  for (const key of ["user-email", "refreshToken"]) world.write(key, null);

  tab.isAwake = true;
  tab.say("pageshow");
  await settle();

  assert.equal(tab.heard.logouts, 1);
  assert.equal(world.count(EXCHANGE), 1);
});

for (const [what, browser] of [["everything", {}], ["nothing but storage", { withLocks: false, withChannel: false }]]) {
  test(`stopped, it leaves no timer, listener, channel or lock: with ${what}`, async () => {
    const { world, tab } = holder({}, browser);
    for (const wait of [0, 50, 150, SECOND, MINUTE]) {
      await world.clock.run(wait);
      tab.refresh.stop();
      await settle();
      assert.deepEqual(
        [world.clock.timers.size, tab.window.listening, tab.document.listening, world.channels.size, world.locks.held.size],
        [0, 0, 0, 0, 0],
      );
      tab.refresh.start();
    }
  });
}

test("started and stopped in one breath it asks nothing; started again it asks once", async () => {
  const { world, tab } = holder();
  tab.refresh.stop();
  tab.refresh.start();
  tab.refresh.start();

  await world.clock.run(SECOND);

  assert.equal(world.count(EXCHANGE), 1);
});

test("its state is the same object until something changes, and watchers hear of each change until they leave", async () => {
  const { world, tab } = holder();
  let changes = 0;
  const leave = tab.refresh.subscribe(() => void (changes += 1));
  await world.clock.run(SECOND);
  const state = tab.state;
  assert.ok(changes > 0);
  assert.equal(tab.state, state);

  leave();
  const before = changes;
  await world.clock.run(QUARTER);

  assert.equal(changes, before);
  assert.notEqual(tab.state, state);
});

test("a full or forbidden storage ends nothing", async () => {
  const { openArea } = await import("../../../browser/lib/storage.js");
  const full = openArea(() => ({ getItem: () => null, removeItem: () => {}, setItem: () => { throw new Error("full"); } }));
  const none = openArea(() => { throw new Error("forbidden"); });

  full.setItem("a", "b");
  none.setItem("user-email", EMAIL);

  assert.equal(none.getItem("user-email"), EMAIL);
  none.removeItem("user-email");
  assert.equal(none.getItem("user-email"), null);
});

test("words of other programs on the same channel or key are not ours", async () => {
  const { world, tab } = holder({}, { withChannel: false });
  await world.clock.run(SECOND);

  for (const value of ["", "{", "null", "7", '{"word":null}', '{"word":{"kind":"ended"}}', '{"word":{"kind":"note"}}']) {
    tab.window.dispatchEvent(Object.assign(new Event("storage"), { key: "aimkeeper:word", newValue: value }));
  }
  for (const note of ["{", "7", '{"mark":1}', '{"mark":"x","at":"now"}']) world.write("aimkeeper:note", note);
  await world.clock.run(5 * SECOND);

  assert.equal(tab.state.signedIn, true);
});
