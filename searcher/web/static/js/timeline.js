// The library's months as bars. A person drags over them to choose dates.

import { next } from "./details.js";
import { h, monthName, plural, svg } from "./dom.js";

const HEIGHT = 64;

/** months: [{month, photos}] newest first. onchoose(after, before) gets two months; before is not included. */
export function timeline(months, { after, before }, onchoose) {
  const dated = months.filter((one) => one.month).reverse();
  if (!dated.length) return h("p", { class: "muted" }, "No photo here has a date.");
  const all = [];
  const counts = new Map(dated.map((one) => [one.month, one.photos]));
  for (let month = dated[0].month; month <= dated.at(-1).month && all.length < 1800; month = next(month)) all.push(month);
  const most = Math.max(...counts.values());
  const inside = (month) => (!after || month >= after.slice(0, 7)) && (!before || month < before.slice(0, 7) || (before.length > 7 && month === before.slice(0, 7) && before.slice(8, 10) !== "01"));
  const bars = all.map((month, at) => {
    const tall = counts.has(month) ? 4 + (HEIGHT - 4) * Math.sqrt(counts.get(month) / most) : 1;
    return svg("rect", { x: at + 0.08, width: 0.84, y: HEIGHT - tall, height: tall, class: inside(month) ? "in" : "out" });
  });
  const chart = svg("svg", { viewBox: `0 0 ${all.length} ${HEIGHT}`, preserveAspectRatio: "none", class: "bars", "aria-hidden": "true" }, ...bars);
  const label = h("span", { class: "muted", "aria-live": "off" }, `${all[0].slice(0, 4)} – ${all.at(-1).slice(0, 4)}`);
  const standard = label.textContent;
  let from = null;
  const at = (event) => {
    const box = chart.getBoundingClientRect();
    return Math.max(0, Math.min(all.length - 1, Math.floor(((event.clientX - box.left) / box.width) * all.length)));
  };
  const mark = (low, high) => bars.forEach((bar, n) => bar.setAttribute("class", n >= low && n <= high ? "in" : "out"));
  chart.addEventListener("pointerdown", (event) => {
    from = at(event);
    chart.setPointerCapture(event.pointerId);
    mark(from, from);
  });
  chart.addEventListener("pointermove", (event) => {
    const to = at(event);
    const [low, high] = from === null ? [to, to] : [Math.min(from, to), Math.max(from, to)];
    const photos = all.slice(low, high + 1).reduce((sum, month) => sum + (counts.get(month) ?? 0), 0);
    label.textContent = `${low === high ? "" : `${monthName(all[low])} – `}${monthName(all[high])}: ${plural(photos, "photo")}`;
    if (from !== null) mark(low, high);
  });
  chart.addEventListener("pointerleave", () => (label.textContent = standard));
  chart.addEventListener("pointerup", (event) => {
    if (from === null) return;
    const to = at(event);
    const [low, high] = [Math.min(from, to), Math.max(from, to)];
    from = null;
    onchoose(all[low], next(all[high]));
  });
  return h("div", { class: "timeline" }, chart, label);
}
