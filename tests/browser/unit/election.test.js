import assert from "node:assert/strict";
import { test } from "node:test";

import { createElection } from "../../../browser/lib/election.js";
import { settle, World } from "./world.js";

const staying = new AbortController().signal;

function tab(world, id, { locks = world.locks, area } = {}) {
  const stored = {
    getItem: (key) => world.stored.get(key) ?? null,
    setItem: (key, value) => void world.stored.set(key, value),
    removeItem: (key) => void world.stored.delete(key),
  };
  return createElection({ locks, area: area?.(stored) ?? stored, clock: world.clock, id });
}

test("the lock is kept a moment after the work, so that the word of it arrives first", async () => {
  const world = new World();
  const [one, two] = [tab(world, "one"), tab(world, "two")];
  assert.equal(await one.asOnlyTab(async () => true, staying), true);
  await settle();

  assert.equal(await two.asOnlyTab(async () => true, staying), false);
  await world.clock.run(1_000);

  assert.equal(await two.asOnlyTab(async () => true, staying), true);
});

test("where there is no news the lock is free at once", async () => {
  const world = new World();
  await tab(world, "one").asOnlyTab(async () => false, staying);

  assert.equal(await tab(world, "two").asOnlyTab(async () => false, staying), true);
});

test("without locks: of two tabs that both saw no claim only the later one works", async () => {
  const world = new World();
  const worked = [];
  const work = (name) => async () => (worked.push(name), false);
  // The second still sees storage as it was before the first wrote to it.
  let looks = 0;
  const late = (stored) => ({ ...stored, getItem: (key) => ((looks += 1) === 1 ? null : stored.getItem(key)) });
  const [one, two] = [tab(world, "one", { locks: null }), tab(world, "two", { locks: null, area: late })];

  const both = Promise.all([one.asOnlyTab(work("one"), staying), two.asOnlyTab(work("two"), staying)]);
  await world.clock.run(1_000);

  assert.deepEqual(await both, [false, true]);
  assert.deepEqual(worked, ["two"]);
});

for (const [name, wanted] of [["SecurityError", true], ["InvalidStateError", false]]) {
  test(`a browser that answers ${name} to a request for a lock: ${wanted ? "storage decides" : "the page is on its way out"}`, async () => {
    const world = new World();
    const locks = { request: () => Promise.reject(new DOMException("no", name)) };

    const asked = tab(world, "one", { locks }).asOnlyTab(async () => false, staying);
    await settle();
    await world.clock.run(1_000);

    assert.equal(await asked, wanted);
  });
}
