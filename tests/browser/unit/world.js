/**
 * A browser of which the tests own everything: several tabs over one storage, one clock moved by hand, and a service
 * that keeps count of what it is asked.
 */

import { startAutoTokenRefresh } from "../../../browser/auto-token-refresh.js";

export const EMAIL = "ana@example.com";
export const DEVICE = "f".repeat(50);
export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const QUARTER = 15 * MINUTE;

/** A token as AimHarder makes them; a higher number is a later one. */
export function token(number, account = 69232) {
  return `${account}|${1_900_000_000 + number}|${String(number).padStart(32, "0")}`;
}

class Clock {
  #now = Date.UTC(2026, 0, 1, 12);
  #count = 0;
  timers = new Map();

  now = () => this.#now;

  setTimer = (callback, milliseconds) => {
    this.#count += 1;
    this.timers.set(this.#count, { callback, at: this.#now + Math.max(milliseconds, 0), number: this.#count });
    return this.#count;
  };

  clearTimer = (number) => void this.timers.delete(number);

  /** The wall clock alone moves: the machine slept, or somebody set it. */
  jump(milliseconds) {
    this.#now += milliseconds;
    for (const timer of this.timers.values()) timer.at += milliseconds;
  }

  async run(milliseconds) {
    const end = this.#now + milliseconds;
    for (;;) {
      await settle();
      const next = [...this.timers.values()].sort((a, b) => a.at - b.at || a.number - b.number)[0];
      if (!next || next.at > end) break;
      this.timers.delete(next.number);
      this.#now = Math.max(next.at, this.#now);
      next.callback();
    }
    this.#now = end;
    await settle();
  }
}

/** Whatever needs no clock happens. */
export async function settle() {
  for (let turn = 0; turn < 12; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

class Locks {
  held = new Set();

  async request(name, _options, callback) {
    if (this.held.has(name)) return callback(null);
    this.held.add(name);
    try {
      return await callback({ name });
    } finally {
      this.held.delete(name);
    }
  }
}

/** Knows what was added and not removed. */
class Target extends EventTarget {
  #listeners = new Map();

  get listening() {
    return [...this.#listeners.values()].reduce((sum, kept) => sum + kept.size, 0);
  }

  addEventListener(name, listener) {
    this.#listeners.set(name, (this.#listeners.get(name) ?? new Set()).add(listener));
    super.addEventListener(name, listener);
  }

  removeEventListener(name, listener) {
    this.#listeners.get(name)?.delete(listener);
    super.removeEventListener(name, listener);
  }
}

export class World {
  clock = new Clock();
  locks = new Locks();
  stored = new Map();
  tabs = [];
  channels = new Set();
  /** Everything asked, in order: `{tab, method, path, body}`. */
  asked = [];
  /** Path -> what answers: `{status, body, headers}` or a function of the request that returns it. */
  routes = {
    "/api/auth/session": { status: 401, body: { success: false, code: "unauthorized", error: "no cookie" } },
    "/api/auth/claim": { status: 401, body: { success: false, code: "unauthorized", error: "no cookie" } },
  };
  roll = () => 0.5;

  signIn(number = 1, email = EMAIL) {
    this.write("user-email", email);
    this.write("fingerprint", DEVICE);
    this.write("refreshToken", token(number));
  }

  /** As another page of the site would, or this one: tabs hear of it, but for the one named. */
  write(key, value, writer = null) {
    if (value === null) this.stored.delete(key);
    else this.stored.set(key, value);
    for (const tab of this.tabs) {
      if (tab !== writer && tab.isAwake) tab.window.dispatchEvent(Object.assign(new Event("storage"), { key, newValue: value }));
    }
  }

  count(path) {
    return this.asked.filter((request) => request.path === path).length;
  }

  /** A service that knows one session, exchanges its tokens, and heals older ones. */
  serveHolder(first = 1) {
    let number = first;
    this.routes["/api/tokenUpdate"] = () => {
      number += 1;
      return { status: 200, body: { success: true, newToken: token(number), updatedAt: new Date(this.clock.now()) } };
    };
  }

  serveMember(fresh = token(7)) {
    this.routes["/api/auth/session"] = ({ path, query }) => ({
      status: 200,
      body: { success: true, email: EMAIL, status: "active", ...(query === "token=1" ? { token: fresh } : {}) },
    });
  }

  answer(path, status, body, headers = {}) {
    this.routes[path] = { status, body, headers };
  }

  tab(options = {}, { withLocks = true, withChannel = true } = {}) {
    return new Tab(this, options, { withLocks, withChannel });
  }
}

class Tab {
  heard = { tokens: [], errors: [], logouts: 0 };
  console = [];
  window = new Target();
  document = Object.assign(new Target(), { visibilityState: "visible" });
  navigator = { onLine: true };
  isAwake = true;

  constructor(world, options, { withLocks, withChannel }) {
    this.world = world;
    world.tabs.push(this);
    const tab = this;
    this.refresh = startAutoTokenRefresh({
      debugMode: true,
      onRefreshSuccess: (fresh) => this.heard.tokens.push(fresh),
      onRefreshError: (error, details) => this.heard.errors.push({ error, ...details }),
      onLogoutRequired: () => void (this.heard.logouts += 1),
      ...options,
      surroundings: {
        window: this.window,
        document: this.document,
        navigator: this.navigator,
        area: {
          getItem: (key) => world.stored.get(key) ?? null,
          setItem: (key, value) => world.write(key, value, tab),
          removeItem: (key) => world.write(key, null, tab),
        },
        locks: withLocks ? world.locks : null,
        BroadcastChannel: withChannel ? channelClass(world, tab) : null,
        fetch: (url, init) => this.#fetch(url, init),
        origin: "https://site.test",
        clock: world.clock,
        roll: () => world.roll(),
        write: (words) => this.console.push(words),
      },
    });
  }

  get state() {
    return this.refresh.getState();
  }

  say(name, target = this.window) {
    target.dispatchEvent(new Event(name));
  }

  hide() {
    this.document.visibilityState = "hidden";
    this.say("visibilitychange", this.document);
  }

  show() {
    this.document.visibilityState = "visible";
    this.say("visibilitychange", this.document);
  }

  async #fetch(url, init) {
    const [path, query = ""] = url.split("?");
    const request = { tab: this, method: init.method ?? "GET", path, query, init, body: init.body ? JSON.parse(init.body) : null };
    this.world.asked.push(request);
    const route = this.world.routes[path];
    const made = await (typeof route === "function" ? route(request) : route);
    if (!made) throw new TypeError("Failed to fetch");
    if (init.signal.aborted) throw new DOMException("aborted", "AbortError");
    const text = typeof made.body === "string" ? made.body : JSON.stringify(made.body);
    return { status: made.status, text: async () => text, headers: new Headers(made.headers) };
  }
}

function channelClass(world, tab) {
  return class {
    onmessage = null;

    constructor() {
      world.channels.add(this);
      this.tab = tab;
    }

    postMessage(data) {
      const told = structuredClone(data);
      for (const other of world.channels) {
        if (other !== this && other.tab.isAwake) setImmediate(() => other.onmessage?.({ data: told }));
      }
    }

    close() {
      world.channels.delete(this);
    }
  };
}
