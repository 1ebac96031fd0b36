/** What a page can know of its refreshing, and whom the loop tells. */

/**
 * @typedef {object} State
 * @property {boolean} isRunning
 * @property {boolean} signedIn As far as we know.
 * @property {boolean} isRefreshing This tab asks right now.
 * @property {Date|null} lastRefreshTime
 * @property {Date|null} nextRefreshTime
 * @property {number} refreshCount Refreshes that this tab made or heard of.
 * @property {string|null} lastError A sentence; null after a success.
 */

/** @type {State} */
export const INITIAL = Object.freeze({
  isRunning: false,
  signedIn: false,
  isRefreshing: false,
  lastRefreshTime: null,
  nextRefreshTime: null,
  refreshCount: 0,
  lastError: null,
});

/**
 * @typedef {object} Hearers
 * @property {(token: string|null) => void} refreshed
 * @property {(message: string, details: {code: string, status: number}) => void} failed
 * @property {() => void} loggedOut
 */

/** @typedef {ReturnType<typeof import("./observable.js").createObservable<State>>} ObservableState */
