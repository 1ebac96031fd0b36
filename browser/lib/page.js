/**
 * What the page goes through, told in four words. A laptop that slept with the page in sight raises none of these
 * events; the loop's own look at the wall clock catches that.
 */

/**
 * @typedef {object} PageEvents
 * @property {() => void} onWake   Somebody looks at the page again, or it came out of a cache.
 * @property {() => void} onOnline The network is back.
 * @property {() => void} onLeave  The page goes: closed, or into the back/forward cache.
 * @property {() => void} onStorage Another tab wrote to storage.
 */

/** @typedef {ReturnType<typeof createPage>} Page */

/**
 * @param {Pick<Window, "addEventListener"|"removeEventListener">} window
 * @param {Pick<Document, "addEventListener"|"removeEventListener"|"visibilityState">} document
 * @param {{onLine?: boolean}} navigator
 */
export function createPage(window, document, navigator) {
  const isVisible = () => document.visibilityState !== "hidden";
  // `true` proves nothing, `false` is certain.
  const isOffline = () => navigator.onLine === false;

  /**
   * @param {PageEvents} events
   * @returns {() => void} Stops watching.
   */
  function watch({ onWake, onOnline, onLeave, onStorage }) {
    const onVisibility = () => void (isVisible() && onWake());
    /** @type {[Pick<EventTarget, "addEventListener"|"removeEventListener">, string, () => void][]} */
    const listeners = [
      [document, "visibilitychange", onVisibility],
      [document, "resume", onWake],
      [window, "pageshow", onWake],
      [window, "online", onOnline],
      [window, "pagehide", onLeave],
      [window, "storage", onStorage],
    ];
    for (const [target, name, listener] of listeners) target.addEventListener(name, listener);
    return () => {
      for (const [target, name, listener] of listeners) target.removeEventListener(name, listener);
    };
  }

  return { watch, isVisible, isOffline };
}
