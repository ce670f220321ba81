// The years at the right edge, beside photos in order of time. Dragging goes to a month. For pointers only: the keyboard
// has the page's own keys.

import { h, monthName } from "./dom.js";

const APART = 26; // pixels between two years

export class Scrubber {
  constructor() {
    this.years = h("div", { class: "years" });
    this.bubble = h("span", { class: "bubble", hidden: true });
    this.here = h("span", { class: "here" });
    this.element = h("div", { class: "scrubber", "aria-hidden": "true" }, this.years, this.here, this.bubble);
    this.element.addEventListener("pointerdown", (event) => {
      this.element.setPointerCapture(event.pointerId);
      this.held = true;
      this.#go(event);
    });
    this.element.addEventListener("pointermove", (event) => (this.held ? this.#go(event) : this.#tell(event)));
    this.element.addEventListener("pointerup", () => (this.held = false));
    this.element.addEventListener("pointerleave", () => (this.bubble.hidden = true));
    addEventListener("scroll", () => this.#mark(), { passive: true });
  }

  /** Draws the years of a grid, if it is in order of time and long enough. */
  draw(grid) {
    this.grid = grid;
    const dated = grid.sections.some((one) => one.month);
    this.element.classList.toggle("shown", dated && grid.height > 3 * innerHeight);
    if (!this.element.classList.contains("shown")) return;
    const tall = this.element.clientHeight;
    const labels = [];
    let [year, last] = [null, -APART];
    for (const block of grid.blocks) {
      const now = block.section.month?.slice(0, 4);
      const y = (block.y / grid.height) * tall;
      if (!block.first || !now || now === year) continue;
      year = now;
      if (y - last < APART || y > tall - 16) continue;
      last = y;
      labels.push(h("span", { style: { top: `${y}px` } }, now));
    }
    this.years.replaceChildren(...labels);
    this.#mark();
  }

  #share(event) {
    const box = this.element.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientY - box.top) / box.height));
  }

  #tell(event) {
    const share = this.#share(event);
    const block = this.grid?.blocks.findLast((one) => one.y <= share * this.grid.height) ?? this.grid?.blocks[0];
    if (!block) return;
    const { month } = block.section;
    this.bubble.hidden = false;
    this.bubble.textContent = month?.length === 4 ? month : monthName(month);
    this.bubble.style.top = `${share * 100}%`;
  }

  #go(event) {
    this.#tell(event);
    const top = this.grid.list.getBoundingClientRect().top + scrollY - 100;
    scrollTo(0, top + this.#share(event) * this.grid.height);
  }

  #mark() {
    if (!this.grid || !this.element.classList.contains("shown")) return;
    const top = this.grid.list.offsetTop;
    this.here.style.top = `${Math.max(0, Math.min(1, (scrollY - top) / this.grid.height)) * 100}%`;
  }
}
