// Dialogs: a question before what can't be undone, and forms that stay open until they worked.
import { sentenceOf } from "./api.js";
import { busy, byId, element, write } from "./dom.js";

/** Opens a dialog; whoever closes it is back where he was. @param {HTMLDialogElement} dialog */
export const open = (dialog) => {
  dialog.returnValue = "";
  dialog.showModal();
};

/**
 * Whether whoever is asked says yes.
 *
 * @param {string} title
 * @param {string} text
 * @param {string} yes
 * @returns {Promise<boolean>}
 */
export const confirmed = (title, text, yes) => {
  const dialog = /** @type {HTMLDialogElement} */ (byId("ask"));
  dialog.replaceChildren(
    element(
      "form",
      { method: "dialog" },
      element("h2", { id: "ask-title" }, title),
      element("p", {}, text),
      element("div", { class: "buttons" }, element("button", { value: "no", autofocus: true }, "Leave it"), element("button", { value: "yes", class: "danger" }, yes)),
    ),
  );
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    open(dialog);
  });
};

/**
 * Has a form do its work when it is sent: it closes when that went well, and says what did not.
 *
 * @param {HTMLFormElement} form with a place for trouble, `.trouble`
 * @param {(given: FormData) => Promise<unknown>} work
 */
export const sends = (form, work) => {
  const trouble = /** @type {HTMLElement} */ (form.querySelector(".trouble"));
  const sender = /** @type {HTMLElement} */ (form.querySelector("button:not([type=button])"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    write(trouble, "");
    busy(sender, async () => {
      try {
        await work(new FormData(form));
        // A password does not wait in the page for whoever comes next.
        form.reset();
        form.closest("dialog")?.close();
      } catch (error) {
        write(trouble, sentenceOf(error));
      }
    });
  });
};

/**
 * Has every button of the page that names a dialog open it, and every one in it that says so close it.
 */
export const beginDialogs = () => {
  for (const opener of document.querySelectorAll("[data-opens]")) {
    opener.addEventListener("click", () => open(/** @type {HTMLDialogElement} */ (byId(opener.getAttribute("data-opens") ?? ""))));
  }
  for (const dialog of document.querySelectorAll("dialog")) {
    for (const closer of dialog.querySelectorAll("[data-closes]")) closer.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      for (const form of dialog.querySelectorAll("form[data-forgets]")) /** @type {HTMLFormElement} */ (form).reset();
      for (const trouble of dialog.querySelectorAll(".trouble")) write(trouble, "");
    });
  }
};
