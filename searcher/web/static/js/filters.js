// The panel of filters: dates, place, camera, folder, labels, kind and size.

import { get } from "./api.js";
import { button, debounced, h, iconButton, muted, number, toggle } from "./dom.js";
import { KINDS, setFilters } from "./filterwords.js";
import { PlaceMap } from "./map.js";
import { addFilters, go, state } from "./state.js";
import { timeline } from "./timeline.js";
import { failed } from "./toasts.js";

const PIXELS = [["", "Any size"], ["1000000", "1 megapixel or more"], ["4000000", "4 megapixels or more"], ["12000000", "12 megapixels or more"], ["24000000", "24 megapixels or more"]];
const SHAPES = [["", "Any shape"], ["landscape", "Landscape"], ["portrait", "Portrait"], ["square", "Square"]];

export class Filters {
  #facets = null;
  #labels = [];
  #abort = null;

  constructor(element) {
    this.element = element;
    this.dates = h("div", { class: "dates" });
    this.map = new PlaceMap({
      onchoose: (latitude, longitude, km) => setFilters({ near: `${latitude.toFixed(4)},${longitude.toFixed(4)},${km}` }),
      onlook: debounced(() => this.#places(), 120),
    });
  }

  /** Draws the panel for a state. fresh: the library has changed. */
  async follow({ panel, filters, view }, fresh = false) {
    const open = panel === "filters" && view === "photos";
    this.element.hidden = !open;
    document.body.classList.toggle("filtering", open);
    if (!open) return;
    if (!this.#facets || fresh) {
      try {
        [this.#facets, this.#labels] = await Promise.all([get("facets"), get("labels")]);
      } catch (error) {
        this.element.replaceChildren(this.#head(), h("p", { class: "problem", role: "alert" }, error.message));
        return;
      }
    }
    if (this.element.contains(document.activeElement) && document.activeElement.matches("input[type=text], input:not([type])")) {
      this.#counts(filters); // a person is typing here
      return;
    }
    const focused = document.activeElement?.name;
    const scrolled = this.element.scrollTop;
    this.element.replaceChildren(
      this.#head(),
      section("Dates", this.dates, this.#days(filters)),
      section("Place", this.map.element, filters.near && this.#radius(filters.near)),
      this.#choices("Camera", "camera", this.#facets.cameras, filters),
      this.#choices("Folder", "folder", this.#facets.folders.map(({ path, photos }) => ({ name: path, photos })), filters),
      this.#tags(filters),
      section("Kind and size", pills("format", this.#facets.formats.map(({ name, photos }) => [name, photos]), filters), select("min_pixels", "Size", PIXELS, filters), select("orientation", "Shape", SHAPES, filters)),
      section("Stars", stars(filters)),
      section("File name", text("name", "A part with *, such as IMG_2*", filters.name, (value) => setFilters({ name: value }))),
    );
    this.element.scrollTop = scrolled;
    if (focused) this.element.querySelector(`[name="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    this.#counts(filters);
  }

  #head() {
    return h(
      "header",
      {},
      h("h2", {}, "Filters"),
      button(null, "Clear all", () => go({ filters: {}, photo: null }), { class: "quiet" }),
      iconButton("close", "Close the filters", () => go({ panel: null }, { replace: true })),
    );
  }

  /** The histogram shows what the other filters leave, and so does the map. */
  async #counts(filters) {
    this.#abort?.abort();
    this.#abort = new AbortController();
    const { after, before, ...others } = filters;
    try {
      const months = await get("timeline", addFilters(new URLSearchParams(), others), this.#abort.signal);
      this.dates.replaceChildren(timeline(months, { after, before }, (from, to) => setFilters({ after: from, before: to })));
      await this.#places();
    } catch (error) {
      failed(error);
    }
  }

  async #places() {
    if (this.element.hidden) return;
    const { near, ...others } = state().filters;
    const parameters = addFilters(new URLSearchParams({ precision: this.map.precision }), others);
    const [latitude, longitude, km = 10] = (near ?? "").split(",").map(Number);
    const circle = near && !Number.isNaN(latitude) ? { latitude, longitude, km } : null;
    this.map.show(await get("places", parameters).catch(() => []), circle);
  }

  #days({ after, before }) {
    const day = (name, label, value, change) => {
      const input = h("input", { type: "date", name, value: value ?? "", "aria-label": label });
      input.addEventListener("change", () => change(input.value || null));
      return h("label", {}, muted(label), input);
    };
    const full = (value) => value && (value + "-01-01".slice(value.length - 4)).slice(0, 10);
    return h(
      "div",
      { class: "pair" },
      day("after", "From", full(after), (value) => setFilters({ after: value })),
      day("before", "To", before && shift(full(before), -1), (value) => setFilters({ before: value && shift(value, 1) })),
    );
  }

  #radius(near) {
    const [latitude, longitude, km = "10"] = near.split(",");
    const shown = h("output", {}, `${km} km`);
    const input = h("input", { type: "range", name: "km", min: 0, max: 100, value: Math.round(Math.log10(Number(km) / 0.5) / 0.03), "aria-label": "Radius" });
    const value = () => {
      const found = 0.5 * 10 ** (input.value * 0.03);
      return found < 10 ? found.toFixed(1) : Math.round(found);
    };
    input.addEventListener("input", () => (shown.textContent = `${value()} km`));
    input.addEventListener("change", () => setFilters({ near: `${latitude},${longitude},${value()}` }));
    return h("div", { class: "line" }, muted("Within"), input, shown, iconButton("close", "Any place", () => setFilters({ near: null })));
  }

  #choices(title, name, all, filters) {
    if (!all.length) return "";
    const rows = all.slice(0, 40).map((one) => {
      const chosen = filters[name] === one.name;
      const choose = () => setFilters({ [name]: chosen ? null : one.name });
      return toggle(`${name} ${one.name}`, chosen, choose, [h("span", {}, shortened(one.name, name)), muted(number(one.photos))], { class: "choice", title: one.name });
    });
    return section(title, h("div", { class: "choices" }, rows));
  }

  #tags(filters) {
    if (!this.#labels.length) return "";
    const list = h("datalist", { id: "all-labels" }, this.#labels.slice(0, 2000).map((one) => h("option", { value: one.label })));
    const add = (name) => (value) => value && setFilters({ [name]: [...new Set([...(state().filters[name] ?? []), value])] });
    const many = pills("tag", this.#labels.slice(0, 12).map(({ label, photos }) => [label, photos]), filters);
    const source = select("source", "Labels", [["", "From anywhere"], ...Object.entries(KINDS)], { source: filters.source?.[0] }, (value) => setFilters({ source: value ? [value] : null }));
    return section("Labels", list, many, h("div", { class: "pair" }, text("tag", "With …", "", add("tag"), "all-labels"), text("not_tag", "Without …", "", add("not_tag"), "all-labels")), source);
  }
}

/** Buttons for the values of a list; any number of them can be on. */
function pills(name, values, filters) {
  const on = filters[name] ?? [];
  const one = ([value, photos]) => {
    const next = on.includes(value) ? on.filter((other) => other !== value) : [...on, value];
    return toggle(`${name} ${value}`, on.includes(value), () => setFilters({ [name]: next }), [value, muted(number(photos))], { class: "choice pill" });
  };
  return h("div", { class: "pills" }, values.map(one));
}

const section = (title, ...children) => h("section", {}, h("h3", {}, title), ...children);

function shortened(name, kind) {
  if (kind !== "folder") return name;
  const parts = name.split("/").filter(Boolean);
  return parts.length > 2 ? `… / ${parts.slice(-2).join(" / ")}` : name;
}

function select(name, label, options, filters, change = (value) => setFilters({ [name]: value })) {
  const element = h("select", { name, "aria-label": label }, options.map(([value, words]) => h("option", { value, selected: (filters[name] ?? "") === value }, words)));
  element.addEventListener("change", () => change(element.value || null));
  return element;
}

function text(name, placeholder, value, change, list = null) {
  const input = h("input", { type: "text", name: `${name}-text`, placeholder, "aria-label": placeholder, value: value ?? "", list, autocomplete: "off" });
  input.addEventListener("change", () => {
    const typed = input.value.trim();
    input.blur();
    change(typed || null);
  });
  return input;
}

function stars(filters) {
  const chosen = Number(filters.rating ?? 0);
  return h(
    "div",
    { class: "stars" },
    [1, 2, 3, 4, 5].map((count) =>
      toggle(`stars ${count}`, count === chosen, () => setFilters({ rating: count === chosen ? null : String(count) }), count <= chosen ? "★" : "☆", { class: "quiet", "aria-label": `${count} stars or more` }),
    ),
  );
}

/** A day later or earlier. */
function shift(day, by) {
  const date = new Date(`${day}T00:00Z`);
  date.setUTCDate(date.getUTCDate() + by);
  return date.toISOString().slice(0, 10);
}
