/**
 * What one tab knows of the sign-in, and when it means to ask next.
 */

/** @typedef {import("./storage.js").Note} Note */
/** @typedef {import("./storage.js").SignIn} SignIn */
/** @typedef {Omit<Note, "mark"|"due">} Known */
/** @typedef {ReturnType<typeof createMemory>} Memory */

const EXPIRED = "Session expired - logout required";

/** @type {Known} */
export const NOTHING = Object.freeze({ at: 0, tried: 0, attempt: 0, way: null });

/**
 * @param {object} parts
 * @param {number} parts.interval Milliseconds.
 * @param {boolean} parts.looksForCookie Whether a sign-in may be one that only the service can see.
 * @param {boolean} parts.isGivenToken Whether the page itself said who is signed in.
 * @param {import("./surroundings.js").Clock} parts.clock
 * @param {import("./ways.js").Ways} parts.ways
 * @param {import("./state.js").ObservableState} parts.state
 * @param {import("./state.js").Hearers} parts.hearers
 */
export function createMemory({ interval, looksForCookie, isGivenToken, clock, ways, state, hearers }) {
  const memory = {
    /** The sign-in as this tab last saw it; undefined = not looked yet. @type {SignIn|undefined} */
    seen: undefined,
    /** Of that sign-in, as far as this tab knows. @type {Known} */
    known: NOTHING,
    /** When to ask next; Infinity = when something changes. */
    due: Infinity,
    /** When it was last found that nobody is signed in. */
    restedAt: -Infinity,
    isSignIn,
    schedule,
    end,
    rest,
  };

  /** @param {SignIn} held */
  function isSignIn(held) {
    return held.email !== null || isGivenToken;
  }

  /** @param {number} due */
  function schedule(due) {
    memory.due = due;
    state.update({ nextRefreshTime: state.get().signedIn && due !== Infinity ? new Date(due) : null });
  }

  /** Whoever was signed in no longer is. @param {SignIn} held */
  function end(held) {
    const isNews = state.get().signedIn || !state.get().isRunning;
    memory.seen = held;
    memory.known = { ...NOTHING, tried: clock.now() };
    ways.forget(held);
    rest();
    if (!isNews) return;
    state.update({ signedIn: false, lastError: EXPIRED });
    hearers.loggedOut();
  }

  /** Nothing to do until somebody signs in; a member's cookie is looked for as seldom as a refresh. */
  function rest() {
    memory.restedAt = clock.now();
    memory.due = looksForCookie ? memory.restedAt + interval : Infinity;
    state.update({ nextRefreshTime: null });
  }

  return memory;
}
