/**
 * The three requests a page makes, all to aimkeeper and to nobody else, and what their answers mean. Expected answers
 * are values; nothing is thrown.
 */

import { readRetryAfter } from "./schedule.js";

/** Longer than the service itself waits for AimHarder (30 s), in milliseconds. */
const PATIENCE = 40_000;

/**
 * - `refreshed`: here is the present state, with the token if it was asked for.
 * - `logout`: the session has ended.
 * - `unknown`: nobody is known by this cookie or token.
 * - `absent`: there is no such route; a proxy answered, or an older service.
 * - `conflict`: the token is old, and somebody else uses its successor.
 * - `unavailable`: not now. The session is unharmed.
 * - `left`: we hung up ourselves.
 *
 * @typedef {{kind: "refreshed", token: string|null}
 *   | {kind: "logout"} | {kind: "unknown"} | {kind: "absent"} | {kind: "left"}
 *   | {kind: "conflict", code: string, message: string, status: number}
 *   | {kind: "unavailable", code: string, message: string, status: number, retryAfter: number|null}} Outcome
 */

/** @typedef {{status: number, body: Record<string, unknown>|null, retryAfter: number|null}} Answer */
/** @typedef {ReturnType<typeof createTransport>} Transport */

/**
 * @param {object} parts
 * @param {typeof globalThis.fetch} parts.fetch
 * @param {import("./surroundings.js").Clock} parts.clock
 * @param {string} parts.baseUrl `""` for the page's own origin; no slash at the end.
 */
export function createTransport({ fetch, clock, baseUrl }) {
  /**
   * The present state of the member whose cookie the browser holds.
   *
   * @param {{withToken: boolean, signal: AbortSignal}} how
   * @returns {Promise<Outcome>}
   */
  async function session({ withToken, signal }) {
    const answer = await send(withToken ? "/api/auth/session?token=1" : "/api/auth/session", { signal });
    if ("kind" in answer) return answer;
    const { body } = answer;
    if (answer.status !== 200 || body?.success !== true) return refusal(answer);
    if (body.status === "ended") return { kind: "logout" };
    if (body.status === "token_lost") {
      return failure(answer, "token_lost", "AimHarder refuses this session's token: log in again.");
    }
    return { kind: "refreshed", token: textOf(body.token) };
  }

  /**
   * Ask for the member cookie by AimHarder's own cookie, which the browser may hold from before aimkeeper.
   *
   * @param {string|null} email For the service to look under, where that cookie does not name its account.
   * @param {AbortSignal} signal
   * @returns {Promise<{kind: "claimed"} | Outcome>}
   */
  async function claim(email, signal) {
    const answer = await send("/api/auth/claim", { signal, body: email === null ? {} : { email } });
    if ("kind" in answer) return answer;
    if (answer.status === 200 && answer.body?.success === true) return { kind: "claimed" };
    const isNo = answer.status >= 400 && answer.status < 500 && answer.status !== 429;
    return isNo ? { kind: "unknown" } : refusal(answer);
  }

  /**
   * A holder's exchange: any token of the session brings the present one.
   *
   * @param {{token: string, fingerprint: string}} held
   * @param {AbortSignal} signal
   * @returns {Promise<Outcome>}
   */
  async function exchange({ token, fingerprint }, signal) {
    const answer = await send("/api/tokenUpdate", { signal, body: { fingerprint, token } });
    if ("kind" in answer) return answer;
    const { status, body } = answer;
    // As AimHarder's own page reads it: anything but nothing.
    if (status === 200 && body && body.logout !== undefined && body.logout !== null) return { kind: "logout" };
    const fresh = textOf(body?.newToken);
    if (status === 200 && body?.success === true && fresh) return { kind: "refreshed", token: fresh };
    return refusal(answer);
  }

  /**
   * @param {string} path
   * @param {{signal: AbortSignal, body?: object}} what With a body it is a POST.
   * @returns {Promise<Answer | Outcome>}
   */
  async function send(path, { signal, body }) {
    const patience = new AbortController();
    const hangUp = () => patience.abort();
    signal.addEventListener("abort", hangUp);
    const timer = clock.setTimer(hangUp, PATIENCE);
    try {
      if (signal.aborted) return { kind: "left" };
      const response = await fetch(baseUrl + path, { ...request(body), signal: patience.signal });
      return {
        status: response.status,
        body: await readBody(response),
        retryAfter: readRetryAfter(response.headers.get("retry-after"), clock.now()),
      };
    } catch {
      // What the browser says of a failed request differs from one to the next, and may name the address.
      if (signal.aborted) return { kind: "left" };
      const [code, message] = patience.signal.aborted
        ? ["timeout", "aimkeeper did not answer in time."]
        : ["network", "aimkeeper can't be reached."];
      return { kind: "unavailable", code, message, status: 0, retryAfter: null };
    } finally {
      clock.clearTimer(timer);
      signal.removeEventListener("abort", hangUp);
    }
  }

  /** @param {object} [body] @returns {RequestInit} */
  function request(body) {
    /** @type {RequestInit} */
    const common = { cache: "no-store", credentials: baseUrl ? "include" : "same-origin", redirect: "error" };
    if (!body) return common;
    return { ...common, method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  }

  return { session, claim, exchange };
}

/**
 * What an answer means that is not the good one. Only the service's own word ends anything: a 404 of a proxy, or of a
 * host that answers everything with its start page, is no verdict.
 *
 * @param {Answer} answer
 * @returns {Outcome}
 */
function refusal(answer) {
  const { status, body } = answer;
  const isOurs = body?.success === false && body.code !== "not_found";
  if (status === 401 && isOurs) return { kind: "unknown" };
  if (status === 404 || status === 405) return { kind: isOurs && status === 404 ? "unknown" : "absent" };
  if (status === 409) {
    const message = textOf(body?.error) ?? "two programs use this session's token.";
    return { kind: "conflict", code: "holder_conflict", message, status };
  }
  if (status === 200) return failure(answer, "unreadable", "the answer is not aimkeeper's.");
  return failure(answer, textOf(body?.code) ?? `http_${status}`, textOf(body?.error) ?? "Token refresh failed");
}

/**
 * @param {Answer} answer
 * @param {string} code
 * @param {string} message
 * @returns {Outcome}
 */
function failure({ status, retryAfter }, code, message) {
  return { kind: "unavailable", code, message, status, retryAfter };
}

/**
 * @param {Response} response
 * @returns {Promise<Record<string, unknown>|null>} Null = no JSON object.
 */
async function readBody(response) {
  const text = await response.text();
  try {
    const body = JSON.parse(text);
    return typeof body === "object" && !Array.isArray(body) ? body : null;
  } catch {
    return null;
  }
}

/** @param {unknown} value @returns {string|null} A text that is not empty. */
function textOf(value) {
  return typeof value === "string" && value ? value : null;
}
