// The fleet at a glance: how many live, who would die first, how AimHarder is, whether the allowed rate is enough.
import { secondsUntil } from "./api.js";
import { byId, element, write } from "./dom.js";
import { short } from "./scale.js";
import { moving, placeMoving, span } from "./time.js";
import { STATES, upstream } from "./words.js";

/** @typedef {import("./api.js").Status} Status */

const count = (/** @type {number} */ number) => number.toLocaleString("en");

/** @param {Status} status */
const states = (status) => {
  const total = Math.max(status.sessions.total ?? 0, 1);
  for (const name of Object.keys(STATES)) {
    const part = /** @type {HTMLElement} */ (byId("proportion").querySelector(`[data-state="${name}"]`));
    const share = (status.sessions[name] ?? 0) / total;
    // One in ten thousand is still to be seen.
    part.style.flexGrow = String(share);
    part.hidden = !share;
    write(byId(`count-${name}`), count(status.sessions[name] ?? 0));
  }
  write(byId("living"), count(status.sessions.living ?? 0));
  write(byId("count-all"), count(status.sessions.total ?? 0));
  write(byId("of-total"), `of ${count(status.sessions.total ?? 0)} ${status.sessions.total === 1 ? "session" : "sessions"}`);
  write(byId("ended-today"), count(status.sessions.ended_today ?? 0));
};

/** @param {Status} status */
const danger = (status) => {
  const lowest = status.lowest_slack_seconds;
  write(byId("lowest"), lowest === null ? "–" : lowest < 0 ? `−${span(lowest)}` : span(lowest));
  byId("lowest").dataset.tone = lowest !== null && lowest < 0 ? "bad" : "";
  for (const [name, tone] of [["at_risk", "warn"], ["overdue", "warn"], ["failing", "warn"]]) {
    const number = status.sessions[name ?? ""] ?? 0;
    const place = byId(`count-${name}`);
    write(place, count(number));
    place.dataset.tone = number ? tone : "";
  }
};

/** @param {Status} status */
const site = ({ upstream: { state, since, paused } }) => {
  const told = upstream(state);
  write(byId("upstream"), told.name);
  byId("upstream").dataset.tone = told.tone;
  byId("upstream-means").replaceChildren(paused ? "We ask nothing: paused." : told.means, ...(since ? [" Since ", moving(since, "ago"), "."] : []));
};

/** @param {Status} status */
const capacity = ({ rates, sessions }) => {
  // Of a small fleet a fraction of a rotation is due a second: nobody can picture that.
  const per = Math.max(rates.due, rates.measured) < 1 ? 60 : 1;
  const unit = per === 60 ? "a minute" : "a second";
  write(byId("due-rate"), short(rates.due * per));
  write(byId("due-unit"), `due ${unit}`);
  write(byId("rates"), `${short(rates.allowed * per)} allowed, ${short(rates.measured * per)} done lately, ${unit}`);
  const meter = byId("rate-meter");
  const share = Math.min(rates.due / rates.allowed, 1);
  const bar = /** @type {HTMLElement} */ (meter.firstElementChild);
  bar.style.width = `${Math.max(share * 100, sessions.living ? 1 : 0)}%`;
  meter.dataset.tone = rates.enough ? "good" : "bad";
};

/** @param {Status} status */
const keepers = ({ workers }) => {
  const names = workers.map((worker) => worker.name);
  const shown = names.length > 3 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
  write(byId("keepers"), names.length ? `Kept by ${shown}` : "Nobody keeps them");
  const latest = workers.map((worker) => worker.last_tick_at).filter((at) => at !== null).sort().at(-1) ?? null;
  byId("ticked").hidden = latest === null;
  if (latest) placeMoving(byId("ticked-at"), latest, "ago");
};

/**
 * What an operator must know before anything else, each as a sentence.
 *
 * @param {Status} status
 * @returns {{id: string, tone: string, text: (string | Node)[]}[]}
 */
const warnings = (status) => {
  const found = [];
  const { upstream: site, rates, sessions, workers } = status;
  if (site.barred) {
    found.push({ id: "barred", tone: "bad", text: [site.barred.charAt(0).toUpperCase() + site.barred.slice(1)] });
  } else if (site.paused) {
    const until = site.paused_until ? [" It goes on by itself in ", moving(site.paused_until, "left"), "."] : [" It goes on when somebody resumes it."];
    found.push({ id: "paused", tone: "held", text: ["Paused: nothing is sent to AimHarder, and nothing is rotated.", ...until] });
  }
  if (!workers.length && sessions.living) {
    const left = status.lowest_slack_seconds;
    const when = left !== null && left > 0 ? ` The first of them would die in ${span(left)}.` : "";
    found.push({ id: "nobody", tone: "bad", text: [`Nobody keeps these sessions: run “aimkeeper serve” or “aimkeeper worker”.${when}`] });
  }
  if (site.state === "out") {
    found.push({ id: "out", tone: "bad", text: ["AimHarder fails nearly everybody", ...(site.since ? [" since ", moving(site.since, "ago")] : []), ". No end is declared, and one request at a time asks whether it is back."] });
  }
  if (site.verdicts_held_since || sessions.suspected) {
    found.push({ id: "held", tone: "held", text: [`${count(sessions.suspected ?? 0)} ${sessions.suspected === 1 ? "end is" : "ends are"} held back: AimHarder told too many to log out at once. Decide below, or wait until it recovers.`] });
  }
  if (!rates.enough) {
    found.push({ id: "rate", tone: "warn", text: [`The sessions need ${short(rates.due)} rotations a second, and ${short(rates.allowed)} are allowed: raise AIMKEEPER_MAX_RATE, or they will be late.`] });
  }
  return found;
};

/** @param {Status} status */
const warn = (status) => {
  const place = byId("warnings");
  const wanted = warnings(status);
  for (const shown of [...place.children]) {
    if (!wanted.some((warning) => warning.id === shown.id.replace("warning-", ""))) shown.remove();
  }
  for (const { id, tone, text } of wanted) {
    const known = document.getElementById(`warning-${id}`);
    const fresh = element("p", { id: `warning-${id}`, class: "warning", "data-tone": tone }, ...text);
    if (!known) place.append(fresh);
    else if (known.textContent?.replace(/\d.*/, "") !== fresh.textContent?.replace(/\d.*/, "")) known.replaceWith(fresh);
  }
};

/** @param {Status} status */
export const showGlance = (status) => {
  states(status);
  danger(status);
  site(status);
  capacity(status);
  keepers(status);
  warn(status);
  byId("glance").removeAttribute("aria-busy");
  document.title = `${count(status.sessions.living ?? 0)} kept alive · aimkeeper`;
};

/** The milliseconds until the next session on *page* is due, as far as it is worth waiting for. @param {import("./api.js").Session[]} page */
export const untilDue = (page) => {
  const dues = page.filter((session) => session.due_at && session.status !== "ended").map((session) => secondsUntil(session.due_at ?? ""));
  return dues.length ? Math.min(...dues) * 1000 : Infinity;
};
