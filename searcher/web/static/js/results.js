// The hits of one search. They are loaded in pages as they come into view.

import { get } from "./api.js";
import { addFilters, searchParameters } from "./state.js";

const PAGE = 100;
const AT_ONCE = 3;

/** What one search found: total, likely, notices, and the hits that are loaded so far. */
export class Results {
  #wanted = [];
  #loading = new Map();

  constructor(key, first, months) {
    Object.assign(this, { key, months, total: first.total, first, failure: null });
    this.hits = new Map(first.hits.map((hit, at) => [at, hit]));
    this.onload = () => {};
  }

  /** Starts a search. Its first page and the months of the library are asked for together. */
  static async open(state, signal) {
    const parameters = searchParameters(state);
    const key = parameters.toString();
    const plain = state.terms.length === 0 && state.sort !== "relevance";
    const filters = addFilters(new URLSearchParams(), state.filters);
    const [first, months] = await Promise.all([
      get("search", new URLSearchParams([...parameters, ["offset", 0], ["limit", PAGE]]), signal),
      plain ? get("timeline", filters, signal).catch(() => []) : [],
    ]);
    return new Results(key, first, months);
  }

  /** Sections of the grid: {title, month, start, count, dim}. */
  sections() {
    const { total } = this;
    const { likely, nothing_fits: nothing } = this.first;
    if (likely !== null && likely < total) {
      const sure = nothing ? 0 : likely;
      return [
        { start: 0, count: sure },
        { title: sure ? "Less likely" : "The closest photos", divider: true, start: sure, count: total - sure, dim: true },
      ].filter((one) => one.count > 0);
    }
    const months = this.months.filter((one) => one.photos);
    if (!total || months.reduce((sum, one) => sum + one.photos, 0) !== total) return total ? [{ start: 0, count: total }] : [];
    const byYear = total / months.length < 10;
    const sections = [];
    let start = 0;
    for (const { month, photos } of months) {
      const name = byYear ? month?.slice(0, 4) ?? null : month;
      const last = sections.at(-1);
      if (last && last.month === name) last.count += photos;
      else sections.push({ month: name, start, count: photos });
      start += photos;
    }
    return sections;
  }

  /** The hits from `start` on, or null if some are not loaded. Then `want` loads them. */
  range(start, count) {
    const found = [];
    for (let at = start; at < start + count; at++) {
      const hit = this.hits.get(at);
      if (!hit) return null;
      found.push(hit);
    }
    return found;
  }

  /** Loads what is in view first; what was wanted before and is no longer is dropped. */
  want(ranges) {
    const pages = new Set();
    for (const [start, count] of ranges) {
      for (let page = Math.floor(start / PAGE); page * PAGE < Math.min(start + count, this.total); page++) {
        if (!this.hits.has(page * PAGE) || !this.hits.has(Math.min(this.total, (page + 1) * PAGE) - 1)) pages.add(page);
      }
    }
    for (const [page, abort] of this.#loading) if (!pages.has(page)) abort.abort();
    this.#wanted = [...pages].filter((page) => !this.#loading.has(page));
    this.#next();
  }

  #next() {
    while (this.#wanted.length && this.#loading.size < AT_ONCE) this.load(this.#wanted.shift()).catch(() => {});
  }

  async load(page, size = PAGE) {
    const abort = new AbortController();
    if (size === PAGE) this.#loading.set(page, abort); // larger ones are wanted whatever is in view
    const start = page * size;
    try {
      const parameters = new URLSearchParams([...new URLSearchParams(this.key), ["offset", start], ["limit", size]]);
      const { hits } = await get("search", parameters, abort.signal);
      hits.forEach((hit, at) => this.hits.set(start + at, hit));
      if (hits.length < Math.min(size, this.total - start)) this.total = Math.max(start + hits.length, 1); // fewer than told
      this.failure = null;
    } catch (error) {
      if (error.name !== "AbortError") this.failure = error;
      throw error;
    } finally {
      if (size === PAGE) this.#loading.delete(page);
      this.onload();
      this.#next();
    }
  }

  /** Loads the hit at a place, for the viewer. */
  async at(index) {
    if (index < 0 || index >= this.total) return null;
    if (!this.hits.has(index)) await this.load(Math.floor(index / PAGE));
    return this.hits.get(index) ?? null;
  }

  /** The place of a photo among the loaded hits, or null. Looks near `near` first. */
  indexOf(id, near = 0) {
    for (let step = 0; step <= 2 * PAGE; step++) {
      for (const at of [near + step, near - step]) if (this.hits.get(at)?.id === id) return at;
    }
    for (const [at, hit] of this.hits) if (hit.id === id) return at;
    return null;
  }

  /** The first `most` hits, loaded in large pages. With a text only those that are likely. */
  async all(most) {
    const { likely, nothing_fits: nothing } = this.first;
    const count = Math.min(most, likely && !nothing ? Math.min(likely, this.total) : this.total);
    for (let page = 0; page * 500 < count; page++) {
      if (!this.range(page * 500, Math.min(500, count - page * 500))) await this.load(page, 500);
    }
    return this.range(0, Math.min(count, this.total)) ?? [];
  }
}
