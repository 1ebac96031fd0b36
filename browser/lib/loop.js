/**
 * The loop of one tab. It asks aimkeeper and never AimHarder: what is spent, is spent by the service.
 *
 *                start                    logout; or 401, 404 after one re-sync
 *     STOPPED ----------> WAITING <---+      (onLogoutRequired)
 *                          |  ^       |           +--------------> SIGNED OUT
 *      due, woken, or      |  |       |           |                    |
 *      asked for by hand   |  |  another tab      |                    | an e-mail, a token
 *                          v  |  asked: take      |                    | or the cookie comes
 *                        ASKING  over its note ---+                    v
 *                   (one tab of all)                                WAITING
 *
 *     ASKING ends in WAITING by
 *         refreshed   due = 80 to 100 % of the interval from now, told to all tabs
 *         not now     due = backoff or Retry-After: network, 5xx, 429, 409, a proxy's page
 *     stop() leads from anywhere to STOPPED. A page in the back/forward cache hangs up, and looks again when it is back.
 *
 * One function, `look`, decides; everything that happens (a tick, an event, a word of another tab, the end of a
 * request) only makes it look again. A look costs four reads of storage.
 */

import { pause } from "./election.js";
import { NOTHING } from "./memory.js";
import { furthestAhead, isDue } from "./schedule.js";

/** How often to look, in milliseconds: a timer does not notice that the machine slept, the wall clock does. */
const TICK = 5_000;
/** While nobody is signed in: whoever signs in within this page raises no event, and shall not wait. */
const TICK_SIGNED_OUT = 1_000;
/** When another tab is at it: until its word should have come. */
const SECOND_LOOK = 2_000;
const BY_HAND_LOOK = 500;
/** Tabs know the same due time. Each waits a little longer, by chance; hidden ones leave it to the one in sight. */
const SPREAD = 2_000;
const SPREAD_HIDDEN = 10_000;
/** A member cookie can't be seen: with nobody signed in, a page that is looked at again asks, at most this often. */
const ASK_SIGNED_OUT = 60_000;

/** @typedef {import("./storage.js").Note} Note */
/** @typedef {import("./storage.js").SignIn} SignIn */
/** @typedef {ReturnType<typeof createLoop>} Loop */

/**
 * @param {object} parts
 * @param {number} parts.interval Milliseconds.
 * @param {boolean} parts.looksForCookie Whether a sign-in may be one that only the service can see.
 * @param {boolean} parts.wantsToken
 * @param {import("./surroundings.js").Clock} parts.clock
 * @param {() => number} parts.roll
 * @param {import("./storage.js").SharedStorage} parts.storage
 * @param {import("./memory.js").Memory} parts.memory
 * @param {ReturnType<typeof import("./settle.js").createSettle>} parts.settle
 * @param {import("./election.js").Election} parts.election
 * @param {import("./channel.js").Channel} parts.channel
 * @param {import("./page.js").Page} parts.page
 * @param {import("./ways.js").Ways} parts.ways
 * @param {import("./state.js").ObservableState} parts.state
 * @param {import("./state.js").Hearers} parts.hearers Called after a flight, never inside one.
 * @param {(words: string) => void} parts.log
 */
export function createLoop(parts) {
  const { interval, clock, roll, memory, storage, channel, page, ways, state, hearers, log } = parts;
  const furthest = furthestAhead(interval);
  let isRunning = false;
  /** @type {unknown} */
  let timer = null;
  /** @type {(() => void)|null} */
  let unwatch = null;
  let leaving = new AbortController();
  /** @type {Promise<void>|null} */
  let flight = null;
  /** A refresh of another tab whose token is still to come. @type {{at: number, until: number}|null} */
  let awaited = null;

  // ------------------------------------------------------------ starting and stopping

  function start() {
    if (isRunning) return;
    isRunning = true;
    unwatch = page.watch({ onWake, onOnline, onLeave: leave, onStorage: look });
    enter();
    state.update({ isRunning: true });
    log("started");
    // Not at once: React's StrictMode starts, stops and starts again in one breath, and one request is enough.
    timer = clock.setTimer(look, 0);
  }

  function stop() {
    leave();
    if (!isRunning) return;
    isRunning = false;
    unwatch?.();
    state.update({ isRunning: false, nextRefreshTime: null });
    log("stopped");
  }

  function enter() {
    if (leaving.signal.aborted) leaving = new AbortController();
    channel.close();
    channel.listen(hear);
  }

  /** Hang up: a page in the back/forward cache may hold neither request nor lock. What was sent, the service finishes. */
  function leave() {
    leaving.abort();
    channel.close();
    clock.clearTimer(timer);
    timer = null;
  }

  function onWake() {
    if (leaving.signal.aborted) enter();
    const now = clock.now();
    if (!state.get().signedIn && parts.looksForCookie && now - memory.restedAt >= ASK_SIGNED_OUT) memory.due = now;
    look();
  }

  function onOnline() {
    // The network is back: what failed for want of it need not wait for its turn.
    if (memory.known.attempt > 0) memory.due = clock.now();
    look();
  }

  // ------------------------------------------------------------ looking

  function look() {
    if (!isRunning || leaving.signal.aborted) return;
    if (awaited && clock.now() >= awaited.until) void readForMyself();
    if (!flight) {
      notice(storage.read());
      if (isDue(clock.now(), memory.due, furthest) && !page.isOffline()) void fly(false);
    }
    arm();
  }

  function arm() {
    clock.clearTimer(timer);
    const longest = state.get().signedIn ? TICK : TICK_SIGNED_OUT;
    const isWaitingForMore = flight !== null || page.isOffline();
    const next = Math.min(isWaitingForMore ? Infinity : memory.due, awaited?.until ?? Infinity);
    const left = Math.max(next - clock.now(), 0);
    timer = clock.setTimer(look, Math.min(left, longest));
  }

  /** @param {SignIn} held */
  function notice(held) {
    const before = memory.seen;
    if (before && before.mark === held.mark) return adopt(storage.readNote());
    memory.seen = held;
    if (memory.isSignIn(held)) return noticeSignIn(held, before);
    // A member may be signed in all the same: only the service sees the cookie. What a note says of it may be old news
    // by now, for a site's own logout leaves no trace here: ask.
    if (before !== undefined && memory.known.way !== "member") return memory.end(held);
    memory.known = { ...memory.known, tried: clock.now() - 1 };
    memory.schedule(parts.looksForCookie ? clock.now() : Infinity);
  }

  /** @param {SignIn} held @param {SignIn|undefined} before */
  function noticeSignIn(held, before) {
    state.update({ signedIn: true });
    const note = storage.readNote();
    // Another tab refreshed the same sign-in, unless this is the first we see of it.
    if (note) return adopt(note, { isNews: before !== undefined && before.email === held.email });
    memory.known = NOTHING;
    memory.schedule(clock.now());
  }

  // ------------------------------------------------------------ hearing

  /** @param {import("./channel.js").Word} word */
  function hear(word) {
    if (flight) return; // Its end looks again, and storage says the same.
    const held = storage.read();
    // A word about a sign-in that this tab does not see, or not yet, is left to storage to tell.
    if (word.mark === held.mark) {
      memory.seen = held;
      if (word.kind === "note" && word.token && word.at === awaited?.at) {
        awaited = null;
        hearers.refreshed(word.token);
      }
      if (word.kind === "ended") memory.end(held);
      else adopt(word, { token: word.token });
    }
    look();
  }

  /**
   * Take over what another tab, or this one in an earlier life, found.
   *
   * @param {Note|null} note
   * @param {{isNews?: boolean, token?: string}} [how]
   */
  function adopt(note, { isNews = true, token } = {}) {
    if (!note || note.tried <= memory.known.tried) return;
    const isRefresh = note.at > memory.known.at;
    memory.known = note;
    if (note.at > 0) state.update({ signedIn: true, lastRefreshTime: new Date(note.at) });
    const own = note.attempt === 0 ? Math.min(note.due, note.at + interval) : note.due;
    memory.schedule(own + roll() * (page.isVisible() ? SPREAD : SPREAD_HIDDEN));
    if (!isRefresh) return;
    const fresh = token ?? (note.way === "holder" ? (memory.seen?.token ?? null) : null);
    const lacksToken = parts.wantsToken && fresh === null;
    // The word with the token may come after the note. A page just loaded has missed it.
    if (lacksToken) awaited = { at: note.at, until: clock.now() + (isNews ? SECOND_LOOK : 0) };
    if (!isNews) return;
    log("another tab refreshed");
    state.update({ refreshCount: state.get().refreshCount + 1, lastError: null });
    if (!lacksToken) hearers.refreshed(fresh);
  }

  /** A member's token is in no storage: where no tab could tell it, each that wants it reads it, and tells nobody. */
  async function readForMyself() {
    awaited = null;
    const { outcome } = await ways.ask(storage.read, leaving.signal);
    if (isRunning && outcome.kind === "refreshed") hearers.refreshed(outcome.token);
  }

  // ------------------------------------------------------------ asking

  /**
   * @param {boolean} isByHand Whether somebody wants it now, due or not.
   * @returns {Promise<void>}
   */
  function fly(isByHand) {
    flight ??= flyOnce(isByHand).finally(() => {
      flight = null;
      look();
    });
    return flight;
  }

  /** @param {boolean} isByHand */
  async function flyOnce(isByHand) {
    if (leaving.signal.aborted) leaving = new AbortController();
    const { signal } = leaving;
    const started = clock.now();
    const ask = async () => {
      // Before we got the lock somebody may have asked.
      const note = storage.readNote();
      if (note && note.tried > memory.known.tried && (!isByHand || note.tried >= started)) return false;
      state.update({ isRefreshing: true });
      const tell = parts.settle(await ways.ask(storage.read, signal));
      state.update({ isRefreshing: false });
      tell?.();
      return tell !== null;
    };
    while (!(await parts.election.asOnlyTab(ask, signal)) && !signal.aborted) {
      log("another tab is asking");
      memory.schedule(clock.now() + SECOND_LOOK);
      if (!isByHand) return;
      await pause(clock, BY_HAND_LOOK, signal);
    }
  }

  return { start, stop, refresh: () => fly(true) };
}
