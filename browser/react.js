"use client";

/**
 * For React 18 and later: the hook, and a component for the root layout. Both render the same on a server and at first
 * in the browser, and start when they are mounted.
 */

import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";

import { startAutoTokenRefresh } from "./auto-token-refresh.js";
import { intervalFromEnvironment } from "./lib/environment.js";
import { readIntervalMinutes } from "./lib/schedule.js";
import { INITIAL } from "./lib/state.js";

/** @typedef {import("./auto-token-refresh.js").AutoTokenRefresh} Refresh */
/** @typedef {import("./lib/state.js").State} State */

/**
 * @typedef {object} UseAutoTokenRefreshProps
 * @property {number} [intervalMinutes] 1 to 60; by default NEXT_PUBLIC_TOKEN_REFRESH_INTERVAL_MINUTES, else 15.
 * @property {boolean} [enabled] By default true; false = it starts by `startAutoRefresh()` only.
 * @property {(newToken: string) => void} [onRefreshSuccess]
 * @property {(error: string, details: {code: string, status: number}) => void} [onRefreshError]
 * @property {() => void} [onLogoutRequired]
 * @property {string} [baseUrl]
 * @property {import("./auto-token-refresh.js").Mode} [mode]
 * @property {string} [token]
 * @property {string} [fingerprint]
 * @property {boolean} [debugMode]
 * @property {import("./lib/surroundings.js").Surroundings} [surroundings] For tests.
 */

/**
 * @typedef {object} UseAutoTokenRefreshResult
 * @property {() => void} startAutoRefresh
 * @property {() => void} stopAutoRefresh
 * @property {() => Promise<void>} manualRefresh
 * @property {boolean} isRefreshing
 * @property {Date|null} lastRefreshTime
 * @property {Date|null} nextRefreshTime
 * @property {number} refreshCount
 * @property {string|null} lastError
 * @property {number} intervalMinutes
 * @property {boolean} enabled Whether it runs for somebody who is signed in.
 */

/**
 * @typedef {object} AutoTokenRefreshProps
 * @property {number} [intervalMinutes]
 * @property {boolean} [debugMode]
 * @property {boolean} [enabled]
 */

const nothing = () => {};

/**
 * @param {UseAutoTokenRefreshProps} [props]
 * @returns {UseAutoTokenRefreshResult}
 */
export function useAutoTokenRefresh(props = {}) {
  const { enabled = true, baseUrl, mode, token, fingerprint, debugMode, surroundings } = props;
  const intervalMinutes = readIntervalMinutes(props.intervalMinutes ?? intervalFromEnvironment());
  const wantsToken = props.onRefreshSuccess !== undefined;

  // The callbacks of the last render: a new function is no reason to start anew.
  const latest = useRef(props);
  useEffect(() => {
    latest.current = props;
  });

  const [refresh, setRefresh] = useState(/** @type {Refresh|null} */ (null));
  useEffect(() => {
    const made = startAutoTokenRefresh({
      intervalMinutes,
      enabled,
      baseUrl,
      mode,
      token,
      fingerprint,
      debugMode,
      surroundings,
      onRefreshSuccess: wantsToken ? (fresh) => latest.current.onRefreshSuccess?.(fresh) : undefined,
      onRefreshError: (error, details) => latest.current.onRefreshError?.(error, details),
      onLogoutRequired: () => latest.current.onLogoutRequired?.(),
    });
    setRefresh(made);
    return made.stop;
  }, [intervalMinutes, enabled, baseUrl, mode, token, fingerprint, debugMode, surroundings, wantsToken]);

  const subscribe = useCallback(
    (/** @type {() => void} */ watcher) => refresh?.subscribe(watcher) ?? nothing,
    [refresh],
  );
  const getState = useCallback(() => refresh?.getState() ?? INITIAL, [refresh]);
  const state = useSyncExternalStore(subscribe, getState, initialState);

  return {
    startAutoRefresh: useCallback(() => refresh?.start(), [refresh]),
    stopAutoRefresh: useCallback(() => refresh?.stop(), [refresh]),
    manualRefresh: useCallback(async () => refresh?.refresh(), [refresh]),
    isRefreshing: state.isRefreshing,
    lastRefreshTime: state.lastRefreshTime,
    nextRefreshTime: state.nextRefreshTime,
    refreshCount: state.refreshCount,
    lastError: state.lastError,
    intervalMinutes,
    enabled: state.isRunning && state.signedIn,
  };
}

/**
 * For the root layout; it renders nothing.
 *
 * @param {AutoTokenRefreshProps} props
 * @returns {null}
 */
export function AutoTokenRefresh({ intervalMinutes, debugMode = false, enabled = true }) {
  useAutoTokenRefresh({ intervalMinutes, debugMode, enabled });
  return null;
}

/** @returns {State} */
function initialState() {
  return INITIAL;
}
