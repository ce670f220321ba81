// One photo of the grid: a link with its picture, and a box to select it.

import { h, plural } from "./dom.js";
import * as selection from "./selection.js";
import { href } from "./state.js";

/** A photo of the grid, without its picture. */
export function makeTile(hit) {
  const picture = h("img", { alt: "", draggable: "false", decoding: "async" });
  picture.addEventListener("load", () => picture.classList.add("there"));
  picture.addEventListener("error", () => tile.classList.add("broken"));
  const tile = h(
    "li",
    { class: "tile", dataset: { key: hit.id } },
    h("a", { dataset: { imageId: hit.id } }, picture, h("span", { class: "caption", "aria-hidden": "true" }, h("span", { class: "name" }), h("span", { class: "sure" }))),
    h("button", { type: "button", class: "check", role: "checkbox", tabindex: -1, "aria-label": `Select ${hit.name}`, "aria-checked": String(selection.has(hit.id)) }),
  );
  tile.classList.toggle("chosen", selection.has(hit.id));
  return tile;
}

/** Gives a tile what depends on its place among the results. */
export function fill(tile, hit, index, total, focused) {
  tile.dataset.index = index;
  tile.setAttribute("aria-posinset", index + 1);
  tile.setAttribute("aria-setsize", total);
  const link = tile.firstChild;
  link.href = href({ photo: hit.id, at: index });
  link.tabIndex = focused ? 0 : -1;
  link.setAttribute("aria-label", nameOf(hit));
  tile.querySelector(".name").textContent = hit.name;
  tile.querySelector(".sure").textContent = percent(hit);
}

function percent({ relevance }) {
  return relevance === null ? "" : relevance < 0.01 ? "< 1 %" : `${Math.round(relevance * 100)} %`;
}

function nameOf(hit) {
  const parts = [hit.name];
  if (hit.relevance !== null) parts.push(`${percent(hit)} likely`);
  if (hit.taken_at) parts.push(hit.taken_at.slice(0, 10));
  if (hit.copies?.length) parts.push(plural(hit.copies.length, "copy", "copies"));
  return parts.join(", ");
}
