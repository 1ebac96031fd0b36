/**
 * When to ask next: arithmetic only. Instants are milliseconds since 1970, a roll is a number in [0, 1).
 */

export const MINUTE = 60_000;
export const DEFAULT_INTERVAL_MINUTES = 15;

/** First wait after a failure; it doubles up to the interval. */
const FIRST_BACKOFF = 5_000;
/** A server may ask for patience, but not for ever: a wrong clock in a proxy must not silence a tab for days. */
const LONGEST_RETRY_AFTER = 60 * MINUTE;

/**
 * The interval somebody set, in minutes; nothing and the empty text stand for the default.
 *
 * @param {unknown} given A number, or a text that begins with one ("15", also "15m").
 * @returns {number} 1 to 60.
 * @throws {RangeError} It is no number from 1 to 60.
 */
export function readIntervalMinutes(given) {
  if (given === undefined || given === null || given === "") return DEFAULT_INTERVAL_MINUTES;
  const minutes = typeof given === "number" ? given : Number.parseFloat(String(given));
  if (!(minutes >= 1 && minutes <= 60)) {
    throw new RangeError("the refresh interval must be a number of minutes from 1 to 60.");
  }
  return minutes;
}

/**
 * The next refresh after one that succeeded: 80 to 100 % of the interval away, so that the visitors of a site who
 * all came at eight o'clock do not all ask at a quarter past.
 *
 * @param {number} now
 * @param {number} interval Milliseconds.
 * @param {number} roll
 */
export function nextDue(now, interval, roll) {
  return now + interval * (0.8 + 0.2 * roll);
}

/**
 * The next try after one that failed: doubling from 5 s up to the interval, half of it by chance; never before the
 * server said.
 *
 * @param {number} now
 * @param {{attempt: number, interval: number, retryAfter: number|null, roll: number}} what `attempt` counts failures
 *   since the last success, this one included; `retryAfter` in milliseconds.
 */
export function nextTry(now, { attempt, interval, retryAfter, roll }) {
  const backoff = Math.min(FIRST_BACKOFF * 2 ** Math.min(attempt - 1, 20), interval) * (0.5 + 0.5 * roll);
  if (retryAfter === null) return now + backoff;
  // A little later than told, by chance: else all whom an outage turned away come back in the same second.
  return now + Math.max(backoff, Math.min(retryAfter, LONGEST_RETRY_AFTER) * (1 + 0.1 * roll));
}

/**
 * Whether to ask now. An instant further away than was ever meant is due too: somebody set the clock back.
 *
 * @param {number} now
 * @param {number} due
 * @param {number} furthest How far ahead `due` can have been set, in milliseconds.
 */
export function isDue(now, due, furthest) {
  return due !== Infinity && (now >= due || due - now > furthest);
}

/** The furthest that a due instant is ever set ahead. @param {number} interval Milliseconds. */
export function furthestAhead(interval) {
  return Math.max(interval, LONGEST_RETRY_AFTER * 1.1) + MINUTE;
}

/**
 * A `Retry-After` header: seconds, or a date.
 *
 * @param {string|null} header
 * @param {number} now
 * @returns {number|null} Milliseconds from now, 0 or more; null = it says nothing that makes sense.
 */
export function readRetryAfter(header, now) {
  if (header === null || header.trim() === "") return null;
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(at - now, 0);
}
