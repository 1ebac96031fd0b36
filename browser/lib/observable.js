/**
 * One immutable value and those who watch it, in the shape React's `useSyncExternalStore` wants.
 *
 * @template T
 * @param {T} initial
 */
export function createObservable(initial) {
  let value = initial;
  /** @type {Set<() => void>} */
  const watchers = new Set();

  /**
   * @param {() => void} watcher Told that something changed.
   * @returns {() => void} Stops it.
   */
  function subscribe(watcher) {
    watchers.add(watcher);
    return () => void watchers.delete(watcher);
  }

  /** @param {Partial<T>} change */
  function update(change) {
    const keys = /** @type {(keyof T)[]} */ (Object.keys(change));
    if (keys.every((key) => Object.is(value[key], change[key]))) return;
    value = { ...value, ...change };
    for (const watcher of [...watchers]) watcher();
  }

  return { get: () => value, subscribe, update };
}
