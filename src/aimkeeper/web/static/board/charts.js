// The four charts of the fleet: what the exchanges brought, how long they took, how late they began, how much time is left.
import { look } from "./api.js";
import { draw } from "./chart.js";
import { byId } from "./dom.js";
import { short } from "./scale.js";
import { duration, hourAndMinute, span } from "./time.js";

/**
 * @typedef {import("./api.js").Series} Series
 * @typedef {import("./api.js").Durations} Durations
 * @typedef {import("./chart.js").Chart} Chart
 */

/** @param {Series} series */
const timeMarks = (series) => {
  const { slots, step_seconds: step } = series;
  // Round times of day, four at most: a chart may be narrow.
  const every = [5, 15, 30, 60, 120, 360].find((minutes) => (slots.length * step) / 60 / minutes <= 4) ?? 360;
  /** @type {[number, string][]} */
  const marks = [];
  slots.forEach((slot, place) => {
    const at = new Date(slot.at);
    const minutes = at.getHours() * 60 + at.getMinutes();
    // Not at the very edges, where a name would be cut.
    if (minutes % every === 0 && place > 1 && place < slots.length - 2) marks.push([place, hourAndMinute(slot.at)]);
  });
  return marks;
};

/** @param {Series} series @returns {Chart} */
const exchanges = (series) => {
  const { slots, step_seconds: step } = series;
  const sum = (/** @type {"rotated" | "failed" | "logged_out"} */ name) => slots.reduce((all, slot) => all + slot[name], 0);
  const per = step === 60 ? "a minute" : `in ${step / 60} minutes`;
  return {
    title: `Rotations ${per}`,
    about: `${sum("rotated")} new tokens, ${sum("failed")} failures and ${sum("logged_out")} logouts in all.`,
    kind: "bars",
    rows: [
      { name: "new tokens", tone: "first", values: slots.map((slot) => slot.rotated) },
      { name: "failures", tone: "warn", values: slots.map((slot) => slot.failed) },
      { name: "logouts", tone: "bad", values: slots.map((slot) => slot.logged_out) },
    ],
    slots: slots.map((slot) => hourAndMinute(slot.at)),
    marks: timeMarks(series),
    say: short,
    nothing: "Nothing was exchanged in this time.",
  };
};

/**
 * @param {Series} series
 * @param {"took" | "late"} name
 * @param {string} title
 * @param {string} nothing
 * @returns {Chart}
 */
const percentiles = (series, name, title, nothing) => {
  const { slots } = series;
  const values = (/** @type {keyof Durations} */ share) => slots.map((slot) => slot[name]?.[share] ?? null);
  const last = slots.findLast((slot) => slot[name])?.[name];
  return {
    title,
    about: last ? `At last half took up to ${duration(last.p50)}, 95 % up to ${duration(last.p95)}, 99 % up to ${duration(last.p99)}.` : nothing,
    kind: "lines",
    rows: [
      { name: "50 %", tone: "first", values: values("p50") },
      { name: "95 %", tone: "second", values: values("p95") },
      { name: "99 %", tone: "third", values: values("p99") },
    ],
    slots: slots.map((slot) => hourAndMinute(slot.at)),
    marks: timeMarks(series),
    say: (value) => (value ? duration(value) : "0"),
    seconds: true,
    least: 0.1,
    nothing,
  };
};

/** @param {Series} series @returns {Chart} */
const slack = ({ slack: { part_seconds: part, past, parts, at_risk_below: risk, sampled, living } }) => {
  const scaled = (/** @type {number} */ count) => Math.round((count * living) / Math.max(sampled, 1));
  // In minutes where that is short: “90 min” tells more than “1 h 30 min”.
  const edge = (/** @type {number} */ place) => {
    const seconds = place * part;
    return !place ? "0" : seconds >= 600 && seconds < 7200 ? `${Math.round(seconds / 60)} min` : span(seconds);
  };
  const whole = sampled < living;
  return {
    title: "Time left until the deadline",
    about: `${whole ? `Of ${sampled} of ${living} sessions, drawn by chance: ` : ""}${scaled(past)} are past it, ${scaled(parts.reduce((a, b) => a + b, 0))} have time left.`,
    kind: "bars",
    rows: [{ name: whole ? "sessions (estimate)" : "sessions", tone: "first", values: [past, ...parts].map(scaled) }],
    slots: ["past it", ...parts.map((_, place) => `${edge(place)} to ${edge(place + 1)}`)],
    marks: [
      [0.5, "past"],
      ...[6, 12].map((place) => /** @type {[number, string]} */ ([place + 1, edge(place)])),
      [parts.length + 1, edge(parts.length)],
    ],
    say: short,
    zone: [0, risk ? Math.min(risk / part, parts.length) + 1 : 1, "at risk"],
    nothing: "No session lives.",
  };
};

// The counts come in every ten seconds.
const EVERY = 10000;
const FEWEST = 15;
let minutes = 60;
let readAt = -Infinity;
/** @type {Series | null} */
let shown = null;

/**
 * Without the time in which there was nothing yet: a fleet that is minutes old is not a speck at the edge of an hour.
 *
 * @param {Series} series
 * @returns {Series}
 */
const trimmed = (series) => {
  const first = series.slots.findIndex((slot) => slot.rotated + slot.failed + slot.logged_out > 0);
  const begin = first < 0 ? 0 : Math.max(Math.min(first, series.slots.length - FEWEST), 0);
  return { ...series, slots: series.slots.slice(begin) };
};

const redraw = () => {
  if (!shown) return;
  draw(byId("exchanges"), exchanges(shown));
  draw(byId("took"), percentiles(shown, "took", "How long exchanges take", "No exchange was measured in this time."));
  draw(byId("late"), percentiles(shown, "late", "How late rotations begin", "No rotation was measured in this time."));
  draw(byId("slack"), slack(shown));
  byId("charts").removeAttribute("aria-busy");
};

/** Reads the counts again where that is worth it, and draws them. */
export const lookAtCharts = async () => {
  if (performance.now() - readAt < EVERY) return;
  readAt = performance.now();
  try {
    const asked = minutes;
    const read = await look(`/api/series?minutes=${asked}`);
    if (asked !== minutes) return;
    shown = trimmed(read);
    redraw();
  } catch (error) {
    readAt = -Infinity;
    throw error;
  }
};

/** @param {() => void} again has the page look again */
export const beginCharts = (again) => {
  for (const choice of byId("hours").querySelectorAll("input")) {
    choice.addEventListener("change", () => {
      minutes = Number(choice.value);
      readAt = -Infinity;
      again();
    });
  }
  let width = 0;
  new ResizeObserver(() => {
    if (byId("charts").clientWidth === width) return;
    width = byId("charts").clientWidth;
    redraw();
  }).observe(byId("charts"));
};
