// The search field, and a chip for each term of the query and for each filter.

import { thumbnail } from "./api.js";
import { debounced, h, icon, iconButton } from "./dom.js";
import { filterChips } from "./filterwords.js";
import { go, settle, state } from "./state.js";

const WAIT = 150;

/** Object URLs of pictures that were searched with, by their key. They last as long as the page. */
export const pictures = new Map();

/** The term in the field: the first text that is wanted. */
const mainTerm = (terms) => terms.findIndex((one) => one.text !== undefined && one.weight > 0);

function replaceTerm(at, term, options) {
  const terms = [...state().terms];
  if (term === null) terms.splice(at, 1);
  else terms[at] = term;
  go({ terms, photo: null, ...sortFor(terms) }, options);
}

/** Without a term there is no order by relevance. */
const sortFor = (terms) => (terms.length === 0 && state().sort === "relevance" ? { sort: null } : {});

export const addTerm = (term) => go({ view: "photos", terms: [...state().terms, term], photo: null });

export class Terms {
  constructor({ onpick, ondown }) {
    this.field = h("input", {
      type: "search",
      role: "searchbox",
      id: "search",
      placeholder: "Describe a photo",
      "aria-label": "Search: describe a photo",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      enterkeyhint: "search",
    });
    const typed = debounced(() => this.#typed(), WAIT);
    this.field.addEventListener("input", typed);
    this.field.addEventListener("blur", settle);
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        this.#typed();
        settle();
        if (matchMedia("(hover: none)").matches) this.field.blur(); // puts the screen's keyboard away
      } else if (event.key === "ArrowDown") {
        event.preventDefault();
        ondown();
      } else if (event.key === "Escape") this.field.blur();
    });
    this.bar = h(
      "form",
      { class: "search", role: "search", onsubmit: (event) => event.preventDefault() },
      icon("search"),
      this.field,
      iconButton("close", "Clear the search", () => (this.clear(), this.field.focus()), { class: "quiet round clear" }),
      iconButton("photos", "Search with a picture (or drop or paste one anywhere)", onpick),
    );
    this.row = h("div", { class: "chips", "aria-label": "What is looked for", role: "group" });
  }

  clear() {
    go({ terms: [], filters: {}, sort: null, photo: null, view: "photos" });
  }

  #typed() {
    const text = this.field.value.trim();
    const { terms, view } = state();
    const at = mainTerm(terms);
    if (at >= 0 ? terms[at].text === text : !text) return view === "photos" || !text || go({ view: "photos" });
    const next = [...terms];
    if (!text) next.splice(at, 1);
    else if (at >= 0) next[at] = { ...terms[at], text };
    else next.unshift({ text, weight: 1 });
    go({ view: "photos", terms: next, photo: null, ...sortFor(next) }, { typing: true });
  }

  draw({ terms, filters }) {
    const main = mainTerm(terms);
    const text = terms[main]?.text ?? "";
    if (document.activeElement !== this.field || this.field.value.trim() === "" || !history.state?.typing) {
      if (this.field.value.trim() !== text) this.field.value = text;
    }
    this.bar.classList.toggle("filled", terms.length + Object.keys(filters).length > 0);
    if (this.row.contains(document.activeElement) && document.activeElement.tagName === "INPUT") return; // a chip is being edited
    const chips = [...terms.map((term, at) => this.#chip(term, at)), ...filterChips(filters)];
    if (terms.length) {
      chips.push(
        h("button", { type: "button", class: "chip add", title: "Add words that the photos shall also fit", onclick: () => this.#add(1) }, icon("plus"), "and"),
        h("button", { type: "button", class: "chip add", title: "Add words that the photos shall not fit", onclick: () => this.#add(-1) }, icon("minus"), "without"),
      );
    }
    this.row.replaceChildren(...chips);
    this.row.hidden = chips.length === 0;
  }

  #chip(term, at) {
    const { text, like, weight } = term;
    const name = text ?? (like.startsWith("id:") ? "this photo" : "your picture");
    const sign = weight < 0 ? "without " : "";
    const amount = Math.abs(weight) === 1 ? "" : `${Math.abs(weight)} ×`;
    const chip = h(
      "span",
      { class: weight < 0 ? "chip term negative" : "chip term" },
      h(
        "button",
        { type: "button", class: "edit", "aria-label": `Edit ${sign}${like ? "like " : ""}${name}${amount && `, weight ${Math.abs(weight)}`}`, onclick: () => this.#edit(chip, term, at) },
        h("span", { class: "sign" }, weight < 0 ? "−" : "+"),
        like && h("img", { alt: "", src: like.startsWith("id:") ? thumbnail(like.slice(3), 32) : pictures.get(like.slice(7)) ?? "static/icon.svg" }),
        h("span", {}, like ? `like ${name}` : name),
        amount && h("span", { class: "weight" }, amount),
      ),
      iconButton("close", `Remove ${sign}${name}`, () => replaceTerm(at, null), { class: "quiet remove" }),
    );
    return chip;
  }

  /** A small form below a chip: the words, the sign, and the weight. */
  #edit(chip, term, at) {
    const weights = [0.25, 0.5, 1, 1.5, 2, 3, 5];
    const size = Math.abs(term.weight);
    const nearest = weights.reduce((best, one, n) => (Math.abs(one - size) < Math.abs(weights[best] - size) ? n : best), 0);
    const shown = h("output", {}, `${size} ×`);
    const slider = h("input", { type: "range", min: 0, max: weights.length - 1, value: nearest, name: "weight", "aria-label": "Weight" });
    const words = term.text !== undefined && h("input", { name: "text", value: term.text, "aria-label": "Words", autocomplete: "off" });
    const sign = h("select", { name: "sign", "aria-label": "Sign" }, h("option", { value: 1 }, "with"), h("option", { value: -1 }, "without"));
    sign.value = term.weight < 0 ? -1 : 1;
    const form = h(
      "form",
      { class: "popup", popover: "auto", "aria-label": "Edit a term" },
      words,
      h("label", { class: "line" }, "The photos fit", sign),
      h("label", { class: "line" }, "Weight", slider, shown),
      h("button", { class: "primary", type: "submit" }, "Done"),
    );
    const apply = (options) => {
      const weight = Number(sign.value) * (Number(slider.value) === nearest ? size : weights[slider.value]);
      shown.textContent = `${Math.abs(weight)} ×`;
      const next = { ...term, weight };
      if (words) next.text = words.value.trim() || term.text;
      if (JSON.stringify(next) !== JSON.stringify(state().terms[at])) replaceTerm(at, next, options);
    };
    const live = debounced(() => form.isConnected && apply({ typing: true }), WAIT);
    form.addEventListener("input", live);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      form.hidePopover();
    });
    form.addEventListener("toggle", (event) => {
      if (event.newState !== "closed") return;
      apply({ typing: true });
      settle();
      form.remove();
    });
    const { left, bottom } = chip.getBoundingClientRect();
    document.body.append(form);
    form.showPopover();
    form.style.left = `${Math.max(8, Math.min(left, innerWidth - form.offsetWidth - 8))}px`;
    form.style.top = `${bottom + 6}px`;
    (words || slider).focus();
  }

  /** A chip to type a further term in. */
  #add(sign) {
    const before = state().terms;
    const input = h("input", { "aria-label": sign > 0 ? "And these words" : "Without these words", placeholder: sign > 0 ? "and …" : "without …", autocomplete: "off" });
    const show = () => {
      const text = input.value.trim();
      const terms = text ? [...before, { text, weight: sign }] : before;
      go({ terms, photo: null }, { typing: true });
    };
    const typed = debounced(() => input.isConnected && show(), WAIT);
    input.addEventListener("input", typed);
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") input.blur();
      if (event.key === "Escape") {
        input.value = "";
        input.blur();
        event.stopPropagation();
      }
    });
    input.addEventListener("blur", () => {
      show();
      settle();
      chip.remove();
      this.draw(state());
    }, { once: true });
    const chip = h("span", { class: sign > 0 ? "chip term typing" : "chip term typing negative" }, h("span", { class: "sign" }, sign > 0 ? "+" : "−"), input);
    this.row.insertBefore(chip, this.row.querySelector(".add"));
    input.focus();
  }
}
