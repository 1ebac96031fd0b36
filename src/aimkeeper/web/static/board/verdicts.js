// Ends that are held back: listed, and decided by whoever knows better than AimHarder.
import { act, look } from "./api.js";
import { confirmed } from "./ask.js";
import { arrange, busy, byId, element, write } from "./dom.js";
import { addressOf } from "./row.js";
import { attempt } from "./say.js";
import { moving } from "./time.js";

/** @typedef {import("./api.js").Session} Session */

const SHOWN = 20;
/** @type {() => void} */
let again = () => {};

const chosen = () => [...byId("held-list").querySelectorAll("input:checked")].map((box) => /** @type {HTMLInputElement} */ (box).value);

const count = () => {
  const number = chosen().length;
  write(byId("accept-chosen"), `Believe AimHarder on ${number} chosen`);
  byId("accept-chosen").hidden = !number;
};

/** @param {Session} session */
const item = (session) =>
  element(
    "li",
    { "data-id": session.id },
    element("label", {}, element("input", { type: "checkbox", value: session.id }), element("span", { class: "unseen" }, "Choose "), session.email),
    element("span", { class: "where" }, "told to log out ", moving(new Date((session.turns.at(-1)?.at ?? 0) * 1000).toISOString(), "ago"), " · ", element("a", { href: addressOf(session.id) }, "look", element("span", { class: "unseen" }, ` at ${session.email}`))),
  );

/** @param {string[] | null} ids null = all of them */
const accept = async (ids) => {
  const many = ids ? `${ids.length} chosen` : "all";
  const text = "They end, and those with a remembered password log in again. Until their secrets are wiped a revive can undo it.";
  if (!(await confirmed(`Believe AimHarder on ${many}?`, text, "Believe it"))) return;
  let decided = 0;
  await attempt(
    async () => {
      // So many at a time: each may mean a login.
      for (let left = 1; left > 0; ) {
        const answer = await act("POST", "/api/verdicts/accept", ids ? { sessions: ids } : {});
        decided += answer.decided;
        left = ids || !answer.decided ? 0 : answer.remaining;
      }
    },
    () => `${decided} decided: they have ended, or log in again.`,
  );
  again();
};

/** @param {() => void} look */
export const beginVerdicts = (look) => {
  again = look;
  byId("held-list").addEventListener("change", count);
  const on = (/** @type {string} */ id, /** @type {() => Promise<void>} */ work) => {
    const pressed = byId(id);
    pressed.addEventListener("click", () => busy(pressed, work));
  };
  on("accept-all", () => accept(null));
  on("accept-chosen", () => accept(chosen()));
  on("retry-all", async () => {
    await attempt(() => act("POST", "/api/verdicts/retry"), (answer) => `${answer.decided} are tried again, before all others.`);
    again();
  });
};

/**
 * Shows the first of them, where there are any.
 *
 * @param {number} suspected how many there are
 */
export const showVerdicts = async (suspected) => {
  byId("held").hidden = !suspected;
  if (!suspected) return;
  const { sessions } = await look(`/api/verdicts?limit=${SHOWN}`);
  const list = byId("held-list");
  const known = new Map([...list.children].map((shown) => [/** @type {HTMLElement} */ (shown).dataset.id, shown]));
  arrange(list, sessions.map((/** @type {Session} */ session) => known.get(session.id) ?? item(session)));
  write(byId("held-more"), suspected > sessions.length ? `and ${(suspected - sessions.length).toLocaleString("en")} more` : "");
  count();
};
