// Makes and finds elements. Text is always text: nothing that anybody typed is ever read as markup.

/** @typedef {Node | string | null | undefined | false} Child */
/** @typedef {Record<string, string | number | boolean | null | undefined>} Attributes */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @template {Element} E
 * @param {E} made
 * @param {Attributes} attributes
 * @param {Child[]} children
 * @returns {E}
 */
const filled = (made, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  for (const child of children) if (child || child === "") made.append(child);
  return made;
};

/**
 * An HTML element.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Attributes} [attributes]
 * @param {...Child} children
 */
export const element = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);

/**
 * An SVG element.
 *
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} name
 * @param {Attributes} [attributes]
 * @param {...Child} children
 */
export const drawn = (name, attributes = {}, ...children) => filled(document.createElementNS(SVG, name), attributes, children);

/**
 * The element of the page with that id.
 *
 * @template {HTMLElement} [E=HTMLElement]
 * @param {string} id
 */
export const byId = (id) => {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return /** @type {E} */ (found);
};

/**
 * A button that does something; while it does, it can't be pressed again.
 *
 * @param {string} text
 * @param {() => unknown} act
 * @param {Attributes} [attributes]
 */
export const button = (text, act, attributes = {}) => {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", () => busy(made, act));
  return made;
};

/**
 * @param {HTMLElement} control
 * @param {() => unknown} act
 */
export const busy = async (control, act) => {
  // Not `disabled`: that would take the focus away from whoever uses the keyboard.
  if (control.getAttribute("aria-disabled") === "true") return;
  control.setAttribute("aria-disabled", "true");
  try {
    await act();
  } finally {
    control.removeAttribute("aria-disabled");
  }
};

/**
 * Puts *text* there if it is not there already, so that screen readers hear of changes only.
 *
 * @param {Element} place
 * @param {string} text
 */
export const write = (place, text) => {
  if (place.textContent !== text) place.textContent = text;
};

/**
 * Has *wanted*, in this order, be all that stands in *place*. What stands right already is not touched: to move something
 * is to take the focus from it.
 *
 * @param {Element} place
 * @param {Element[]} wanted
 */
export const arrange = (place, wanted) => {
  const kept = new Set(wanted);
  for (const shown of [...place.children]) if (!kept.has(shown)) shown.remove();
  wanted.forEach((shown, at) => {
    if (place.children[at] !== shown) place.insertBefore(shown, place.children[at] ?? null);
  });
};
