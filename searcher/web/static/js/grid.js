// The grid of photos. Only what is near the window is in the document, so 100,000 photos scroll like 100.
// The list is cut into sections (a month, or "less likely"), and these into blocks of photos, which are laid out alone.

import { thumbnail } from "./api.js";
import { h, iconButton, monthName, muted, plural } from "./dom.js";
import { estimate, justify, ratioOf } from "./layout.js";
import * as selection from "./selection.js";
import { fill, makeTile } from "./tile.js";

const BLOCK = 60;
const HEADING = 44;
const AHEAD = 700;
const FAST = 4; // pixels a millisecond: faster than a person can look at photos

export class Grid {
  #tiles = new Map(); // place → element
  #heads = new Map();
  #spare = new Map(); // id → element of the last results, used again so that nothing flickers
  #ratio = 1.4;
  #last = { y: 0, time: 0 };
  #timer = 0;
  sections = [];
  blocks = [];
  height = 0;

  constructor({ onopen, onsimilar, onlayout }) {
    Object.assign(this, { onopen, onsimilar, onlayout, results: null, focused: 0, active: true });
    this.list = h("ul", { class: "grid", role: "list", "aria-label": "Photos" });
    this.tools = h(
      "span",
      { class: "tools" },
      iconButton("plus", "More like this", () => this.onsimilar(this.#tool(), 1)),
      iconButton("minus", "Less like this", () => this.onsimilar(this.#tool(), -1)),
    );
    this.list.addEventListener("click", (event) => this.#click(event));
    this.list.addEventListener("pointerover", (event) => this.#lend(event));
    this.list.addEventListener("focusin", (event) => this.#lend(event));
    this.list.addEventListener("contextmenu", (event) => this.#held(event));
    addEventListener("scroll", () => this.active && requestAnimationFrame(() => this.render()), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(this.list);
    selection.whenChanged(() => this.#mark());
  }

  /** Shows other results. keep: stay at the same photo, as far as it is still there. */
  show(results, { keep = false, place = null } = {}) {
    const kept = keep && scrollY > this.#top() ? this.#photoOnTop() : null;
    this.results = results;
    results.onload = () => this.results === results && this.#arrange();
    for (const tile of this.#tiles.values()) this.#spare.set(tile.dataset.key, tile);
    this.#tiles.clear();
    this.#build();
    if (kept) this.#goBackTo(kept);
    else if (place) this.scrollTo(place.index, place.offset);
    else if (!keep) scrollTo(0, 0);
    this.render();
    for (const tile of this.#spare.values()) tile.remove();
    this.#spare.clear();
    if (!keep) this.focused = 0;
  }

  clear() {
    for (const element of [...this.#tiles.values(), ...this.#heads.values()]) element.remove();
    this.#tiles.clear();
    this.#heads.clear();
    Object.assign(this, { results: null, sections: [], blocks: [], height: 0 });
    this.list.style.height = "0";
    this.onlayout();
  }

  #top = () => this.list.getBoundingClientRect().top + scrollY;

  #size() {
    const width = this.list.clientWidth;
    return width < 640 ? { width, target: Math.max(104, width / 3.1), gap: 3 } : { width, target: Math.min(250, 150 + width / 22), gap: 6 };
  }

  #resized() {
    if (!this.results || !this.list.clientWidth || this.list.clientWidth === this.width) return;
    const place = this.place();
    this.#build();
    if (place && scrollY > this.#top()) this.scrollTo(place.index, place.offset);
    this.render();
  }

  /** Cuts the results into blocks and gives each its place. */
  #build() {
    this.width = this.list.clientWidth;
    this.sections = this.results.sections();
    this.blocks = [];
    for (const section of this.sections) {
      const pieces = Math.ceil(section.count / BLOCK);
      for (let piece = 0; piece < pieces; piece++) {
        const start = section.start + Math.floor((piece * section.count) / pieces);
        const end = section.start + Math.floor(((piece + 1) * section.count) / pieces);
        this.blocks.push({ section, start, count: end - start, first: piece === 0, last: piece === pieces - 1, boxes: null });
      }
    }
    this.#stack();
  }

  /** Lays out the blocks whose hits are known, and puts all of them below one another. */
  #stack() {
    const { width, target, gap } = this.#size();
    let y = 0;
    for (const block of this.blocks) {
      if (!block.boxes || block.width !== width) {
        const hits = this.results.range(block.start, block.count);
        if (hits) {
          const made = justify(hits.map(ratioOf), width, target, gap, block.last);
          Object.assign(block, made, { width });
        } else {
          Object.assign(block, { boxes: null, height: estimate(block.count, this.#ratio, width, target, gap) });
        }
      }
      const titled = block.first && (block.section.divider || block.section.month !== undefined);
      block.head = titled ? HEADING + (block.section.divider ? 20 : 0) : 0;
      block.y = y + block.head;
      y = block.y + block.height + gap;
    }
    this.height = y;
    this.list.style.height = `${y}px`;
    this.onlayout();
  }

  /** New hits have come. What is on top of the window stays where it is. */
  #arrange() {
    const place = this.place();
    if (this.results.failure === null) {
      const last = this.blocks.at(-1);
      if (last && last.start + last.count !== this.results.total) this.#build();
      else this.#stack();
    }
    if (place && scrollY > this.#top() + 1) this.scrollTo(place.index, place.offset);
    this.render();
  }

  #block(index) {
    let [low, high] = [0, this.blocks.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.blocks[middle].start <= index) low = middle;
      else high = middle - 1;
    }
    return this.blocks[low];
  }

  /** Where a photo is: {x, y, w, h} from the top of the list; a guess until its size is known. */
  box(index) {
    const block = this.#block(index);
    if (!block) return null;
    if (!block.boxes) return { x: 0, y: block.y + (block.height * (index - block.start)) / block.count, w: 1, h: 1 };
    const box = block.boxes[index - block.start];
    return box && { ...box, y: block.y + box.y };
  }

  /** The first photo in the window, and how far it is above its top edge. */
  place() {
    if (!this.blocks.length) return null;
    const y = scrollY - this.#top() + 8;
    const block = this.blocks.findLast((one) => one.y - one.head <= y) ?? this.blocks[0];
    let index = block.start;
    if (block.boxes) index += Math.max(0, block.boxes.findIndex((box) => block.y + box.y + box.h > y));
    else index += Math.max(0, Math.min(block.count - 1, Math.floor(((y - block.y) / block.height) * block.count)));
    return { index, offset: y - this.box(index).y };
  }

  scrollTo(index, offset = 0) {
    const box = this.box(Math.min(index, this.results.total - 1));
    const y = box ? box.y + offset - 8 + this.#top() : 0;
    if (Math.abs(y - scrollY) > 0.5) scrollTo(0, y);
  }

  #photoOnTop() {
    const place = this.place();
    return place && { ...place, id: this.results.hits.get(place.index)?.id, total: this.results.total };
  }

  /** After new photos were indexed, the photo that was on top has moved down by as many places. */
  async #goBackTo({ index, offset, id, total }) {
    const moved = Math.max(0, index + this.results.total - total);
    this.scrollTo(moved, offset);
    const { results } = this;
    await results.at(Math.min(moved, results.total - 1)).catch(() => null);
    const found = results.indexOf(id, moved);
    if (results === this.results && found !== null) this.scrollTo(found, offset);
  }

  // what is drawn

  render() {
    if (!this.results || !this.active) return;
    const now = performance.now();
    const speed = Math.abs(scrollY - this.#last.y) / Math.max(1, now - this.#last.time);
    this.#last = { y: scrollY, time: now };
    const fast = speed > FAST;
    clearTimeout(this.#timer);
    if (fast) this.#timer = setTimeout(() => this.render(), 90);

    const top = scrollY - this.#top() - AHEAD;
    const bottom = top + innerHeight + 2 * AHEAD;
    const seen = new Set();
    const heads = new Set();
    const missing = [];
    for (let at = this.#firstBelow(top); at < this.blocks.length; at++) {
      const block = this.blocks[at];
      if (block.y - block.head > bottom) break;
      if (block.head) heads.add(this.#head(block));
      if (!block.boxes) {
        missing.push([block.start, block.count]);
        heads.add(this.#blank(block));
        continue;
      }
      block.boxes.forEach((box, n) => {
        const y = block.y + box.y;
        if (y + box.h < top || y > bottom) return;
        seen.add(block.start + n);
        this.#place(block.start + n, block, box, fast);
      });
    }
    for (const [index, tile] of this.#tiles) {
      if (seen.has(index) || tile.contains(document.activeElement)) continue;
      tile.remove();
      this.#tiles.delete(index);
    }
    for (const [key, head] of this.#heads) {
      if (heads.has(key)) continue;
      head.remove();
      this.#heads.delete(key);
    }
    if (!fast) this.results.want(missing);
  }

  #firstBelow(y) {
    let [low, high] = [0, this.blocks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.blocks[middle].y + this.blocks[middle].height < y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #put(key, y, order, make) {
    let head = this.#heads.get(key);
    if (!head) {
      head = make();
      head.dataset.index = order;
      this.#heads.set(key, head);
      this.#insert(head, order);
    }
    head.style.transform = `translateY(${y}px)`;
    return key;
  }

  #head({ section, head, y }) {
    const title = section.title ?? (section.month === null ? "No date" : section.month.length === 4 ? section.month : monthName(section.month));
    return this.#put(`head ${title} ${section.count}`, y - head, section.start - 0.5, () =>
      h(
        "li",
        { class: section.divider ? "head divider" : "head", style: { height: `${head}px` } },
        h("h2", {}, title),
        muted(plural(section.count, "photo")),
      ),
    );
  }

  #blank({ start, y, height }) {
    const key = this.#put(`blank ${start}`, y, start - 0.25, () => h("li", { class: "blank", "aria-hidden": "true" }));
    this.#heads.get(key).style.height = `${height}px`;
    return key;
  }

  #place(index, block, box, fast) {
    const hit = this.results.hits.get(index);
    let tile = this.#tiles.get(index);
    if (tile && tile.dataset.key !== String(hit.id)) {
      tile.remove();
      tile = null;
    }
    if (!tile) {
      tile = this.#spare.get(String(hit.id)) ?? makeTile(hit);
      this.#spare.delete(String(hit.id));
      this.#tiles.set(index, tile);
      fill(tile, hit, index, this.results.total, index === this.focused);
      this.#insert(tile, index);
    }
    tile.classList.toggle("dim", block.section.dim || (hit.relevance !== null && hit.relevance < 0.5));
    tile.style.transform = `translate(${box.x}px, ${block.y + box.y}px)`;
    tile.style.width = `${box.w}px`;
    tile.style.height = `${box.h}px`;
    const picture = tile.firstChild.firstChild;
    if (!picture.src && !fast) picture.src = thumbnail(hit.id, Math.max(box.w, box.h));
  }

  /** Keeps the elements in the order of the photos, for the keyboard and for screen readers. */
  #insert(tile, index) {
    let after = this.list.lastElementChild;
    while (after && !(Number(after.dataset.index) < index)) after = after.previousElementSibling;
    if (after) {
      if (after.nextSibling !== tile) after.after(tile);
    } else if (this.list.firstChild !== tile) this.list.prepend(tile);
  }

  #mark() {
    for (const tile of this.#tiles.values()) {
      const chosen = selection.has(Number(tile.dataset.key));
      tile.classList.toggle("chosen", chosen);
      tile.children[1].setAttribute("aria-checked", String(chosen));
    }
    this.list.classList.toggle("choosing", selection.size() > 0);
  }

  // what a person does

  #lend(event) {
    const tile = event.target.closest(".tile");
    if (tile && this.tools.parentNode !== tile) tile.append(this.tools);
    if (event.type === "focusin" && tile) this.#setFocused(Number(tile.dataset.index));
  }

  #tool = () => this.results.hits.get(Number(this.tools.parentNode.dataset.index));

  #click(event) {
    const tile = event.target.closest(".tile");
    if (!tile || event.target.closest(".tools")) return;
    const index = Number(tile.dataset.index);
    const check = event.target.closest(".check");
    if (check || selection.size() > 0 || event.shiftKey) {
      if ((event.ctrlKey || event.metaKey) && !check) return; // a new tab
      event.preventDefault();
      this.select(index, event.shiftKey);
    } else if (!event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.onopen(index, this.results.hits.get(index));
    }
  }

  /** A long press selects, on touch screens. */
  #held(event) {
    const tile = event.target.closest(".tile");
    if (!tile || event.pointerType === "mouse" || !matchMedia("(hover: none)").matches) return;
    event.preventDefault();
    this.select(Number(tile.dataset.index), false);
  }

  select(index, extend) {
    const from = extend && selection.last() !== null ? selection.last() : index;
    const [low, high] = [Math.min(from, index), Math.max(from, index)];
    const hits = [];
    for (let at = low; at <= high; at++) if (this.results.hits.has(at)) hits.push(this.results.hits.get(at));
    if (extend) selection.add(hits);
    else selection.toggle(hits[0]);
    selection.setLast(index);
  }

  #setFocused(index) {
    const old = this.#tiles.get(this.focused)?.firstChild;
    if (old) old.tabIndex = -1;
    this.focused = index;
    const now = this.#tiles.get(index)?.firstChild;
    if (now) now.tabIndex = 0;
  }

  /** Moves the focus to a photo, and scrolls it into the window. */
  focus(index) {
    if (!this.results?.total) return;
    index = Math.max(0, Math.min(this.results.total - 1, index));
    const box = this.box(index);
    const top = this.#top() + box.y - scrollY;
    const head = document.querySelector(".top").offsetHeight + 12;
    const foot = innerHeight - 80;
    if (top < head) scrollBy(0, top - head);
    else if (top + box.h > foot) scrollBy(0, top + box.h - foot);
    this.render();
    this.#setFocused(index);
    this.#tiles.get(index)?.firstChild.focus({ preventScroll: true });
  }

  /** The place of the photo above or below. */
  neighbour(index, direction) {
    const from = this.box(index);
    const middle = from.x + from.w / 2;
    let best = index;
    for (let at = index + direction, row = null; at >= 0 && at < this.results.total; at += direction) {
      const box = this.box(at);
      if (Math.abs(box.y - from.y) < 1) continue;
      row ??= box.y;
      if (Math.abs(box.y - row) >= 1) break;
      const off = (other) => Math.abs(other.x + other.w / 2 - middle);
      if (best === index || off(box) < off(this.box(best))) best = at;
    }
    return best;
  }

  hasFocus = () => this.list.contains(document.activeElement);
}
