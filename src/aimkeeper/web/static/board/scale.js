// The arithmetic of charts: round numbers for an axis, and where a value lies on it.

const ROUND = [1, 2, 2.5, 5, 10];
// Time is counted in sixties: a second, a minute, an hour, and what divides them.
const ROUND_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

/**
 * The smallest round step by which *wanted* steps reach *most*.
 *
 * @param {number} most
 * @param {number} wanted
 * @param {boolean} seconds
 */
const stepFor = (most, wanted, seconds) => {
  const raw = most / wanted;
  if (seconds) return ROUND_SECONDS.find((step) => step >= raw) ?? raw;
  const power = 10 ** Math.floor(Math.log10(raw));
  return (ROUND.find((factor) => factor * power >= raw) ?? 10) * power;
};

/**
 * An axis from zero to a round number not below *most*.
 *
 * @param {number} most
 * @param {{wanted?: number, seconds?: boolean, whole?: boolean}} [how] whole: of things that can't be halved
 */
export const axis = (most, { wanted = 3, seconds = false, whole = false } = {}) => {
  const step = Math.max(stepFor(most > 0 ? most : wanted, wanted, seconds && most > 0), whole ? 1 : 0);
  const count = Math.max(Math.ceil(most / step - 1e-9), 1);
  const marks = Array.from({ length: count + 1 }, (_, place) => Number((place * step).toPrecision(12)));
  return { top: count * step, marks };
};

/**
 * Points as the path of a line; where there is none the line breaks off.
 *
 * @param {([number, number] | null)[]} points
 */
export const pathOf = (points) => {
  let pen = "M";
  let path = "";
  for (const point of points) {
    if (point) path += `${pen}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
    pen = point ? "L" : "M";
  }
  return path;
};

/**
 * A number, short.
 *
 * @param {number} value
 */
export const short = (value) => {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  if (value >= 1e4) return `${Number((value / 1e3).toPrecision(3))} k`;
  return Number(value.toPrecision(3)).toLocaleString("en");
};
