/**
 * What the tabs of a site share in `localStorage`: the visitor's sign-in, and a note of when somebody asked last.
 *
 * `user-email`, `refreshToken` and `fingerprint` are the site's own keys (those of AimHarder's page and of the apps
 * around it); everything under `aimkeeper:` is ours and holds no secret.
 */

const EMAIL = "user-email";
const TOKEN = "refreshToken";
const FINGERPRINT = "fingerprint";
const NOTE = "aimkeeper:note";

/**
 * The sign-in as it stands in storage. `mark` is equal for equal sign-ins.
 *
 * @typedef {{email: string|null, token: string|null, fingerprint: string|null, mark: string}} SignIn
 */

/**
 * When somebody asked last. It counts only for the sign-in whose `mark` it bears.
 *
 * @typedef {object} Note
 * @property {string} mark
 * @property {number} at      The last success; 0 = none yet.
 * @property {number} tried   The last try, whatever came of it.
 * @property {number} due     The next one.
 * @property {number} attempt Failures since the last success.
 * @property {import("./ways.js").Way|null} way How the last success was had.
 */

/** @typedef {Pick<globalThis.Storage, "getItem"|"setItem"|"removeItem">} Area */
/** @typedef {ReturnType<typeof createStorage>} SharedStorage */

/**
 * @param {Area} area
 */
export function createStorage(area) {
  /** @returns {SignIn} */
  function read() {
    return signIn(area.getItem(EMAIL), area.getItem(TOKEN), area.getItem(FINGERPRINT));
  }

  /** @returns {Note|null} The note of the present sign-in. */
  function readNote() {
    const note = parseNote(area.getItem(NOTE));
    return note && note.mark === read().mark ? note : null;
  }

  /** @param {Note|null} note */
  function writeNote(note) {
    if (note) area.setItem(NOTE, JSON.stringify(note));
    else area.removeItem(NOTE);
  }

  /**
   * The sign-in as it will stand with this token.
   *
   * @param {SignIn} before
   * @param {string} token
   */
  function withToken(before, token) {
    return signIn(before.email, token, before.fingerprint);
  }

  /**
   * The note goes first: a tab that sees the new token then finds a note that speaks of it, and needn't ask.
   *
   * @param {string} token
   * @param {Note} note
   */
  function writeToken(token, note) {
    writeNote(note);
    area.setItem(TOKEN, token);
  }

  /** Forget the sign-in. The fingerprint stays: it names the device, and the next login uses it again. */
  function forget() {
    for (const key of [TOKEN, EMAIL, NOTE]) area.removeItem(key);
  }

  return { read, readNote, writeNote, withToken, writeToken, forget };
}

/**
 * `localStorage`, or a stand-in of this tab alone where a browser forbids it (a sandboxed frame, some private modes).
 *
 * @param {() => Area} open
 * @returns {Area}
 */
export function openArea(open) {
  try {
    const area = open();
    area.getItem(NOTE);
    return {
      getItem: (key) => area.getItem(key),
      setItem: (key, value) => {
        try {
          area.setItem(key, value);
        } catch {
          // Full. The old token stays there, and the service answers it with the present one.
        }
      },
      removeItem: (key) => area.removeItem(key),
    };
  } catch {
    /** @type {Map<string, string>} */
    const kept = new Map();
    return {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
      removeItem: (key) => void kept.delete(key),
    };
  }
}

/**
 * @param {string|null} email
 * @param {string|null} token
 * @param {string|null} fingerprint
 * @returns {SignIn}
 */
function signIn(email, token, fingerprint) {
  // Empty values are what some apps write instead of removing the key.
  const held = { email: email || null, token: token || null, fingerprint: fingerprint || null };
  return { ...held, mark: markOf(JSON.stringify([held.email, held.token, held.fingerprint])) };
}

/**
 * 32 bits by which equal texts are known (FNV-1a). They stand beside the token itself, and say nothing of it.
 *
 * @param {string} text
 */
function markOf(text) {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0).toString(36);
}

/**
 * @param {string|null} text
 * @returns {Note|null}
 */
function parseNote(text) {
  try {
    const { mark, at, tried, due, attempt, way } = JSON.parse(text ?? "null") ?? {};
    const numbers = [at, tried, due, attempt];
    if (typeof mark !== "string" || !numbers.every(Number.isFinite)) return null;
    return { mark, at, tried, due, attempt, way: way === "member" || way === "holder" ? way : null };
  } catch {
    return null;
  }
}
