// One row of the table: how a session stands. Changed in place, so that nobody loses his place in it.
import { act, pathOf, secondsUntil } from "./api.js";
import { attempt } from "./say.js";
import { button, element, write } from "./dom.js";
import { moving, placeMoving, span } from "./time.js";
import { brought, CAUSES, BY_ITS_OWNER, state, VIAS } from "./words.js";

/** @typedef {import("./api.js").Session} Session */

/** @param {Session} session */
export const canRevive = (session) => session.status === "ended" && Boolean(session.wipe_at) && !BY_ITS_OWNER.includes(session.cause ?? "");

/** @param {string} id */
export const addressOf = (id) => `/sessions/${encodeURIComponent(id)}`;

/** @param {Session} session */
export const pill = (session) => element("span", { class: "pill", "data-tone": state(session.status).tone }, state(session.status).name);

/**
 * The last exchanges as a row of marks, the latest on the right; their shape tells as much as their colour.
 *
 * @param {Session} session
 * @param {number} most
 */
export const ring = (session, most) => {
  const turns = session.turns.slice(-most);
  const good = turns.filter((turn) => brought(turn.what).tone === "good").length;
  const marks = turns.map((turn) => {
    const { name, tone } = brought(turn.what);
    return element("span", { "data-tone": tone, title: `${new Date(turn.at * 1000).toLocaleTimeString()}: ${VIAS[turn.via] ?? turn.via} brought ${name}` });
  });
  return element("span", { class: "ring", role: "img", "aria-label": turns.length ? `${good} of the last ${turns.length} exchanges went well` : "nothing exchanged yet" }, ...marks);
};

/** @param {Session} session */
const outcome = (session) => {
  // The rest of it, in brackets, stands on the session's own page.
  if (session.status === "ended") return (CAUSES[session.cause ?? ""] ?? "nobody knows why").replace(/ \(.*\)$/, "");
  const last = session.turns.at(-1);
  if (!last) return "nothing yet";
  const { name } = brought(last.what);
  return last.what === "rotated" ? name : `${name}${session.attempt > 1 ? `, ${session.attempt} times` : ""}`;
};

/** @param {Session} session */
const meter = (session) => {
  const whole = (Date.parse(session.deadline_at) - Date.parse(session.rotated_at)) / 1000;
  const share = Math.max(Math.min(secondsUntil(session.deadline_at) / whole, 1), 0);
  return { share, tone: share < 0.25 ? "bad" : share < 0.66 ? "warn" : "good" };
};

/** An e-mail that is cut before its @ where it must be cut at all. @param {string} email */
const breakable = (email) => [email.slice(0, email.indexOf("@")), element("wbr"), email.slice(email.indexOf("@"))];

/** @param {Session} session @param {() => void} again */
const action = (session, again) => {
  const wanted = session.status === "ended" ? (canRevive(session) ? "revive" : "") : "rotate";
  if (!wanted) return null;
  const verb = wanted === "rotate" ? "Rotate" : "Revive";
  const made = button(verb, async () => {
    await attempt(
      () => act("POST", `${pathOf(session.id)}/${wanted}`),
      wanted === "rotate" ? `${session.email} has a new token.` : `${session.email} is brought back, and asked at once.`,
    );
    again();
  });
  made.className = "small";
  made.dataset.act = wanted;
  made.setAttribute("aria-label", `${verb} ${session.email} now`);
  return made;
};

/**
 * A row to be filled by `show`.
 *
 * @param {Session} session
 */
export const newRow = (session) => {
  const who = element("a", { href: addressOf(session.id) });
  return element(
    "tr",
    { "data-id": session.id },
    element("th", { scope: "row" }, who, element("small", { class: "device" }), element("span", { class: "beside" })),
    element("td", { class: "status" }),
    element("td", { class: "due" }),
    element("td", { class: "left" }, element("span", { class: "meter", "aria-hidden": "true" }, element("i")), element("span", { class: "when" })),
    element("td", { class: "outcome" }, element("span", { class: "what" }), element("small", { class: "at" })),
    element("td", { class: "lately" }),
    element("td", { class: "act" }),
  );
};

/**
 * Shows how *session* stands now in its row.
 *
 * @param {HTMLElement} row
 * @param {Session} session
 * @param {() => void} again
 */
export const show = (row, session, again) => {
  const told = JSON.stringify(session);
  const left = meter(session);
  const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (row.querySelector(name));
  part(".meter").dataset.tone = left.tone;
  /** @type {HTMLElement} */ (part(".meter").firstElementChild).style.width = `${left.share * 100}%`;
  if (row.dataset.told === told) return;
  row.dataset.told = told;
  row.dataset.status = session.status;
  if (part("a").textContent !== session.email) part("a").replaceChildren(...breakable(session.email));
  write(part(".device"), session.ref ? `your id ${session.ref}` : `device ${session.fingerprint.slice(0, 8)}…`);
  for (const name of [".status", ".beside"]) part(name).replaceChildren(pill(session));
  const over = session.status === "ended";
  placeMoving(part(".due"), over ? null : session.due_at, "due");
  part(".meter").hidden = over;
  placeMoving(part(".when"), over ? null : session.deadline_at, "left");
  write(part(".what"), outcome(session));
  const at = over ? session.ended_at : (session.turns.at(-1) && new Date((session.turns.at(-1)?.at ?? 0) * 1000).toISOString());
  part(".at").replaceChildren(...(at ? [moving(at, "ago")] : []));
  part(".lately").replaceChildren(ring(session, 10));
  const wanted = action(session, again);
  const known = /** @type {HTMLElement | null} */ (part(".act").firstElementChild);
  if (known?.dataset.act !== wanted?.dataset.act) part(".act").replaceChildren(...(wanted ? [wanted] : []));
  row.title = over && session.wipe_at && canRevive(session) ? `It can be revived for another ${span(secondsUntil(session.wipe_at))}.` : "";
};
