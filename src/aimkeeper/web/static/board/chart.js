// Draws a chart as SVG in the colours of the page: bars or lines over slots, an axis, and what lies under the pointer.
import { drawn, element } from "./dom.js";
import { axis, pathOf } from "./scale.js";

/**
 * @typedef {{name: string, tone: string, values: (number | null)[]}} Row
 * @typedef {object} Chart
 * @property {string} title
 * @property {string} about What it shows in one sentence: all that a screen reader gets, beside the table.
 * @property {"bars" | "lines"} kind Bars stand on one another; lines begin with the lowest.
 * @property {Row[]} rows
 * @property {string[]} slots The name of each slot.
 * @property {[number, string][]} marks Below the axis: at which slot's left edge, and what.
 * @property {(value: number) => string} say
 * @property {boolean} [seconds] Whether values are seconds.
 * @property {number} [least] The axis reaches at least so far.
 * @property {[number, number, string]} [zone] From which slot to which another colour lies, and what it means.
 * @property {string} [nothing] What stands there when there is nothing to see.
 */

const LEFT = 46;
const RIGHT = 8;
const TOP = 10;
const BOTTOM = 22;
const HEIGHT = 168;
const NARROWEST = 240;

/**
 * @param {Chart} chart
 * @param {number} width
 */
const measure = (chart, width) => {
  const count = chart.slots.length;
  const most =
    chart.kind === "bars"
      ? Math.max(...chart.slots.map((_, slot) => chart.rows.reduce((sum, row) => sum + (row.values[slot] ?? 0), 0)))
      : Math.max(...chart.rows.flatMap((row) => row.values.map((value) => value ?? 0)));
  const scale = axis(Math.max(most, chart.least ?? 0), { seconds: chart.seconds, whole: chart.kind === "bars" });
  const step = (width - LEFT - RIGHT) / count;
  const floor = HEIGHT - BOTTOM;
  const x = (/** @type {number} */ slot) => LEFT + slot * step;
  const y = (/** @type {number} */ value) => floor - (value / scale.top) * (floor - TOP);
  return { count, scale, step, floor, x, y, width, empty: most === 0 };
};

/** @typedef {ReturnType<typeof measure>} Measure */

/** @param {Chart} chart @param {Measure} on */
const grid = (chart, on) =>
  drawn(
    "g",
    { class: "grid" },
    ...on.scale.marks.flatMap((mark) => [
      drawn("line", { x1: LEFT, x2: on.width - RIGHT, y1: on.y(mark), y2: on.y(mark), class: mark ? "" : "floor" }),
      drawn("text", { x: LEFT - 8, y: on.y(mark) + 4, "text-anchor": "end" }, chart.say(mark)),
    ]),
    ...chart.marks.map(([slot, text]) =>
      drawn("text", { x: on.x(slot), y: HEIGHT - 5, "text-anchor": slot >= on.count ? "end" : slot ? "middle" : "start" }, text),
    ),
  );

/** @param {Chart} chart @param {Measure} on */
const bars = (chart, on) => {
  const made = drawn("g");
  const gap = on.step > 6 ? 2 : on.step > 3 ? 1 : 0;
  for (let slot = 0; slot < on.count; slot += 1) {
    let below = 0;
    for (const row of chart.rows) {
      const value = row.values[slot] ?? 0;
      if (!value) continue;
      // A single failure among thousands is still to be seen.
      const height = Math.max(on.y(below) - on.y(below + value), 2);
      const y = on.y(below) - height;
      made.append(drawn("rect", { x: on.x(slot) + gap / 2, y, width: on.step - gap, height, rx: gap ? 1.5 : 0, class: row.tone }));
      below += value;
    }
  }
  return made;
};

/** @param {Chart} chart @param {Measure} on */
const lines = (chart, on) =>
  drawn(
    "g",
    {},
    ...chart.rows.toReversed().flatMap((row) => {
      const points = row.values.map((value, slot) => /** @type {[number, number] | null} */ (value === null ? null : [on.x(slot + 0.5), on.y(value)]));
      const alone = points.filter((point, slot) => point && !points[slot - 1] && !points[slot + 1]);
      return [
        drawn("path", { d: pathOf(points), class: `line ${row.tone}` }),
        ...alone.map((point) => point && drawn("circle", { cx: point[0], cy: point[1], r: 2.5, class: row.tone })),
      ];
    }),
  );

/** @param {Chart} chart @param {Measure} on */
const zone = (chart, on) => {
  if (!chart.zone || chart.zone[1] <= chart.zone[0]) return null;
  const [from, to, means] = chart.zone;
  return drawn("rect", { x: on.x(from), y: TOP, width: on.x(to) - on.x(from), height: on.floor - TOP, class: "zone" }, drawn("title", {}, means));
};

/**
 * What lies under the pointer, in a box beside it.
 *
 * @param {SVGSVGElement} picture @param {HTMLElement} box @param {Chart} chart @param {Measure} on
 */
const pointing = (picture, box, chart, on) => {
  const hair = drawn("rect", { y: TOP, height: on.floor - TOP, width: Math.max(on.step, 1), class: "hair", visibility: "hidden" });
  picture.append(hair);
  picture.addEventListener("pointermove", (event) => {
    const slot = Math.floor((event.clientX - picture.getBoundingClientRect().left - LEFT) / on.step);
    if (slot < 0 || slot >= on.count) return leave();
    hair.setAttribute("x", String(on.x(slot)));
    hair.setAttribute("visibility", "visible");
    const told = chart.rows.map((row) => {
      const value = row.values[slot];
      return element("li", { class: row.tone }, `${row.name} ${value === null || value === undefined ? "–" : chart.say(value)}`);
    });
    box.replaceChildren(element("b", {}, chart.slots[slot] ?? ""), element("ul", {}, ...told));
    box.hidden = false;
    const right = on.x(slot) > on.width / 2;
    box.style.left = right ? "" : `${on.x(slot) + on.step + 6}px`;
    box.style.right = right ? `${on.width - on.x(slot) + 6}px` : "";
  });
  const leave = () => {
    hair.setAttribute("visibility", "hidden");
    box.hidden = true;
  };
  picture.addEventListener("pointerleave", leave);
};

/** @param {Chart} chart */
const rowsOf = (chart) =>
  element(
    "table",
    {},
    element("caption", { class: "unseen" }, chart.title),
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "When"), ...chart.rows.map((row) => element("th", { scope: "col" }, row.name)))),
    element(
      "tbody",
      {},
      ...chart.slots.map((name, slot) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, name),
          ...chart.rows.map((row) => element("td", {}, row.values[slot] === null || row.values[slot] === undefined ? "–" : chart.say(row.values[slot] ?? 0))),
        ),
      ),
    ),
  );

/** What each figure shows now, for its table. @type {WeakMap<HTMLElement, Chart>} */
const shown = new WeakMap();

/** @type {WeakMap<HTMLElement, {heading: HTMLElement, picture: HTMLElement, numbers: HTMLDetailsElement}>} */
const parts = new WeakMap();

/**
 * The parts of a figure that stay, whatever is drawn: who is in the middle of its table is not thrown out.
 *
 * @param {HTMLElement} figure
 */
const partsOf = (figure) => {
  const known = parts.get(figure);
  if (known) return known;
  const heading = element("div", { class: "heading" });
  const picture = element("div", { class: "picture" });
  const scroll = element("div", { class: "scroll", tabindex: 0, role: "region" });
  const numbers = element("details", { class: "numbers" }, element("summary", {}), scroll);
  numbers.addEventListener("toggle", () => fill(figure, numbers));
  figure.replaceChildren(heading, picture, numbers);
  const made = { heading, picture, numbers };
  parts.set(figure, made);
  return made;
};

/** @param {HTMLElement} figure @param {HTMLDetailsElement} numbers */
const fill = (figure, numbers) => {
  const chart = shown.get(figure);
  const scroll = numbers.querySelector("div");
  if (!numbers.open || !chart || !scroll) return;
  scroll.setAttribute("aria-label", `${chart.title}, as a table`);
  scroll.replaceChildren(rowsOf(chart));
};

/**
 * Draws *chart* into *figure*, in the place of what was there.
 *
 * @param {HTMLElement} figure
 * @param {Chart} chart
 */
export const draw = (figure, chart) => {
  const { heading, picture, numbers } = partsOf(figure);
  shown.set(figure, chart);
  const on = measure(chart, Math.max(picture.clientWidth, NARROWEST));
  const svg = drawn("svg", { width: on.width, height: HEIGHT, role: "img", "aria-label": `${chart.title}. ${chart.about}` });
  svg.append(...[zone(chart, on), grid(chart, on), chart.kind === "bars" ? bars(chart, on) : lines(chart, on)].filter((part) => part !== null));
  const box = element("div", { class: "pointed", hidden: true });
  pointing(svg, box, chart, on);
  const key = chart.rows.map((row) => element("li", { class: row.tone }, row.name));
  if (chart.zone && chart.zone[1] > chart.zone[0]) key.push(element("li", { class: "zone" }, chart.zone[2]));
  heading.replaceChildren(element("h3", {}, chart.title), element("ul", { class: "key", "aria-hidden": "true" }, ...key));
  picture.replaceChildren(svg, ...(on.empty && chart.nothing ? [element("p", { class: "nothing" }, chart.nothing)] : []), box);
  numbers.querySelector("summary")?.replaceChildren("Numbers", element("span", { class: "unseen" }, `: ${chart.title}`));
  fill(figure, numbers);
};
