/**
 * What a loop takes from the browser. Tests bring their own; nothing here is touched when a module is imported, so that
 * all of them can be imported on a server.
 */

import { openArea } from "./storage.js";

/**
 * @typedef {object} Clock
 * @property {() => number} now Milliseconds since 1970, by the wall: it goes on while a machine sleeps.
 * @property {(callback: () => void, milliseconds: number) => unknown} setTimer
 * @property {(timer: any) => void} clearTimer
 */

/**
 * @typedef {object} Surroundings
 * @property {Pick<Window, "addEventListener"|"removeEventListener"> & EventTarget} window
 * @property {Pick<Document, "addEventListener"|"removeEventListener"|"visibilityState">} document
 * @property {{onLine?: boolean}} navigator
 * @property {import("./storage.js").Area} area
 * @property {Pick<LockManager, "request">|null} locks
 * @property {typeof globalThis.BroadcastChannel|null} BroadcastChannel
 * @property {typeof globalThis.fetch} fetch
 * @property {string} origin Of the page: `https://site.example`.
 * @property {Clock} clock
 * @property {() => number} roll A number in [0, 1).
 * @property {(words: string) => void} write Where `debugMode` writes.
 */

/** @returns {Surroundings} */
export function theBrowser() {
  return {
    window,
    document,
    navigator,
    area: openArea(() => window.localStorage),
    locks: navigator.locks ?? null,
    BroadcastChannel: globalThis.BroadcastChannel ?? null,
    // Looked up at each call: tools that watch a page replace them after we started.
    fetch: (input, init) => globalThis.fetch(input, init),
    origin: window.location.origin,
    clock: {
      now: () => Date.now(),
      setTimer: (callback, milliseconds) => globalThis.setTimeout(callback, milliseconds),
      clearTimer: (timer) => globalThis.clearTimeout(timer),
    },
    roll: () => Math.random(),
    write: (words) => console.debug(words),
  };
}
