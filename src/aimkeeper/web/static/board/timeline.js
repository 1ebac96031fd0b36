// What a session went through: its last exchanges and its events in one line of time, the latest first.
import { look, pathOf } from "./api.js";
import { arrange, busy, byId, element } from "./dom.js";
import { detail, toneOf } from "./news.js";
import { dateAndTime, duration, timeOfDay } from "./time.js";
import { brought, happened, VIAS } from "./words.js";

/**
 * @typedef {import("./api.js").Fact} Fact
 * @typedef {import("./api.js").Turn} Turn
 * @typedef {{key: string, at: number, made: () => HTMLElement}} Entry
 */

const PAGE = 50;
/** Events that were read, by id. @type {Map<string, Fact>} */
const facts = new Map();
/** @type {string | null} */
let older = null;
let beyond = false;

/** @param {string} key @param {number} at @param {string} tone @param {string} name @param {string} more */
const entry = (key, at, tone, name, more) =>
  element(
    "li",
    { "data-key": key, "data-tone": tone },
    element("time", { datetime: new Date(at).toISOString(), title: dateAndTime(at) }, timeOfDay(at)),
    element("span", { class: "what" }, name, more ? element("small", {}, ` ${more}`) : null),
  );

/** What is worth reading in an event's evidence. @param {Fact} fact */
const evidence = ({ data }) => {
  if (!Array.isArray(data.evidence)) return "";
  const told = data.evidence.map((turn) => (turn && typeof turn === "object" && "what" in turn ? brought(String(turn.what)).name : String(turn)));
  return told.length ? `(came: ${told.join(", ")})` : "";
};

/** @param {Turn} turn @returns {Entry} */
const ofTurn = (turn) => {
  const { name, tone } = brought(turn.what);
  const at = turn.at * 1000;
  const key = `turn ${turn.at} ${turn.via} ${turn.what}`;
  return { key, at, made: () => entry(key, at, tone, `${VIAS[turn.via] ?? turn.via}: ${name}`, turn.took_ms >= 0 ? duration(turn.took_ms / 1000) : "") };
};

/** @param {Fact} fact @returns {Entry} */
const ofFact = (fact) => {
  const at = Date.parse(fact.at);
  const key = `fact ${fact.id}`;
  return { key, at, made: () => entry(key, at, toneOf(fact), happened(fact.kind).name, [detail(fact), evidence(fact)].filter(Boolean).join(" ")) };
};

/** @type {Turn[]} */
let turns = [];

const show = () => {
  const list = byId("timeline");
  const known = new Map([...list.children].map((shown) => [/** @type {HTMLElement} */ (shown).dataset.key, shown]));
  const entries = [...turns.map(ofTurn), ...[...facts.values()].map(ofFact)].sort((one, other) => other.at - one.at);
  arrange(list, entries.map(({ key, made }) => known.get(key) ?? made()));
  byId("older").hidden = !older;
  byId("nothing-yet").hidden = entries.length > 0;
};

/** @param {string} id */
export const lookAtTimeline = async (id) => {
  const read = await look(`${pathOf(id)}/rotations?limit=${PAGE}`);
  turns = read.rotations;
  for (const fact of read.events) facts.set(fact.id, fact);
  if (!beyond) older = read.next;
  show();
};

/** @param {string} id */
export const beginTimeline = (id) => {
  const more = byId("older");
  more.addEventListener("click", () =>
    busy(more, async () => {
      const read = await look(`${pathOf(id)}/rotations?limit=${PAGE}&before=${older}`);
      for (const fact of read.events) facts.set(fact.id, fact);
      older = read.next;
      beyond = true;
      show();
    }),
  );
};
