// Says what came of what somebody did: in a line at the bottom of the page, which screen readers read out.
import { sentenceOf } from "./api.js";
import { button, byId, element } from "./dom.js";

const LONG_ENOUGH = 8000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let going;

/**
 * @param {string} text
 * @param {"good" | "bad"} tone what went wrong stays until somebody has read it
 */
export const say = (text, tone) => {
  clearTimeout(going);
  const place = byId("said");
  place.replaceChildren(element("p", { "data-tone": tone }, text), button("Close", () => place.replaceChildren(), { class: "small" }));
  if (tone === "good") going = setTimeout(() => place.replaceChildren(), LONG_ENOUGH);
};

/**
 * Tries something and says what came of it; null where nothing did.
 *
 * @template T
 * @param {() => Promise<T>} work
 * @param {string | ((result: T) => string)} told
 * @returns {Promise<T | null>}
 */
export const attempt = async (work, told) => {
  try {
    const result = await work();
    say(typeof told === "string" ? told : told(result), "good");
    return result;
  } catch (error) {
    say(sentenceOf(error), "bad");
    return null;
  }
};
