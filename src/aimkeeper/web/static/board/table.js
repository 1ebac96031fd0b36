// The table of sessions: searched, filtered, a page at a time. Where somebody is in it stands in the address.
import { look, sentenceOf } from "./api.js";
import { arrange, button, byId, element, write } from "./dom.js";
import { newRow, show } from "./row.js";

/**
 * @typedef {import("./api.js").Session} Session
 * @typedef {import("./api.js").Page} Page
 */

const PAGE = 50;
// Whoever types is not asked about every letter.
const PAUSE = 150;

/** Where we are: what is searched for, which state, from where on, and how we came here. */
const place = {
  q: "",
  show: "",
  /** Where each page began, up to this one. @type {string[]} */
  pages: [""],
};

const readPlace = () => {
  const given = new URLSearchParams(location.search);
  place.q = given.get("q") ?? "";
  place.show = given.get("show") ?? "";
  const after = given.get("after") ?? "";
  const known = history.state?.pages;
  place.pages = Array.isArray(known) && known.at(-1) === after ? known : after ? ["", after] : [""];
};

/** @param {boolean} leaveTrace whether the way back leads to where we were */
const writePlace = (leaveTrace) => {
  const told = new URLSearchParams();
  if (place.q) told.set("q", place.q);
  if (place.show) told.set("show", place.show);
  if (place.pages.at(-1)) told.set("after", place.pages.at(-1) ?? "");
  const address = `${told}` ? `?${told}` : location.pathname;
  history[leaveTrace ? "pushState" : "replaceState"]({ pages: place.pages }, "", address);
};

const addressOfPage = () => {
  const asked = new URLSearchParams({ limit: String(PAGE) });
  if (place.show === "deadline") asked.set("order", "deadline");
  else {
    if (place.show) asked.set("status", place.show);
    if (place.q) asked.set("q", place.q);
    if (place.pages.at(-1)) asked.set("after", place.pages.at(-1) ?? "");
  }
  return `/api/sessions?${asked}`;
};

const nothing = () => {
  if (place.q) return [`No session’s e-mail begins with “${place.q}”${place.show ? " in this state" : ""}.`];
  if (place.show) return ["No session stands here at the moment."];
  return [
    element("b", {}, "Nobody is kept yet."),
    element("span", {}, " Add a session here, or in a terminal: "),
    element("code", {}, "aimkeeper login you@example.com --remember"),
  ];
};

/** @type {() => void} */
let again = () => {};
/** @type {string | null} */
let following = null;

/** @param {Page} page */
const fill = ({ sessions, next }) => {
  const body = byId("sessions");
  const known = new Map([...body.querySelectorAll("tr")].map((row) => [row.dataset.id, row]));
  const rows = sessions.map((session) => {
    const row = known.get(session.id) ?? newRow(session);
    show(row, session, again);
    return row;
  });
  arrange(body, rows);
  following = next;
  byId("none").hidden = sessions.length > 0;
  if (!sessions.length) byId("none").replaceChildren(...nothing());
  byId("list").hidden = !sessions.length;
  const first = (place.pages.length - 1) * PAGE + 1;
  write(byId("shown"), sessions.length ? (place.show === "deadline" ? `The ${sessions.length} that would die first` : `${first.toLocaleString("en")} to ${(first + sessions.length - 1).toLocaleString("en")}`) : "");
  // Not `disabled`: whoever has just pressed it would lose his place on the page.
  byId("earlier").setAttribute("aria-disabled", String(place.pages.length < 2));
  byId("later").setAttribute("aria-disabled", String(!next));
  byId("pages").hidden = place.pages.length < 2 && !next;
  byId("table").removeAttribute("aria-busy");
};

let asked = 0;

/** Reads this page of the table again and shows it; its sessions. */
export const lookAtTable = async () => {
  const ours = (asked += 1);
  try {
    /** @type {Page} */
    const page = await look(addressOfPage());
    // Somebody typed on meanwhile: what comes late is of no use.
    if (ours !== asked) return [];
    byId("list-trouble").hidden = true;
    fill(page);
    return page.sessions;
  } catch (error) {
    if (ours === asked) {
      byId("list-trouble").hidden = false;
      byId("list-trouble").replaceChildren(element("span", {}, `The list can’t be read. ${sentenceOf(error)} `), button("Try again", again, { class: "small" }));
    }
    throw error;
  }
};

/** @param {boolean} [leaveTrace] */
const move = async (leaveTrace = true) => {
  writePlace(leaveTrace);
  byId("table").setAttribute("aria-busy", "true");
  // What went wrong is said where the list stands.
  await lookAtTable().catch(() => {});
  write(byId("found"), byId("none").hidden ? `${byId("sessions").children.length} sessions listed` : (byId("none").textContent ?? ""));
};

const showPlace = () => {
  const search = /** @type {HTMLInputElement} */ (byId("q"));
  if (document.activeElement !== search) search.value = place.q;
  for (const choice of byId("states").querySelectorAll("input")) choice.checked = choice.value === place.show;
};

/** Shows the sessions whose e-mail begins so, whatever was shown before. @param {string} q */
export const search = (q) => {
  Object.assign(place, { q, show: "", pages: [""] });
  showPlace();
  return move();
};

const typing = () => {
  const input = /** @type {HTMLInputElement} */ (byId("q"));
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let pause;
  const found = () => {
    clearTimeout(pause);
    if (input.value.trim() === place.q) return;
    // Those that would die first are in no order to search in.
    if (place.show === "deadline") place.show = "";
    Object.assign(place, { q: input.value.trim(), pages: [""] });
    showPlace();
    move(false);
  };
  input.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(found, PAUSE);
  });
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    found();
  });
  document.addEventListener("keydown", (event) => {
    const writing = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
    if (event.key === "/" && !writing && !event.ctrlKey && !event.metaKey && !event.altKey && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      input.focus();
    }
  });
};

/** @param {() => void} look has the whole page look again */
export const beginTable = (look) => {
  again = look;
  readPlace();
  showPlace();
  typing();
  byId("states").addEventListener("change", (event) => {
    const chosen = /** @type {HTMLInputElement} */ (event.target).value;
    if (chosen === "deadline") place.q = "";
    Object.assign(place, { show: chosen, pages: [""] });
    showPlace();
    move();
  });
  byId("later").addEventListener("click", () => {
    if (!following) return;
    place.pages = [...place.pages, following];
    move().then(() => byId("table").scrollIntoView({ block: "start" }));
  });
  byId("earlier").addEventListener("click", () => {
    if (place.pages.length < 2) return;
    place.pages = place.pages.slice(0, -1);
    move().then(() => byId("table").scrollIntoView({ block: "start" }));
  });
  window.addEventListener("popstate", () => {
    readPlace();
    showPlace();
    lookAtTable().catch(() => {});
  });
};
