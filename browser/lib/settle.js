/**
 * What comes of an answer: written down, told to the other tabs, and returned as what to tell this page.
 */

import { nextDue, nextTry } from "./schedule.js";

/** @typedef {import("./storage.js").SignIn} SignIn */
/** @typedef {import("./ways.js").Asked} Asked */

/**
 * @param {object} parts
 * @param {number} parts.interval Milliseconds.
 * @param {import("./memory.js").Memory} parts.memory
 * @param {import("./surroundings.js").Clock} parts.clock
 * @param {() => number} parts.roll
 * @param {import("./storage.js").SharedStorage} parts.storage
 * @param {import("./channel.js").Channel} parts.channel
 * @param {import("./ways.js").Ways} parts.ways
 * @param {import("./state.js").ObservableState} parts.state
 * @param {import("./state.js").Hearers} parts.hearers
 * @param {(words: string) => void} parts.log
 */
export function createSettle({ interval, memory, clock, roll, storage, channel, ways, state, hearers, log }) {
  /**
   * Write down what came of it and tell the other tabs; returns what to tell this one.
   *
   * @param {Asked} asked
   * @returns {(() => void)|null}
   */
  function settle({ outcome, way, held }) {
    if (outcome.kind === "left") return null;
    memory.seen ??= held;
    const isKnown = state.get().signedIn || (!state.get().isRunning && memory.isSignIn(held));
    if (outcome.kind === "nobody") return settleNobody(held, isKnown);
    if (outcome.kind === "unavailable" && !isKnown) return settleUnseen(outcome);
    if (storage.read().mark !== held.mark) {
      // Somebody signed in meanwhile. What we heard is about the sign-in before, and this tab must not touch the new.
      log("a newer sign-in is there");
      return null;
    }
    if (outcome.kind === "refreshed") return settleRefreshed(outcome.token, way, held);
    if (outcome.kind === "conflict" || outcome.kind === "unavailable") return settleFailure(outcome, held);
    return settleEnd(outcome.kind === "logout", held);
  }

  /** @param {string|null} token @param {Asked["way"]} way @param {SignIn} held */
  function settleRefreshed(token, way, held) {
    const now = clock.now();
    const next = way === "holder" && token ? storage.withToken(held, token) : held;
    const note = { mark: next.mark, at: now, tried: now, due: nextDue(now, interval, roll()), attempt: 0, way };
    if (token && next !== held) storage.writeToken(token, note);
    else storage.writeNote(note);
    memory.seen = next;
    memory.known = note;
    const { refreshCount } = state.get();
    state.update({ signedIn: true, lastRefreshTime: new Date(now), refreshCount: refreshCount + 1, lastError: null });
    memory.schedule(note.due);
    channel.tell({ kind: "note", ...note, ...(way === "member" && token ? { token } : {}) });
    log(`refreshed as ${way}; next in ${Math.round((note.due - now) / 1000)} s`);
    return () => hearers.refreshed(token);
  }

  /** @param {boolean} isLogout Else nobody knows this sign-in. @param {SignIn} held */
  function settleEnd(isLogout, held) {
    ways.forget(held);
    // Of a 401 or 404 nothing is erased: it may be the site that is set up wrongly, and the token a living one.
    if (isLogout) storage.forget();
    else storage.writeNote(null);
    const now = storage.read();
    channel.tell({ kind: "ended", mark: now.mark });
    log(isLogout ? "the session has ended" : "aimkeeper knows no such session");
    return () => memory.end(now);
  }

  /** @param {SignIn} held @param {boolean} isLoss */
  function settleNobody(held, isLoss) {
    if (isLoss) return settleEnd(false, held);
    log("nobody is signed in");
    memory.rest();
    return null;
  }

  /**
   * Whether somebody is signed in could not be asked: nobody needs to know, and it is asked again.
   *
   * @param {Extract<Asked["outcome"], {kind: "unavailable"}>} outcome
   */
  function settleUnseen({ code, retryAfter }) {
    memory.known = { ...memory.known, attempt: memory.known.attempt + 1 };
    const patience = code === "absent" ? interval : retryAfter;
    memory.schedule(nextTry(clock.now(), { attempt: memory.known.attempt, interval, retryAfter: patience, roll: roll() }));
    log(`can't ask who is signed in (${code})`);
    return null;
  }

  /** @param {Extract<Asked["outcome"], {kind: "conflict"|"unavailable"}>} outcome @param {SignIn} held */
  function settleFailure(outcome, held) {
    const now = clock.now();
    const attempt = memory.known.attempt + 1;
    // Who uses the session besides us will not have gone in five seconds.
    const retryAfter = outcome.kind === "conflict" ? interval : outcome.retryAfter;
    const next = nextTry(now, { attempt, interval, retryAfter, roll: roll() });
    const note = { mark: held.mark, at: memory.known.at, tried: now, due: next, attempt, way: memory.known.way };
    storage.writeNote(note);
    memory.known = note;
    state.update({ lastError: outcome.message });
    memory.schedule(next);
    channel.tell({ kind: "note", ...note });
    log(`not now (${outcome.code}, status ${outcome.status}); again in ${Math.round((next - now) / 1000)} s`);
    return () => hearers.failed(outcome.message, { code: outcome.code, status: outcome.status });
  }

  return settle;
}
