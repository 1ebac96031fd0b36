// One session in plain words: how it stands, why it died, what to do.
import { secondsUntil } from "./api.js";
import { element } from "./dom.js";
import { canRevive } from "./row.js";
import { moving } from "./time.js";
import { brought, BY_ITS_OWNER, CAUSES, STATES } from "./words.js";

/**
 * @typedef {import("./api.js").Session} Session
 * @typedef {(string | Node)[]} Words
 */

/** @param {Session} session */
export const loginCommand = (session) => `aimkeeper login ${session.email} --fingerprint ${session.fingerprint}${session.remembered ? " --remember" : ""}`;

/** @param {Session} session @param {boolean} kept @returns {Words} */
const alive = (session, kept) => {
  const due = session.due_at;
  if (secondsUntil(session.deadline_at) < 0) {
    return ["It was not rotated in time, and AimHarder may have forgotten it. Its deadline passed ", moving(session.deadline_at, "ago"), "."];
  }
  if (session.attempt) {
    const failed = session.attempt === 1 ? "The last try" : `The last ${session.attempt} tries`;
    const came = session.last_error ? `: what came was ${brought(session.last_error).name}` : "";
    return [`Alive as far as anyone knows. ${failed} failed${came}.`, ...(due && kept ? [" The next comes ", moving(due, "due"), "."] : [])];
  }
  if (!kept) return ["It lives for another ", moving(session.deadline_at, "left"), "."];
  return due ? ["The next rotation comes ", moving(due, "due"), "."] : ["Nothing is to be done: nobody rotates it."];
};

/**
 * How *session* stands.
 *
 * @param {Session} session
 * @param {boolean} kept whether a worker lives that will do what comes next
 * @returns {Words}
 */
export const standing = (session, kept) => {
  switch (session.status) {
    case "active":
      return alive(session, kept);
    case "ended":
      return [...(session.ended_at ? ["It ended ", moving(session.ended_at, "ago"), ": "] : ["It has ended: "]), `${CAUSES[session.cause ?? ""] ?? "nobody knows why"}.`];
    default:
      return [STATES[session.status]?.means ?? "", ...(session.due_at && kept ? [" It is asked again ", moving(session.due_at, "due"), "."] : [])];
  }
};

/**
 * What whoever is responsible does next; nothing where nothing is to be done.
 *
 * @param {Session} session
 * @param {boolean} kept
 * @returns {Words}
 */
export const whatToDo = (session, kept) => {
  const command = element("code", {}, loginCommand(session));
  if (session.status === "ended") {
    if (BY_ITS_OWNER.includes(session.cause ?? "")) return ["Nothing. That was somebody’s wish."];
    const undo = canRevive(session) && session.wipe_at ? [" If AimHarder was wrong, revive it: that can be done for another ", moving(session.wipe_at, "left"), "."] : [];
    return ["Log in again, here or in a terminal: ", command, ...undo];
  }
  if (session.status === "token_lost") return ["Log in again, here or in a terminal: ", command];
  if (!kept) return ["Run ", element("code", {}, "aimkeeper serve"), " or ", element("code", {}, "aimkeeper worker"), ": nobody rotates it now."];
  if (session.status === "suspected") return ["Wait until AimHarder recovers, or decide ", element("a", { href: "/#held" }, "on the page of all sessions"), "."];
  if (session.last_error === "forbidden") return ["AimHarder refuses this machine’s address: set AIMKEEPER_UPSTREAM_PROXY, or run aimkeeper elsewhere."];
  return [];
};
