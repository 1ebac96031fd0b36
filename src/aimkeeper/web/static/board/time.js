// Times for people. Whoever shows one writes it once; a clock in here moves all of them on.
import { now, secondsUntil } from "./api.js";
import { element, write } from "./dom.js";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * A length of time: its two largest units, as far as they tell anything.
 *
 * @param {number} seconds
 */
export const span = (seconds) => {
  const whole = Math.round(Math.abs(seconds));
  const two = (/** @type {number} */ unit, /** @type {string} */ name, /** @type {number} */ smaller, /** @type {string} */ smallerName) => {
    const rest = Math.floor((whole % unit) / smaller);
    return `${Math.floor(whole / unit)} ${name}${rest ? ` ${rest} ${smallerName}` : ""}`;
  };
  if (whole < MINUTE) return `${whole} s`;
  if (whole < 10 * MINUTE) return two(MINUTE, "min", 1, "s");
  if (whole < HOUR) return `${Math.round(whole / MINUTE)} min`;
  if (whole < 2 * DAY) return two(HOUR, "h", MINUTE, "min");
  return `${Math.round(whole / DAY)} days`;
};

/**
 * A duration as it is measured.
 *
 * @param {number} seconds
 */
export const duration = (seconds) => {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  return span(seconds);
};

/** @type {Record<string, (left: number) => string>} */
const FORMS = {
  // A claim takes a moment: what is due now is not late yet.
  due: (left) => (left >= 0.5 ? `in ${span(left)}` : left > -3 ? "now" : `${span(left)} late`),
  left: (left) => (left > 0 ? `${span(left)}` : `passed ${span(left)} ago`),
  ago: (left) => (left > -1 ? "just now" : `${span(left)} ago`),
};

const DATE_AND_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const HOUR_AND_MINUTE = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** @param {string | number} moment */
export const dateAndTime = (moment) => DATE_AND_TIME.format(new Date(moment));
/** @param {string | number} moment */
export const timeOfDay = (moment) => (Math.abs(now() - new Date(moment).getTime()) < 12 * HOUR * 1000 ? TIME : DATE_AND_TIME).format(new Date(moment));
/** @param {string | number} moment */
export const hourAndMinute = (moment) => HOUR_AND_MINUTE.format(new Date(moment));

/** @param {HTMLTimeElement} shown */
const move = (shown) => write(shown, FORMS[shown.dataset.form ?? "ago"]?.(secondsUntil(shown.dateTime)) ?? "");

/**
 * A moment told by how far off it is, for as long as it is shown.
 *
 * @param {string} iso
 * @param {"due" | "left" | "ago"} form
 */
export const moving = (iso, form) => {
  const shown = element("time", { datetime: iso, title: dateAndTime(iso), "data-form": form });
  move(shown);
  return shown;
};

/**
 * The same, in the place of an older one; nothing without a moment.
 *
 * @param {Element} place
 * @param {string | null} iso
 * @param {"due" | "left" | "ago"} form
 */
export const placeMoving = (place, iso, form) => {
  const shown = place.querySelector("time");
  if (iso && shown && shown.dataset.form === form) {
    if (shown.dateTime !== iso) {
      shown.dateTime = iso;
      shown.title = dateAndTime(iso);
    }
    move(shown);
  } else place.replaceChildren(iso ? moving(iso, form) : "–");
};

/** Moves every time on the page, each second while somebody looks. */
export const keepMoving = () => {
  setInterval(() => {
    if (!document.hidden) document.querySelectorAll("time[data-form]").forEach((shown) => move(/** @type {HTMLTimeElement} */ (shown)));
  }, 1000);
};
