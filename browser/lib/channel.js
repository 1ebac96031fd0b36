/**
 * How tabs hear one another: a BroadcastChannel, else the event that a write to `localStorage` raises in other tabs.
 */

const NAME = "aimkeeper";
const KEY = "aimkeeper:word";

/**
 * `ended` = the sign-in is over, and `mark` is what storage looks like since. The token of a member is told only where
 * it reaches memory alone; holders find theirs in storage.
 *
 * @typedef {import("./storage.js").Note & {kind: "note", token?: string} | {kind: "ended", mark: string}} Word
 */

/** @typedef {ReturnType<typeof createChannel>} Channel */

/**
 * @param {object} parts
 * @param {typeof globalThis.BroadcastChannel|null} parts.BroadcastChannel
 * @param {import("./storage.js").Area} parts.area
 * @param {EventTarget} parts.page Where `storage` events arrive.
 */
export function createChannel({ BroadcastChannel, area, page }) {
  /** @type {BroadcastChannel|null} */
  let open = null;
  /** @type {((word: Word) => void)|null} */
  let hear = null;

  /** @param {Event} event */
  function onStorage(event) {
    const { key, newValue } = /** @type {StorageEvent} */ (event);
    if (key !== KEY || !newValue) return;
    try {
      hear?.(JSON.parse(newValue).word);
    } catch {
      // Not ours: another program on this origin chose the same key.
    }
  }

  /** @param {(word: Word) => void} listener */
  function listen(listener) {
    hear = listener;
    if (!BroadcastChannel) return page.addEventListener("storage", onStorage);
    open = new BroadcastChannel(NAME);
    open.onmessage = (event) => listener(event.data);
  }

  /** A page with an open channel can't be kept in the back/forward cache: leave no channel open behind. */
  function close() {
    hear = null;
    page.removeEventListener("storage", onStorage);
    if (open) open.onmessage = null;
    open?.close();
    open = null;
  }

  /** @param {Word} word */
  function tell(word) {
    if (BroadcastChannel) return tellAll(BroadcastChannel, word);
    const told = { ...word, token: undefined };
    // The number makes each value another: equal values raise no event.
    area.setItem(KEY, JSON.stringify({ word: told, number: Math.random() }));
    area.removeItem(KEY);
  }

  /**
   * @param {typeof globalThis.BroadcastChannel} Channel
   * @param {Word} word
   */
  function tellAll(Channel, word) {
    if (open) return open.postMessage(word);
    const once = new Channel(NAME);
    once.postMessage(word);
    once.close();
  }

  return { listen, close, tell };
}
