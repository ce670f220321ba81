// The view of photos: searches as the URL says, and shows the grid or why there is none.

import { get } from "./api.js";
import { button, h, icon, plural } from "./dom.js";
import { Grid } from "./grid.js";
import * as jobs from "./jobs.js";
import { Results } from "./results.js";
import { Scrubber } from "./scrubber.js";
import * as selection from "./selection.js";
import { go, remember, remembered, searchParameters, state } from "./state.js";
import { failed } from "./toasts.js";

const PATIENCE = 250; // milliseconds before a search says that it is still searching

export class Photos {
  #abort = null;
  #failed = false;
  #key = null;

  constructor({ onopen, onsimilar }) {
    this.results = null;
    this.count = h("span", { role: "status", class: "count" });
    this.notices = h("span", { class: "notes" });
    this.sort = h("select", { "aria-label": "Order", hidden: true }, h("option", { value: "relevance" }, "Best first"), h("option", { value: "time" }, "Newest first"));
    this.sort.addEventListener("change", () => go({ sort: this.sort.value === "time" ? "time" : null, photo: null }));
    this.message = h("div", { class: "message", hidden: true });
    this.scrubber = new Scrubber();
    this.grid = new Grid({ onopen, onsimilar, onlayout: () => this.scrubber.draw(this.grid) });
    this.element = h(
      "div",
      { class: "photos" },
      h("div", { class: "summary" }, this.count, this.notices, h("span", { class: "space" }), this.sort),
      jobs.card(),
      this.message,
      this.grid.list,
      this.scrubber.element,
    );
    let timer = 0;
    addEventListener("scroll", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.grid.active && this.results && remember(this.grid.place()), 250);
    }, { passive: true });
  }

  /** Searches if what is looked for has changed. back: the person went back, to the same place. */
  async follow(now, back) {
    const key = searchParameters(now).toString() + (now.library ?? "");
    this.grid.active = now.view === "photos";
    this.element.hidden = !this.grid.active;
    this.scrubber.element.hidden = !this.grid.active;
    if (!this.grid.active) return;
    if (key === this.#key && !this.#failed) {
      if (back !== null && document.querySelector(".viewer[open]") === null) this.grid.render();
      return;
    }
    if (this.#key !== null && key !== this.#key) selection.clear();
    this.#key = key;
    await this.#search(now, { place: back === false ? null : remembered() });
  }

  /** The library has changed: the same search again, without moving. */
  refresh = () => this.#search(state(), { keep: true });

  async #search(now, how) {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const waiting = setTimeout(() => this.#wait(), PATIENCE);
    try {
      const results = await Results.open(now, abort.signal);
      if (abort.signal.aborted) return;
      this.#failed = false;
      this.results = results;
      this.#describe(results, now);
      await this.#state(results, now);
      this.grid.show(results, how);
      this.onresults?.(results);
    } catch (error) {
      if (abort.signal.aborted) return;
      this.#failed = true;
      if (how.keep) return; // the photos on the screen are still right
      this.#fail(error);
    } finally {
      clearTimeout(waiting);
      if (this.#abort === abort) this.element.classList.remove("searching");
    }
  }

  #wait() {
    this.element.classList.add("searching");
    if (!this.results) this.count.textContent = "Searching …";
  }

  #describe({ total, first }, { terms, sort }) {
    const { likely, likely_exact: exact, nothing_fits: nothing, notices } = first;
    const about = exact ? "" : "about ";
    if (nothing) this.count.textContent = "No photo fits";
    else if (likely !== null) this.count.textContent = about + plural(likely, "photo");
    else this.count.textContent = plural(total, "photo");
    this.notices.replaceChildren(...notices.map((notice) => h("span", { class: "note" }, icon("info"), notice)));
    this.sort.hidden = terms.length === 0;
    this.sort.value = sort === "time" ? "time" : "relevance";
  }

  /** Says what to do if nothing was found, or if nothing fits. */
  async #state({ total, first }, { terms, filters }) {
    const words = terms.filter((one) => one.text && one.weight > 0).map((one) => `“${one.text}”`).join(" and ");
    this.message.hidden = !(total === 0 || first.nothing_fits);
    if (this.message.hidden) return;
    if (total === 0 && terms.length + Object.keys(filters).length > 0) {
      this.message.replaceChildren(h("h2", {}, "No photo was found"), h("p", {}, Object.keys(filters).length ? "Fewer filters find more." : "Try other words."), Object.keys(filters).length ? button(null, "Remove the filters", () => go({ filters: {} })) : "");
      if ((await get("status")).images) return;
    } else if (total > 0) {
      this.message.replaceChildren(h("h2", {}, `Nothing here shows ${words}`), h("p", {}, "Try simpler words, or look at the closest photos below."));
      return;
    }
    if (jobs.running()) this.message.replaceChildren(h("h2", {}, "Photos are being indexed"), h("p", {}, "They appear here as soon as the first ones are ready."));
    else {
      const { folderForm } = await import("./views/folders.js");
      this.message.replaceChildren(h("h1", {}, "No photos yet"), h("p", {}, "Name a folder with photos. searcher looks at each of them once; then you find them by describing them."), folderForm(true));
    }
    this.count.textContent = "";
  }

  #fail(error) {
    this.results = null;
    this.count.textContent = "";
    this.message.hidden = false;
    this.message.replaceChildren(h("h2", {}, error.code === 0 ? "No connection" : "The search did not work"), h("p", { role: "alert" }, error.message), button("again", "Try again", () => this.#search(state(), {}), { class: "primary" }));
    this.grid.clear();
  }

  /** Selects what was found; of a search by words, what is likely. */
  async selectAll(most) {
    if (!this.results) return 0;
    try {
      const hits = await this.results.all(most);
      selection.add(hits);
      return hits.length;
    } catch (error) {
      failed(error);
      return 0;
    }
  }
}
