// Keeps a page up to date: hears of what happens by a stream, looks by itself besides, and says so when it can't.
import { look as fetched, sentenceOf } from "./api.js";
import { byId, write } from "./dom.js";
import { KINDS } from "./words.js";
import { timeOfDay } from "./time.js";

/** @typedef {import("./api.js").Fact} Fact */

// A stream that is broken for less is no news: it ends every quarter of an hour, and comes back by itself.
const GRACE = 4000;
const REOPEN = 5000;
const LONGEST_WAIT = 10000;
// What happened is gathered for a moment, then looked at once.
const GATHER = 150;

/**
 * @typedef {object} Watch
 * @property {() => Promise<number>} look Reads and shows how things stand; milliseconds until it is worth doing again.
 * @property {(fact: Fact) => void} [heard] Of each thing that happens, once.
 * @property {(fact: Fact) => boolean} [concerns] Whether it is worth a look; by default it is.
 */

class Live {
  /** @param {Watch} watch */
  constructor(watch) {
    this.watch = watch;
    /** @type {number | undefined} */
    this.timer = undefined;
    this.failures = 0;
    this.running = false;
    this.again = false;
    this.lastGood = 0;
    this.place = "";
    this.streamLostAt = Date.now();
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.soon(0);
    });
    window.addEventListener("online", () => this.soon(0));
    window.addEventListener("offline", () => this.soon(0));
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.soon(0);
    });
  }

  async begin() {
    await this.round();
    await this.open();
  }

  /**
   * Look again in a while, or sooner where that was to be anyhow.
   *
   * @param {number} milliseconds
   */
  soon(milliseconds) {
    if (this.running) {
      this.again = true;
      return;
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.round(), milliseconds);
  }

  async round() {
    if (this.running) {
      this.again = true;
      return;
    }
    this.running = true;
    this.again = false;
    clearTimeout(this.timer);
    let wait = LONGEST_WAIT;
    try {
      // Nobody looks: nothing is asked. Whoever comes back finds it up to date in a moment.
      if (!document.hidden) {
        wait = await this.watch.look();
        this.failures = 0;
        this.lastGood = Date.now();
        this.trouble = "";
      }
    } catch (error) {
      this.failures += 1;
      this.trouble = sentenceOf(error);
      wait = Math.min(1000 * 2 ** (this.failures - 1), LONGEST_WAIT);
    } finally {
      this.running = false;
    }
    this.tell();
    this.soon(this.again ? GATHER : wait);
  }

  async open() {
    if (!this.place) {
      try {
        // From the latest on: what happened before is in the lists already.
        const { events, next } = await fetched("/api/events?latest=true&limit=12");
        this.place = next;
        for (const fact of events) this.watch.heard?.(fact);
      } catch {
        setTimeout(() => this.open(), REOPEN);
        return;
      }
    }
    const stream = new EventSource(`/api/events?after=${encodeURIComponent(this.place)}`);
    stream.addEventListener("open", () => {
      this.streamLostAt = 0;
      this.tell();
    });
    stream.addEventListener("error", () => {
      this.streamLostAt ||= Date.now();
      setTimeout(() => this.tell(), GRACE);
      // An answer that is no stream is the end of it for the browser; not for us.
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => this.open(), REOPEN);
    });
    for (const kind of Object.keys(KINDS)) {
      stream.addEventListener(kind, (event) => {
        /** @type {Fact} */
        const fact = JSON.parse(event.data);
        this.place = fact.id;
        this.watch.heard?.(fact);
        if (this.watch.concerns?.(fact) ?? true) this.soon(GATHER);
      });
    }
  }

  /** What the page says of itself: whether what it shows is how things stand. */
  tell() {
    const place = byId("live");
    const streaming = !this.streamLostAt || Date.now() - this.streamLostAt < GRACE;
    const [state, text] =
      this.failures > 0
        ? ["lost", this.lastGood ? `${this.trouble} What you see is from ${timeOfDay(this.lastGood)}; trying again…` : `${this.trouble} Trying again…`]
        : !this.lastGood
          ? ["looking", "Looking…"]
          : streaming
            ? ["live", "Live"]
            : ["polling", "No live news at the moment; looking every few seconds"];
    place.dataset.state = state;
    document.documentElement.dataset.live = state;
    write(place, text);
  }
}

/**
 * Begins; returns what has the page look again at once.
 *
 * @param {Watch} watch
 */
export const live = (watch) => {
  const running = new Live(watch);
  running.begin();
  return () => running.soon(0);
};
