// Asks aimkeeper, with this page's own token for writes; and knows what time it is there.

/**
 * @typedef {{at: number, via: string, what: string, took_ms: number}} Turn
 * @typedef {{id: string, at: string, kind: string, session: string | null, email: string | null, data: Record<string, unknown>}} Fact
 * @typedef {{
 *   id: string, ref: string | null, email: string, fingerprint: string, session_type: string | null, status: string, cause: string | null,
 *   generation: number, rotations: number, attempt: number, last_error: string | null, created_at: string,
 *   rotated_at: string, due_at: string | null, deadline_at: string, ended_at: string | null, wipe_at: string | null,
 *   remembered: boolean, setrefresh_count: number, setrefresh_at: string | null, spares: number, turns: Turn[],
 * }} Session
 * @typedef {{sessions: Session[], next: string | null}} Page
 * @typedef {{name: string, version: string, started_at: string, last_tick_at: string | null}} Keeper
 * @typedef {{
 *   now: string, sessions: Record<string, number>, lowest_slack_seconds: number | null, next_due_at: string | null,
 *   upstream: {state: string, since: string | null, verdicts_held_since: string | null, paused: boolean, paused_until: string | null, barred: string | null},
 *   rates: {due: number, allowed: number, measured: number, enough: boolean}, workers: Keeper[],
 * }} Status
 * @typedef {{p50: number, p95: number, p99: number}} Durations
 * @typedef {{at: string, rotated: number, failed: number, logged_out: number, took: Durations | null, late: Durations | null}} Slot
 * @typedef {{
 *   step_seconds: number, slots: Slot[],
 *   slack: {part_seconds: number, past: number, parts: number[], at_risk_below: number, sampled: number, living: number},
 * }} Series
 */

// Whoever does not answer for so long is taken not to answer at all; a rotation asked for by hand may take longer.
const PATIENCE = 8000;
const PATIENCE_WITH_ACTS = 60000;

let ahead = 0;

/** The time there, in milliseconds since 1970, whatever this machine's clock says. */
export const now = () => Date.now() + ahead;

/**
 * The seconds from now until *iso*; below zero when it is past.
 *
 * @param {string} iso
 */
export const secondsUntil = (iso) => (Date.parse(iso) - now()) / 1000;

/** Why something could not be had, in a sentence for people. */
export class Trouble extends Error {
  /**
   * @param {string} sentence
   * @param {string} code
   * @param {number} status 0 = no answer came
   */
  constructor(sentence, code, status) {
    super(sentence);
    this.code = code;
    this.status = status;
  }
}

/** @param {unknown} error */
export const sentenceOf = (error) => {
  const text = error instanceof Trouble ? error.message : "something went wrong in this page: load it again.";
  // The name is never written with a capital.
  return text.startsWith("aimkeeper") ? text : text.charAt(0).toUpperCase() + text.slice(1);
};

/**
 * @param {string} path
 * @param {RequestInit} options
 * @param {number} patience
 */
const sent = async (path, options, patience) => {
  try {
    return await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(patience), ...options });
  } catch {
    throw new Trouble("aimkeeper does not answer.", "unreachable", 0);
  }
};

/** @param {Response} answer */
const read = async (answer) => {
  let body;
  try {
    body = await answer.json();
  } catch {
    throw new Trouble(`what came (${answer.status}) is no answer of aimkeeper's: look at what stands in between.`, "strange", answer.status);
  }
  // The cookie has run out: the way in is shown at this very address.
  if (body.code === "unauthorized") location.reload();
  if (!answer.ok) throw new Trouble(body.error ?? "that did not work.", body.code ?? "error", answer.status);
  return body;
};

/**
 * What stands at *path*.
 *
 * @param {string} path
 * @returns {Promise<any>}
 */
export const look = async (path) => {
  const asked = Date.now();
  const body = await read(await sent(path, {}, PATIENCE));
  if (body.now) ahead = Date.parse(body.now) - (asked + Date.now()) / 2;
  return body;
};

/**
 * Has something done.
 *
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>}
 */
export const act = async (method, path, body) => {
  const token = document.querySelector('meta[name="csrf-token"]')?.getAttribute("content") ?? "";
  /** @type {Record<string, string>} */
  const headers = { "x-csrf-token": token };
  if (body) headers["content-type"] = "application/json";
  return read(await sent(path, { method, headers, body: body && JSON.stringify(body) }, PATIENCE_WITH_ACTS));
};

/** @param {string} id */
export const pathOf = (id) => `/api/sessions/${encodeURIComponent(id)}`;
