// Runs before any script of the page: counts what is begun and not ended.
(() => {
  const left = { timers: new Set(), listeners: new Map(), channels: new Set(), };
  window.left = left;
  const { setTimeout, clearTimeout } = window;
  window.setTimeout = (callback, wait, ...given) => {
    const id = setTimeout(() => {
      left.timers.delete(id);
      callback(...given);
    }, wait);
    left.timers.add(id);
    return id;
  };
  window.clearTimeout = (id) => {
    left.timers.delete(id);
    clearTimeout(id);
  };
  const OURS = ["visibilitychange", "resume", "pageshow", "pagehide", "online", "storage"];
  const { addEventListener, removeEventListener } = EventTarget.prototype;
  EventTarget.prototype.addEventListener = function (name, listener, ...more) {
    if (OURS.includes(name)) left.listeners.set(listener, name);
    return addEventListener.call(this, name, listener, ...more);
  };
  EventTarget.prototype.removeEventListener = function (name, listener, ...more) {
    left.listeners.delete(listener);
    return removeEventListener.call(this, name, listener, ...more);
  };
  window.BroadcastChannel = class extends BroadcastChannel {
    constructor(name) {
      super(name);
      left.channels.add(this);
    }

    close() {
      left.channels.delete(this);
      super.close();
    }
  };
  window.whatIsLeft = async () => ({
    timers: left.timers.size,
    listeners: [...left.listeners.values()],
    channels: left.channels.size,
    locks: (await navigator.locks.query()).held.length,
  });
})();
