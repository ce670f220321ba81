// The filters in words: one chip each.

import { h, icon, iconButton } from "./dom.js";
import { go, state } from "./state.js";

export const KINDS = { "zero-shot": "found by searcher", taught: "taught", user: "given by hand", file: "from files" };
const SIZES = { 1000000: "1 megapixel", 4000000: "4 megapixels", 12000000: "12 megapixels", 24000000: "24 megapixels" };

const folderName = (path) => path.split("/").filter(Boolean).at(-1) ?? path;

function near(value) {
  const [latitude, longitude, km] = value.split(",");
  return Number.isNaN(Number(latitude)) ? `near ${value}` : `within ${km ?? 10} km of ${Number(latitude).toFixed(2)}, ${Number(longitude).toFixed(2)}`;
}

const WORDS = {
  after: (value) => `from ${value}`,
  before: (value) => `before ${value}`,
  camera: (value) => value,
  near,
  folder: (value) => `in ${folderName(value)}`,
  name: (value) => `named ${value}`,
  rating: (value) => `${"★".repeat(value)}${value < 5 ? " or more" : ""}`,
  min_pixels: (value) => `at least ${SIZES[value] ?? `${value} pixels`}`,
  orientation: (value) => value,
  tag: (value) => value,
  not_tag: (value) => `not ${value}`,
  source: (value) => `label ${KINDS[value] ?? value}`,
  format: (value) => value,
};
const ICONS = { after: "date", before: "date", camera: "camera", near: "place", folder: "folders", tag: "labels", not_tag: "labels", source: "labels" };

/** Changes filters. null or [] takes one away. */
export function setFilters(changes, options) {
  const filters = { ...state().filters, ...changes };
  for (const [name, value] of Object.entries(filters)) if (!value?.length) delete filters[name];
  go({ view: "photos", filters, photo: null }, options);
}

export function filterChips(filters) {
  return Object.entries(filters).flatMap(([name, value]) =>
    [value].flat().map((one) => {
      const words = WORDS[name](one);
      const rest = Array.isArray(value) ? value.filter((other) => other !== one) : null;
      return h(
        "span",
        { class: "chip filter" },
        h("span", { class: "words", title: one }, icon(ICONS[name] ?? "filter"), h("span", {}, words)),
        iconButton("close", `Remove the filter: ${words}`, () => setFilters({ [name]: rest }), { class: "quiet remove" }),
      );
    }),
  );
}
