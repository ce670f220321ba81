// One photo in full size, with what is known about it.

import { get, post, thumbnail, url } from "./api.js";
import { button, copyText, h, icon, iconButton } from "./dom.js";
import { Details } from "./details.js";
import * as selection from "./selection.js";
import { go, state } from "./state.js";
import { failed, toast } from "./toasts.js";
import { Zoom } from "./zoom.js";

const SHOWN = new Set(["JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP"]); // browsers show these as they are
const SIDE = "searcher-details";
const URI = /^[a-z][a-z0-9+.-]+:\/\//i;

export class Viewer {
  #abort = null;
  #id = null;
  #library = null;

  constructor({ results, onsimilar, onclose }) {
    Object.assign(this, { results, onsimilar, onclose, photo: null });
    this.image = h("img", { class: "full", alt: "", draggable: "false" });
    this.small = h("img", { class: "small", alt: "", draggable: "false" });
    this.back = iconButton("left", "Previous photo", () => this.step(-1), { class: "step back" });
    this.forth = iconButton("right", "Next photo", () => this.step(1), { class: "step forth" });
    this.problem = h("p", { class: "problem", role: "alert" });
    this.stage = h("div", { class: "stage" }, this.small, this.image, this.problem, this.back, this.forth);
    this.name = h("h2", { id: "viewer-name" });
    this.place = h("span", { class: "muted place" });
    this.select = iconButton("check", "Select this photo", () => this.#select());
    this.download = h("a", { class: "quiet round", title: "Download the file", "aria-label": "Download the file", download: "" }, icon("download"));
    this.info = iconButton("info", "Details", () => this.toggleDetails());
    this.details = new Details({ onreveal: () => this.reveal(), oncopy: () => this.copyPath() });
    this.dialog = h(
      "dialog",
      { class: "viewer", "aria-labelledby": "viewer-name" },
      h(
        "header",
        {},
        iconButton("close", "Close the photo", () => this.close()),
        this.name,
        this.place,
        h("span", { class: "space" }),
        button("plus", "More like this", () => this.onsimilar(this.photo, 1), { class: "quiet wide" }),
        button("minus", "Less like this", () => this.onsimilar(this.photo, -1), { class: "quiet wide" }),
        this.select,
        this.download,
        this.info,
      ),
      h("div", { class: "both" }, this.stage, this.details.element),
    );
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.close();
    });
    this.dialog.addEventListener("keydown", (event) => this.#key(event));
    this.zoom = new Zoom(this.stage, { onswipe: (direction) => (direction ? this.step(direction) : this.close()), onzoom: () => this.#sharpen() });
    this.image.addEventListener("load", () => this.stage.classList.add("sharp"));
    this.image.addEventListener("error", () => this.#unreadable());
    selection.whenChanged(() => this.#marks());
    document.body.append(this.dialog);
    const wide = matchMedia("(min-width: 900px)").matches;
    this.toggleDetails((localStorage.getItem(SIDE) ?? (wide ? "open" : "closed")) === "open");
  }

  /** Follows the URL: shows its photo, or none. */
  async follow({ photo, at, library }) {
    if (!photo) {
      if (this.dialog.open) this.#hide();
      return;
    }
    if (!this.dialog.open) this.dialog.showModal();
    if (this.#id !== photo || this.#library !== library) {
      this.#library = library;
      await this.#show(photo);
    }
    this.#neighbours(at);
  }

  async #show(id) {
    this.#id = id;
    this.photo = null;
    this.#abort?.abort();
    this.#abort = new AbortController();
    this.zoom.reset();
    this.problem.textContent = "";
    this.stage.classList.remove("sharp");
    this.image.removeAttribute("src");
    this.small.src = thumbnail(id, 1024);
    this.name.textContent = "";
    try {
      const photo = await get(`images/${id}`, undefined, this.#abort.signal);
      if (this.#id !== id) return;
      this.photo = photo;
      this.name.textContent = photo.name;
      this.dialog.dataset.photo = id;
      this.image.alt = photo.description || photo.name;
      this.image.dataset.kind = SHOWN.has(photo.format) ? "original" : "preview";
      this.image.src = url(`images/${id}/${this.image.dataset.kind}`);
      const ratio = photo.width && photo.height ? photo.width / photo.height : null;
      this.small.style.aspectRatio = ratio;
      this.download.href = url(`images/${id}/original`, new URLSearchParams({ download: 1 }));
      this.details.show(photo);
      this.#marks();
    } catch (error) {
      if (error.name !== "AbortError" && this.#id === id) this.problem.textContent = error.message;
    }
  }

  /** The browser cannot show the original, or the file is gone. */
  #unreadable() {
    if (this.image.dataset.kind === "original") {
      this.image.dataset.kind = "preview";
      this.image.src = url(`images/${this.#id}/preview`);
    } else {
      this.problem.textContent = this.photo?.missing
        ? "The file is no longer there. Connect its disk, or index its folder again."
        : URI.test(this.photo?.path ?? "")
          ? "The photo is not on this machine, and cannot be read from where it is."
          : "The photo cannot be read. The page `Folders` lists files that failed.";
    }
  }

  #sharpen() {
    this.stage.classList.add("sharp");
  }

  /** at: where the photo was when it was opened. Newer photos may have come before it. */
  async #neighbours(at) {
    const results = this.results();
    const id = this.#id;
    const there = results && at !== null ? await results.at(at).catch(() => null) : null;
    if (this.#id !== id) return;
    const place = there?.id === id ? at : (results?.indexOf(id, at ?? 0) ?? null);
    this.at = place;
    this.place.textContent = results && place !== null ? `${place + 1} of ${results.total}` : "";
    this.back.hidden = place === null || place <= 0;
    this.forth.hidden = place === null || !results || place >= results.total - 1;
    if (place === null || !results) return;
    for (const near of [place + 1, place - 1]) {
      const hit = await results.at(near).catch(() => null);
      if (hit) new Image().src = thumbnail(hit.id, 1024);
    }
  }

  async step(direction) {
    const results = this.results();
    if (!results || this.at === null) return;
    const hit = await results.at(this.at + direction).catch(failed);
    if (hit) go({ photo: hit.id, at: this.at + direction }, { replace: true });
  }

  close() {
    if (history.state?.opened) history.back();
    else go({ photo: null, at: null });
  }

  #hide() {
    this.dialog.close();
    this.#id = null;
    this.image.removeAttribute("src");
    this.small.removeAttribute("src");
    this.onclose(this.at);
  }

  toggleDetails(open = !this.dialog.classList.contains("detailed")) {
    this.dialog.classList.toggle("detailed", open);
    this.info.setAttribute("aria-pressed", String(open));
    localStorage.setItem(SIDE, open ? "open" : "closed");
  }

  #select() {
    if (this.photo) selection.toggle(this.photo);
  }

  #marks() {
    this.select.setAttribute("aria-pressed", String(selection.has(this.#id)));
  }

  async copyPath() {
    try {
      await copyText(this.photo.path);
      toast("The path is copied.");
    } catch {
      toast("The browser did not allow copying. The path is in the details.", { kind: "error" });
    }
  }

  reveal() {
    post(`images/${this.#id}/reveal`).catch(failed);
  }

  #key(event) {
    if (event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const run = {
      ArrowLeft: () => this.step(-1),
      ArrowRight: () => this.step(1),
      k: () => this.step(-1),
      j: () => this.step(1),
      "+": () => this.zoom.by(1.5),
      "=": () => this.zoom.by(1.5),
      "-": () => this.zoom.by(1 / 1.5),
      0: () => this.zoom.reset(),
      i: () => this.toggleDetails(),
      x: () => this.#select(),
      m: () => this.onsimilar(this.photo, 1),
      l: () => this.onsimilar(this.photo, -1),
    }[event.key];
    if (!run) return;
    event.preventDefault();
    event.stopPropagation();
    run();
  }
}

/** Opens a photo, so that closing it goes back in the history. */
export function openPhoto(index, hit) {
  go({ photo: hit.id, at: index });
  history.replaceState({ ...history.state, opened: true }, "");
}

export const shown = () => state().photo !== null;
