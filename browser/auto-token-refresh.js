/**
 * Keeps a visitor's AimHarder session fresh while a page of your site is open. It asks aimkeeper, on the site's own
 * origin, every 15 minutes: one tab of all, and at once after sleep or a lost network.
 *
 *     import { startAutoTokenRefresh } from "./auto-token-refresh.js";
 *     const refresh = startAutoTokenRefresh({ onLogoutRequired: () => location.assign("/login") });
 *
 * `docs/how-to/use-in-a-site.md` says more.
 */

import { createChannel } from "./lib/channel.js";
import { createElection } from "./lib/election.js";
import { fingerprintFromEnvironment } from "./lib/environment.js";
import { createLoop } from "./lib/loop.js";
import { createMemory } from "./lib/memory.js";
import { createObservable } from "./lib/observable.js";
import { createPage } from "./lib/page.js";
import { MINUTE, readIntervalMinutes } from "./lib/schedule.js";
import { createSettle } from "./lib/settle.js";
import { INITIAL } from "./lib/state.js";
import { createStorage } from "./lib/storage.js";
import { theBrowser } from "./lib/surroundings.js";
import { createTransport } from "./lib/transport.js";
import { createWays } from "./lib/ways.js";

/** @typedef {import("./lib/state.js").State} RefreshState */
/** @typedef {import("./lib/ways.js").Mode} Mode */

/**
 * @typedef {object} Options
 * @property {number} [intervalMinutes] 1 to 60; by default 15.
 * @property {string} [baseUrl] Where aimkeeper answers, by default on the page's own origin. Never AimHarder's address.
 * @property {Mode} [mode] `auto` (the default), `member` (cookie only) or `holder` (token only).
 * @property {string} [token] A holder's token, when it does not lie in `localStorage.refreshToken`.
 * @property {string} [fingerprint] A holder's fingerprint, when it does not lie in `localStorage.fingerprint`.
 * @property {boolean} [enabled] False = wait for `start()`.
 * @property {boolean} [debugMode] Writes to the console what happens; never a token, an e-mail or a part of them.
 * @property {(newToken: string) => void} [onRefreshSuccess] In every tab. A member's page asks for the token only if
 *   this is given.
 * @property {() => void} [onRefreshed] The same, for pages that need no token.
 * @property {(error: string, details: {code: string, status: number}) => void} [onRefreshError] The session is
 *   unharmed, and it is tried again. In the tab that asked.
 * @property {() => void} [onLogoutRequired] In every tab: whoever was signed in no longer is.
 * @property {import("./lib/surroundings.js").Surroundings} [surroundings] For tests.
 */

/**
 * @typedef {object} AutoTokenRefresh
 * @property {() => void} start
 * @property {() => void} stop Leaves no timer and no listener behind.
 * @property {() => Promise<void>} refresh Ask now, due or not; also while stopped.
 * @property {() => RefreshState} getState The same object until something changes.
 * @property {(watcher: () => void) => () => void} subscribe Returns what ends it.
 */

/**
 * Start refreshing for whoever is signed in, now or later.
 *
 * @param {Options} [options]
 * @returns {AutoTokenRefresh}
 * @throws {RangeError} The interval is not 1 to 60 minutes.
 * @throws {TypeError} `baseUrl` or `mode` makes no sense.
 */
export function startAutoTokenRefresh(options = {}) {
  const around = options.surroundings ?? theBrowser();
  const { clock, area, roll } = around;
  const mode = readMode(options.mode);
  const wantsToken = options.onRefreshSuccess !== undefined;
  const baseUrl = readBaseUrl(options.baseUrl, around.origin);
  const state = createObservable(INITIAL);
  const ways = createWays({
    mode,
    given: { token: options.token, fingerprint: options.fingerprint },
    lastFingerprint: fingerprintFromEnvironment(),
    withToken: wantsToken,
    transport: createTransport({ fetch: around.fetch, clock, baseUrl }),
  });
  const common = {
    interval: readIntervalMinutes(options.intervalMinutes) * MINUTE,
    looksForCookie: mode !== "holder",
    isGivenToken: mode !== "member" && Boolean(options.token),
    wantsToken,
    clock,
    roll,
    storage: createStorage(area),
    channel: createChannel({ BroadcastChannel: around.BroadcastChannel, area, page: around.window }),
    page: createPage(around.window, around.document, around.navigator),
    ways,
    state,
    hearers: hearersOf(options),
    log: options.debugMode ? (/** @type {string} */ words) => around.write(`[aimkeeper] ${words}`) : () => {},
  };
  const memory = createMemory(common);
  const loop = createLoop({
    ...common,
    memory,
    settle: createSettle({ ...common, memory }),
    election: createElection({ locks: around.locks, area, clock, id: String(roll()) }),
  });
  if (options.enabled ?? true) loop.start();
  return { start: loop.start, stop: loop.stop, refresh: loop.refresh, getState: state.get, subscribe: state.subscribe };
}

/**
 * @param {Options} options
 * @returns {import("./lib/state.js").Hearers}
 */
function hearersOf({ onRefreshSuccess, onRefreshed, onRefreshError, onLogoutRequired }) {
  return {
    refreshed: (token) => {
      safely(() => onRefreshed?.());
      if (token !== null) safely(() => onRefreshSuccess?.(token));
    },
    failed: (message, details) => safely(() => onRefreshError?.(message, details)),
    loggedOut: () => safely(() => onLogoutRequired?.()),
  };
}

/** A page's own mistake is reported as such, and must not end the loop. @param {() => void} call */
function safely(call) {
  try {
    call();
  } catch (error) {
    globalThis.reportError?.(error);
  }
}

/** @param {unknown} mode @returns {Mode} */
function readMode(mode) {
  if (mode === undefined || mode === null || mode === "") return "auto";
  if (mode === "auto" || mode === "member" || mode === "holder") return mode;
  throw new TypeError("mode must be auto, member or holder.");
}

/**
 * @param {string|undefined} given
 * @param {string} origin
 * @returns {string} `""` for the page's own origin.
 */
function readBaseUrl(given, origin) {
  if (!given) return "";
  const url = URL.canParse?.(given, origin) === false ? null : new URL(given, origin);
  if (!url || !/^https?:$/.test(url.protocol)) throw new TypeError("baseUrl must be the address of aimkeeper.");
  if (/(^|\.)aimharder\.(com|es)$/i.test(url.hostname)) {
    throw new TypeError("baseUrl must be the address of aimkeeper: a page never spends a token at AimHarder itself.");
  }
  const path = url.pathname.replace(/\/+$/, "");
  return url.origin === origin ? path : url.origin + path;
}
