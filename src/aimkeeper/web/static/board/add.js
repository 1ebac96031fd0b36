// Adds a session: by logging in, or by taking over one that was made elsewhere.
import { act } from "./api.js";
import { open, sends } from "./ask.js";
import { byId } from "./dom.js";
import { say } from "./say.js";

/**
 * What a browser sends as its Cookie header, as a list.
 *
 * @param {string} text
 */
export const readCookies = (text) =>
  text
    .replace(/^\s*cookie:/i, "")
    .split(/[;\n]/)
    .map((pair) => pair.trim())
    .filter((pair) => pair.indexOf("=") > 0)
    .map((pair) => ({ name: pair.slice(0, pair.indexOf("=")).trim(), value: pair.slice(pair.indexOf("=") + 1).trim() }));

/** @param {FormData} given @param {string} name */
const text = (given, name) => String(given.get(name) ?? "").trim() || undefined;

/**
 * @param {(email: string) => unknown} added what to do once somebody is kept
 */
export const beginAdding = (added) => {
  const dialog = byId("add");
  const ways = dialog.querySelectorAll("input[name=way]");
  const show = () => {
    for (const way of ways) byId(`by-${/** @type {HTMLInputElement} */ (way).value}`).hidden = !(/** @type {HTMLInputElement} */ (way).checked);
  };
  for (const way of ways) way.addEventListener("change", show);
  show();

  sends(/** @type {HTMLFormElement} */ (byId("by-login")), async (given) => {
    const email = text(given, "email");
    await act("POST", "/api/auth/login", { email, password: String(given.get("password")), fingerprint: text(given, "fingerprint"), remember: given.has("remember") });
    say(`${email} is logged in, and kept from now on.`, "good");
    await added(email ?? "");
  });

  sends(/** @type {HTMLFormElement} */ (byId("by-adopting")), async (given) => {
    const cookies = readCookies(String(given.get("cookies") ?? ""));
    const email = text(given, "email");
    await act("POST", "/api/sessions", {
      email,
      token: text(given, "token"),
      fingerprint: text(given, "fingerprint"),
      cookies: cookies.length ? cookies : undefined,
      ref: text(given, "ref"),
      replace: given.has("replace"),
    });
    say(`${email} is taken over, and kept from now on.`, "good");
    await added(email ?? "");
  });
};

/**
 * Opens the form of the login, with what is known of a session already.
 *
 * @param {{email: string, fingerprint: string, remembered: boolean}} session
 */
export const logInAgain = (session) => {
  const form = /** @type {HTMLFormElement} */ (byId("by-login"));
  const field = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
  open(/** @type {HTMLDialogElement} */ (byId("add")));
  field("email").value = session.email;
  field("fingerprint").value = session.fingerprint;
  field("remember").checked = session.remembered;
  field("password").focus();
};
