import assert from "node:assert/strict";
import { test } from "node:test";

import { furthestAhead, isDue, nextDue, nextTry, readIntervalMinutes, readRetryAfter } from "../../../browser/lib/schedule.js";

const MINUTE = 60_000;
const NOW = Date.UTC(2026, 0, 1, 12);

test("a refresh is due 80 to 100 % of the interval after the last one", () => {
  assert.equal(nextDue(NOW, 15 * MINUTE, 0), NOW + 12 * MINUTE);
  assert.ok(nextDue(NOW, 15 * MINUTE, 0.999) <= NOW + 15 * MINUTE);
});

for (const [attempt, roll, wanted] of [
  [1, 0, 2_500],
  [1, 0.999999, 5_000],
  [3, 0, 10_000],
  [30, 0.999999, 15 * MINUTE],
  [3000, 0, 7.5 * MINUTE],
]) {
  test(`failure ${attempt} with a roll of ${roll} waits ${wanted} ms`, () => {
    const next = nextTry(NOW, { attempt, interval: 15 * MINUTE, retryAfter: null, roll });

    assert.ok(Math.abs(next - NOW - wanted) < 2);
  });
}

test("nobody asks before Retry-After, and not all in the same second", () => {
  const tries = [0, 0.5, 0.99].map((roll) => nextTry(NOW, { attempt: 1, interval: 15 * MINUTE, retryAfter: 120_000, roll }) - NOW);

  assert.ok(Math.min(...tries) >= 120_000);
  assert.equal(new Set(tries).size, 3);
});

test("a Retry-After of days is believed for an hour", () => {
  const next = nextTry(NOW, { attempt: 1, interval: MINUTE, retryAfter: 7 * 24 * 60 * MINUTE, roll: 0.999 });

  assert.ok(next - NOW <= 66 * MINUTE);
});

for (const [what, due, wanted] of [
  ["an instant past", NOW - 1, true],
  ["this very instant", NOW, true],
  ["one to come", NOW + 1, false],
  ["never", Infinity, false],
  ["one that was never meant, since the clock was set back", NOW + 2 * 60 * MINUTE, true],
]) {
  test(`${what}: ${wanted ? "due" : "not due"}`, () => {
    assert.equal(isDue(NOW, due, furthestAhead(15 * MINUTE)), wanted);
  });
}

for (const [given, wanted] of [[undefined, 15], [null, 15], ["", 15], [1, 1], [60, 60], ["15abc", 15], [" 20 ", 20], [1.5, 1.5]]) {
  test(`an interval of ${JSON.stringify(given)} is ${wanted} minutes`, () => {
    assert.equal(readIntervalMinutes(given), wanted);
  });
}

for (const given of [0, 0.5, 61, -1, NaN, Infinity, "often", "0", {}]) {
  test(`an interval of ${String(given)} is refused`, () => {
    assert.throws(() => readIntervalMinutes(given), /1 to 60/);
  });
}

for (const [header, wanted] of [
  [null, null],
  ["", null],
  ["soon", null],
  ["0", 0],
  [" 120 ", 120_000],
  [new Date(NOW + 30_000).toUTCString(), 30_000],
  [new Date(NOW - 30_000).toUTCString(), 0],
]) {
  test(`Retry-After: ${header} is ${wanted} ms`, () => {
    assert.equal(readRetryAfter(header, NOW), wanted);
  });
}
