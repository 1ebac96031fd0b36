/**
 * One tab of all asks. Nobody is leader for good: whichever tab is awake when a refresh is due takes the lock for that
 * one request. A leader that sleeps, crashes or is closed therefore holds nobody up, and a page that holds no lock may
 * go into the back/forward cache.
 */

const LOCK = "aimkeeper:ask";
const CLAIM = "aimkeeper:claim";

/** How long the winner keeps the lock after the work, in milliseconds, so that the word of it arrives before the lock. */
const FAREWELL = 250;
/** Without Web Locks: how long a claim must stand unopposed, and after what time it is a dead tab's. */
const CONTEST = 100;
const CLAIM_LIFE = 60_000;

/** @typedef {import("./surroundings.js").Clock} Clock */
/** @typedef {ReturnType<typeof createElection>} Election */

/**
 * @param {object} parts
 * @param {Pick<LockManager, "request">|null} parts.locks
 * @param {import("./storage.js").Area} parts.area
 * @param {Clock} parts.clock
 * @param {string} parts.id Of this tab; another one each time.
 */
export function createElection({ locks, area, clock, id }) {
  /**
   * Do the work as the only tab, or not at all.
   *
   * @param {() => Promise<boolean>} work Throws nothing; says whether there was anything to tell other tabs.
   * @param {AbortSignal} leaving Ends the farewell at once.
   * @returns {Promise<boolean>} When the work is done; the lock is kept a moment longer. False = another tab is at it.
   */
  function asOnlyTab(work, leaving) {
    return new Promise((resolve) => {
      const whole = async () => {
        if (!(await work())) return;
        resolve(true);
        await pause(clock, FAREWELL, leaving);
      };
      const attempt = locks ? byLock(locks, whole, leaving) : byClaim(whole, leaving);
      // A page on its way out gets no lock any more: it has nothing to ask either.
      attempt.then(resolve, () => resolve(false));
    });
  }

  /**
   * @param {Pick<LockManager, "request">} manager
   * @param {() => Promise<void>} whole
   * @param {AbortSignal} leaving
   */
  async function byLock(manager, whole, leaving) {
    try {
      return await manager.request(LOCK, { ifAvailable: true }, async (lock) => {
        if (lock) await whole();
        return lock !== null;
      });
    } catch (error) {
      // A sandboxed frame may have none.
      if (/** @type {Error} */ (error).name === "SecurityError") return byClaim(whole, leaving);
      throw error;
    }
  }

  /**
   * @param {() => Promise<void>} whole
   * @param {AbortSignal} leaving
   */
  async function byClaim(whole, leaving) {
    if (claimant(area, clock.now()) !== null) return false;
    area.setItem(CLAIM, JSON.stringify({ id, until: clock.now() + CLAIM_LIFE }));
    // Two tabs may have looked at the same moment. The later writer's name stands, and only he goes on.
    await pause(clock, CONTEST, leaving);
    if (claimant(area, clock.now()) !== id) return false;
    try {
      await whole();
    } finally {
      if (claimant(area, clock.now()) === id) area.removeItem(CLAIM);
    }
    return true;
  }

  return { asOnlyTab };
}

/**
 * Whose claim stands; null = nobody's.
 *
 * @param {import("./storage.js").Area} area
 * @param {number} now
 * @returns {string|null}
 */
function claimant(area, now) {
  try {
    const { id, until } = JSON.parse(area.getItem(CLAIM) ?? "null") ?? {};
    // A claim that reaches further than any can was made before the clock was set back.
    return typeof id === "string" && now < until && until - now <= CLAIM_LIFE ? id : null;
  } catch {
    return null;
  }
}

/**
 * @param {Clock} clock
 * @param {number} milliseconds
 * @param {AbortSignal} leaving
 * @returns {Promise<void>}
 */
export function pause(clock, milliseconds, leaving) {
  return new Promise((resolve) => {
    if (leaving.aborted) return resolve();
    const done = () => {
      clock.clearTimer(timer);
      leaving.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.setTimer(done, milliseconds);
    leaving.addEventListener("abort", done);
  });
}
