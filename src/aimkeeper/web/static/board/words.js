// What the words of the API mean, for people. A test compares them with the program's own lists.

/** @type {Record<string, {name: string, tone: string, means: string}>} */
export const STATES = {
  active: { name: "Kept alive", tone: "good", means: "It is rotated whenever it is due." },
  in_doubt: {
    name: "In doubt",
    tone: "warn",
    means: "A request went out and no clear answer came: it may have rotated. It goes before all others.",
  },
  suspected: {
    name: "Suspected",
    tone: "held",
    means: "AimHarder says it is over, but says so of too many at once, or fails nearly everybody. The verdict is held back.",
  },
  token_lost: { name: "Token lost", tone: "warn", means: "Its cookies live, but AimHarder refuses its token: log in again." },
  ended: { name: "Ended", tone: "bad", means: "It is over." },
};

/** Why a session ended. @type {Record<string, string>} */
export const CAUSES = {
  server_ended: "AimHarder ended it (a login elsewhere, a changed password or its own reasons)",
  double_spent: "an answer of AimHarder's was lost, and it took the second try for a theft",
  idle_timeout: "it was not rotated in time",
  token_expired: "its token reached the end of its life",
  logged_out_here: "it was logged out here",
  superseded_by_login: "a newer login took its place",
  bad_credentials: "the remembered password is no longer right",
  forgotten: "it was forgotten here",
  unknown: "AimHarder refused it from the start: the token was old, or used elsewhere meanwhile",
};
export const BY_ITS_OWNER = ["logged_out_here", "forgotten"];

/** What happened, by kind of event. @type {Record<string, {name: string, tone: string}>} */
export const KINDS = {
  logged_in: { name: "Logged in", tone: "good" },
  adopted: { name: "Taken over", tone: "good" },
  foreign_write: { name: "Another program wrote its token", tone: "warn" },
  in_doubt: { name: "In doubt: no whole answer came", tone: "warn" },
  healed: { name: "Healed: it rotated again", tone: "good" },
  suspicion: { name: "AimHarder said “logout”; not believed yet", tone: "warn" },
  spare_kept: { name: "A fresh token was put aside", tone: "plain" },
  spare_used: { name: "A token put aside turned out to be the live one", tone: "good" },
  token_lost: { name: "Token lost: log in again", tone: "bad" },
  suspected: { name: "Its end is held back", tone: "held" },
  ended: { name: "Ended", tone: "bad" },
  revived: { name: "Brought back", tone: "good" },
  wiped: { name: "Its secrets were wiped", tone: "plain" },
  relogin_failed: { name: "The remembered password did not bring it back", tone: "bad" },
  setrefresh_failed: { name: "Logged in, but its setrefresh was given up", tone: "warn" },
  holder_conflict: { name: "Two programs use this session’s tokens", tone: "bad" },
  credentials_read: { name: "Live credentials were handed out", tone: "plain" },
  bearer_issued: { name: "A bot was lent its credentials", tone: "plain" },
  bearers_revoked: { name: "What bots were lent is taken back", tone: "plain" },
  claimed: { name: "A browser became its member here", tone: "plain" },
  operator_acted: { name: "An operator acted", tone: "plain" },
  signed_in: { name: "This page was opened", tone: "plain" },
  outage_began: { name: "AimHarder fails nearly everybody", tone: "bad" },
  outage_ended: { name: "AimHarder answers again", tone: "good" },
  throttled: { name: "AimHarder asked everybody to wait", tone: "warn" },
  verdicts_held: { name: "Too many logouts at once: ends are held back", tone: "held" },
  verdicts_released: { name: "Ends are declared again", tone: "good" },
  paused: { name: "Paused by an operator", tone: "held" },
  resumed: { name: "Goes on", tone: "good" },
  store_copied: { name: "This database is a copy: nothing is sent", tone: "bad" },
  taken_over: { name: "This database is the one", tone: "good" },
  store_moved: { name: "The sessions moved to another database", tone: "held" },
  at_risk: { name: "Sessions are at risk: not rotated for 29 minutes", tone: "bad" },
  safe_again: { name: "None is at risk any more", tone: "good" },
  rate_too_low: { name: "More rotations are needed than allowed", tone: "warn" },
  rate_enough: { name: "The allowed rate suffices again", tone: "good" },
  clock_jumped: { name: "The clock was set, or the machine slept", tone: "plain" },
};

/** What an exchange brought. @type {Record<string, {name: string, tone: string}>} */
export const BROUGHT = {
  rotated: { name: "a new token", tone: "good" },
  logged_out: { name: "a logout", tone: "bad" },
  alive: { name: "alive", tone: "good" },
  dead: { name: "dead", tone: "bad" },
  unclear: { name: "no clear word", tone: "warn" },
  unreachable: { name: "no connection; nothing was sent", tone: "warn" },
  rate_limited: { name: "“slower, please” (429)", tone: "warn" },
  forbidden: { name: "this machine’s address is refused (403)", tone: "bad" },
  rejected: { name: "a refusal (4xx)", tone: "warn" },
  broken_off: { name: "half an answer: the connection broke", tone: "warn" },
  timed_out: { name: "no answer in time", tone: "warn" },
  server_error: { name: "an error of AimHarder’s (5xx)", tone: "warn" },
  overloaded: { name: "“overloaded” (503)", tone: "warn" },
  unreadable: { name: "something nobody can read", tone: "warn" },
  too_large: { name: "an answer too large to read", tone: "warn" },
  strange_token: { name: "a token of another account", tone: "bad" },
  holder_died: { name: "nothing: the process died that sent it", tone: "warn" },
};

/** Through what an exchange went. @type {Record<string, string>} */
export const VIAS = {
  token_update: "Rotation",
  setrefresh: "Setrefresh",
  spare: "Token put aside, presented",
  whoami: "Asked whether it lives",
  login: "Login",
  adopt: "Taken over",
};

/** How AimHarder is. @type {Record<string, {name: string, tone: string, means: string}>} */
export const UPSTREAM = {
  well: { name: "Answers", tone: "good", means: "Rotations go out as they come due." },
  out: { name: "Fails", tone: "bad", means: "It fails nearly everybody: one request at a time asks whether it is back, and no end is declared." },
  returning: { name: "Coming back", tone: "warn", means: "It answers again: the rate is raised step by step." },
  throttled: { name: "Wants us slower", tone: "warn", means: "It asked everybody to wait." },
};

/** @param {string} word a word nobody told this page of */
const plain = (word) => ({ name: word.replaceAll("_", " "), tone: "plain", means: "" });

/** @param {string} status */
export const state = (status) => STATES[status] ?? plain(status);
/** @param {string} kind */
export const happened = (kind) => KINDS[kind] ?? plain(kind);
/** @param {string} what */
export const brought = (what) => BROUGHT[what] ?? plain(what);
/** @param {string} name */
export const upstream = (name) => UPSTREAM[name] ?? plain(name);
