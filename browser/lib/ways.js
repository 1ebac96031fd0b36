/**
 * How this visitor may ask: by the member cookie, else by one claim, else as holder of a token. Which of them serves
 * is found once and kept until it is refused.
 */

/** @typedef {import("./transport.js").Outcome} Outcome */
/** @typedef {import("./storage.js").SignIn} SignIn */
/** @typedef {"auto"|"member"|"holder"} Mode */
/** @typedef {"member"|"holder"} Way */

/**
 * `nobody`: there is nothing to ask with.
 *
 * @typedef {{outcome: Outcome | {kind: "nobody"}, way: Way|null, held: SignIn}} Asked
 */

/** @typedef {ReturnType<typeof createWays>} Ways */

/** @type {{kind: "nobody"}} */
const nobody = { kind: "nobody" };
const ABSENT = "nothing of aimkeeper's answers there: check where the site sends /api.";

/**
 * @param {object} parts
 * @param {Mode} parts.mode
 * @param {{token?: string, fingerprint?: string}} parts.given By the page.
 * @param {string|undefined} parts.lastFingerprint Used when neither page nor storage has one.
 * @param {boolean} parts.withToken Whether a member's token is wanted too.
 * @param {import("./transport.js").Transport} parts.transport
 */
export function createWays({ mode, given, lastFingerprint, withToken, transport }) {
  /** @type {Way|null} */
  let way = null;
  /** The sign-in for which a claim was refused: it is not asked again. @type {string|null} */
  let claimedFor = null;
  /** The token of a sign-in that is over. The page may go on giving it to us. @type {string|null} */
  let ended = null;

  /**
   * Ask, and when nobody knows us, look once more at what there is to ask with: another tab may have signed in, the
   * cookie may have come or gone.
   *
   * @param {() => SignIn} read
   * @param {AbortSignal} signal
   * @returns {Promise<Asked>}
   */
  async function ask(read, signal) {
    const kept = way;
    const held = read();
    const first = await askOnce(held, null, signal);
    if (first.kind !== "unknown" && first.kind !== "conflict" && first.kind !== "nobody") return report(first, held);
    const present = read();
    // Found just now, and nothing has changed since: there is nowhere else to look.
    if (kept === null && present.mark === held.mark) return report(first, held);
    way = null;
    const refused = holding(held)?.token ?? null;
    const second = await askOnce(present, kept === "member" ? null : refused, signal);
    // A token refused before, and nothing else to show: the first answer stands.
    return second.kind === "nobody" ? report(first, held) : report(second, present);
  }

  /** @param {Asked["outcome"]} outcome @param {SignIn} held @returns {Asked} */
  function report(outcome, held) {
    return { outcome, way, held };
  }

  /**
   * @param {SignIn} held
   * @param {string|null} refused A token that need not be tried again.
   * @param {AbortSignal} signal
   * @returns {Promise<Asked["outcome"]>}
   */
  async function askOnce(held, refused, signal) {
    if (mode === "holder" || way === "holder") return askAsHolder(held, refused, signal);
    const asMember = await askAsMember(held, signal);
    if (way === "member" && asMember.kind === "unknown") return asMember;
    if (asMember.kind === "refreshed") way = "member";
    if (asMember.kind !== "unknown" && asMember.kind !== "absent") return asMember;
    const asHolder = mode === "auto" && way === null ? await askAsHolder(held, refused, signal) : nobody;
    if (asHolder.kind !== "nobody") return asHolder;
    return asMember.kind === "absent" && refused === null ? unavailable(ABSENT) : nobody;
  }

  /** @param {SignIn} held @param {AbortSignal} signal @returns {Promise<Outcome>} */
  async function askAsMember(held, signal) {
    const answer = await transport.session({ withToken, signal });
    if (answer.kind !== "unknown" || claimedFor === held.mark || way === "member") return answer;
    const claimed = await transport.claim(held.email, signal);
    if (claimed.kind === "unavailable" || claimed.kind === "left") return claimed;
    if (claimed.kind === "claimed") return transport.session({ withToken, signal });
    claimedFor = held.mark;
    return answer;
  }

  /**
   * @param {SignIn} held
   * @param {string|null} refused
   * @param {AbortSignal} signal
   * @returns {Promise<Asked["outcome"]>}
   */
  async function askAsHolder(held, refused, signal) {
    const credentials = holding(held);
    if (!credentials || credentials.token === refused || credentials.token === ended) return nobody;
    const answer = await transport.exchange(credentials, signal);
    if (answer.kind === "absent") return unavailable(ABSENT);
    if (answer.kind === "refreshed") way = "holder";
    return answer;
  }

  /**
   * The token and fingerprint to present. A page that was rendered a while ago may carry an older token than storage
   * has by now, and an older one is a second party's once its successor was used.
   *
   * @param {SignIn} held
   * @returns {{token: string, fingerprint: string}|null}
   */
  function holding(held) {
    const fingerprint = given.fingerprint || held.fingerprint || lastFingerprint;
    if (!fingerprint) return null;
    const isSameDevice = held.fingerprint === null || held.fingerprint === fingerprint;
    const stored = isSameDevice || !given.token ? held.token : null;
    const token = given.token && stored ? newer(given.token, stored) : given.token || stored;
    return token ? { token, fingerprint } : null;
  }

  /**
   * The sign-in is over: whoever comes next is asked for from the beginning.
   *
   * @param {SignIn} held
   */
  function forget(held) {
    ended = holding(held)?.token ?? ended;
    way = null;
  }

  return { ask, holding, forget, current: () => way };
}

/** @param {string} message @returns {Outcome} */
function unavailable(message) {
  return { kind: "unavailable", code: "absent", message, status: 404, retryAfter: null };
}

/**
 * The one of two tokens that was issued later: `account|expiry|…`, and the expiry is set anew at every issue. Tokens of
 * two accounts can't be compared: what the page gave is what it means.
 *
 * @param {string} given
 * @param {string} stored
 */
function newer(given, stored) {
  const [ours, theirs] = [given.split("|"), stored.split("|")];
  return ours[0] === theirs[0] && Number(theirs[1]) >= Number(ours[1]) ? stored : given;
}
