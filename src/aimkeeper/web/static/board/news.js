// What happened lately, the latest first; and one fact in words.
import { byId, element } from "./dom.js";
import { addressOf } from "./row.js";
import { moving } from "./time.js";
import { brought, BY_ITS_OWNER, CAUSES, happened } from "./words.js";

/** @typedef {import("./api.js").Fact} Fact */

const MOST = 12;
// Routine of the page itself: whoever looks at it knows.
const NO_NEWS = ["signed_in"];

/**
 * What there is to say beside the name of the event.
 *
 * @param {Fact} fact
 */
export const detail = ({ kind, data }) => {
  if (kind === "ended") return CAUSES[String(data.cause)] ?? String(data.cause);
  if (kind === "in_doubt" && data.reason) return brought(String(data.reason)).name;
  if (kind === "operator_acted") return `${data.act}, by ${data.by}`;
  if (kind === "credentials_read" || kind === "verdicts_released" || kind === "signed_in") return data.by ? `by ${data.by}` : "";
  if (kind === "logged_in" && data.by) return `by ${data.by}`;
  if (kind === "healed" && Number(data.after_attempts) > 1) return `after ${data.after_attempts} tries`;
  if (kind === "foreign_write") return data.old ? "an old one, which was undone" : "";
  if (kind === "revived") return data.by === "hand" ? "by hand" : "by an answer that came late";
  if (kind === "relogin_failed" && data.problem) return String(data.problem).replaceAll("_", " ");
  return "";
};

/** @param {Fact} fact */
export const toneOf = ({ kind, data }) => (kind === "ended" && BY_ITS_OWNER.includes(String(data.cause)) ? "plain" : happened(kind).tone);

/** Adds *fact* on top. @param {Fact} fact */
export const showFact = (fact) => {
  const list = byId("news");
  if (NO_NEWS.includes(fact.kind) || list.querySelector(`[data-id="${CSS.escape(fact.id)}"]`)) return;
  const more = detail(fact);
  list.prepend(
    element(
      "li",
      { "data-id": fact.id, "data-tone": toneOf(fact) },
      element("span", { class: "what" }, happened(fact.kind).name, more ? element("small", {}, ` ${more}`) : null),
      element("span", { class: "where" }, fact.email && fact.session ? element("a", { href: addressOf(fact.session) }, fact.email) : "all sessions", " · ", moving(fact.at, "ago")),
    ),
  );
  while (list.children.length > MOST) list.lastElementChild?.remove();
  byId("no-news").hidden = true;
};
