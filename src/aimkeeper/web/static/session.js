// The page of one session.
import { beginAdding, logInAgain } from "./board/add.js";
import { act, look, pathOf, Trouble } from "./board/api.js";
import { beginDialogs, confirmed } from "./board/ask.js";
import { busy, byId, element, write } from "./board/dom.js";
import { untilDue } from "./board/glance.js";
import { live } from "./board/live.js";
import { canRevive, pill, ring } from "./board/row.js";
import { attempt } from "./board/say.js";
import { standing, whatToDo } from "./board/story.js";
import { beginTimeline, lookAtTimeline } from "./board/timeline.js";
import { dateAndTime, keepMoving, moving } from "./board/time.js";
import { beginTop } from "./board/top.js";

/** @typedef {import("./board/api.js").Session} Session */

const SOONEST = 1000;
const LATEST = 5000;
const A_MOMENT = 400;

const id = decodeURIComponent(location.pathname.split("/").at(-1) ?? "");
/** @type {Session | null} */
let session = null;
let told = "";

/** @param {string} name @param {...(string | Node)} value */
const fact = (name, ...value) => element("div", {}, element("dt", {}, name), element("dd", {}, ...value));

/** @param {Session} found */
const facts = (found) => [
  fact("Rotations", found.rotations.toLocaleString("en")),
  fact("Last rotated", moving(found.rotated_at, "ago")),
  ...(found.due_at ? [fact("Next rotation", moving(found.due_at, "due"))] : []),
  ...(found.status === "ended" ? [] : [fact("Time left until the deadline", moving(found.deadline_at, "left"))]),
  ...(found.ended_at ? [fact("Ended", dateAndTime(found.ended_at))] : []),
  ...(found.wipe_at ? [fact("Secrets are wiped", moving(found.wipe_at, "due"))] : []),
  fact("Kept since", dateAndTime(found.created_at)),
  fact("Password remembered", found.remembered ? "yes: it logs in again by itself" : "no"),
  fact("Last setrefresh", found.setrefresh_at ? moving(found.setrefresh_at, "ago") : "never"),
  ...(found.spares ? [fact("Tokens put aside", String(found.spares))] : []),
  ...(found.session_type ? [fact("Kind", found.session_type)] : []),
  ...(found.ref ? [fact("Your id", element("code", {}, found.ref))] : []),
  fact("Id", element("code", {}, found.id)),
  fact("Device fingerprint", element("code", {}, found.fingerprint)),
];

/** @param {Session} found @param {boolean} kept */
const show = (found, kept) => {
  const now = JSON.stringify([found, kept]);
  byId("session").removeAttribute("aria-busy");
  byId("gone").hidden = true;
  byId("session").hidden = false;
  if (now === told) return;
  told = now;
  session = found;
  document.title = `${found.email} · aimkeeper`;
  write(byId("email"), found.email);
  if (byId("state").textContent !== pill(found).textContent) byId("state").replaceChildren(pill(found));
  byId("standing").replaceChildren(...standing(found, kept));
  const next = whatToDo(found, kept);
  byId("to-do").hidden = !next.length;
  byId("what-to-do").replaceChildren(...next);
  byId("story").dataset.status = found.status;
  byId("ring").replaceChildren(ring(found, 16));
  byId("facts").replaceChildren(...facts(found));
  const over = found.status === "ended";
  byId("rotate").hidden = over;
  byId("check").hidden = over;
  byId("end").hidden = over;
  byId("revive").hidden = !canRevive(found);
  byId("log-in").hidden = !over && found.status !== "token_lost";
};

const gone = () => {
  session = null;
  told = "";
  byId("session").hidden = true;
  byId("gone").hidden = false;
};

const lookAtIt = async () => {
  try {
    const [status, { session: found }] = await Promise.all([look("/api/status"), look(pathOf(id))]);
    show(found, status.workers.length > 0);
    await lookAtTimeline(id);
    return Math.min(Math.max(untilDue([found]) + A_MOMENT, SOONEST), LATEST);
  } catch (error) {
    if (!(error instanceof Trouble) || error.status !== 404) throw error;
    gone();
    return LATEST;
  }
};

const again = live({ look: lookAtIt, concerns: (fact) => !fact.session || fact.session === session?.id });

/** @param {string} name @param {() => Promise<unknown>} work */
const on = (name, work) => {
  const pressed = byId(name);
  pressed.addEventListener("click", () =>
    busy(pressed, async () => {
      await work();
      // The button may be gone now: whoever pressed it is not to be lost.
      again();
      if (pressed.hidden) byId("email").focus();
    }),
  );
};

const LIFE = {
  alive: "AimHarder knows it: it is alive.",
  dead: "AimHarder does not know it: its cookies are dead. The next rotation finds out the rest.",
  unclear: "AimHarder gave no clear answer. Nothing was spent; ask again in a while.",
};

on("rotate", () => attempt(() => act("POST", `${pathOf(id)}/rotate`), "It has a new token."));
on("check", () => attempt(() => act("POST", `${pathOf(id)}/check`), ({ life }) => LIFE[/** @type {keyof typeof LIFE} */ (life)]));
on("revive", () => attempt(() => act("POST", `${pathOf(id)}/revive`), "It is brought back, and asked at once."));
on("end", async () => {
  const text = "That is final: its secrets are wiped at once and it can’t be revived. AimHarder is not told, for its own logout is believed to end all of the account’s sessions.";
  if (await confirmed(`End ${session?.email ?? "it"}?`, text, "End it")) await attempt(() => act("DELETE", pathOf(id)), "It has ended.");
});
byId("log-in").addEventListener("click", () => session && logInAgain(session));

beginDialogs();
beginTop();
beginTimeline(id);
beginAdding(() => again());
keepMoving();
