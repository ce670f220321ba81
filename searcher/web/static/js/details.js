// What is known about the open photo, and its labels.

import { post } from "./api.js";
import { button, bytes, h, icon, iconButton, number } from "./dom.js";
import { setFilters, KINDS } from "./filterwords.js";
import { go } from "./state.js";
import { failed, toast } from "./toasts.js";

const DATE = { weekday: "short", year: "numeric", month: "long", day: "numeric", hour: "2-digit", minute: "2-digit" };

export class Details {
  constructor({ onreveal, oncopy }) {
    Object.assign(this, { onreveal, oncopy });
    this.element = h("aside", { class: "details", "aria-label": "Details of the photo" });
  }

  show(photo) {
    const megapixels = (photo.width * photo.height) / 1e6;
    const search = (text, filters, title) => h("button", { type: "button", class: "link", title, onclick: () => setFilters(filters) }, text);
    const month = photo.taken_at?.slice(0, 7);
    const place = photo.latitude !== null && `${photo.latitude.toFixed(5)}, ${photo.longitude.toFixed(5)}`;
    const facts = [
      photo.taken_at && ["date", search(new Date(photo.taken_at).toLocaleString("en", DATE), { after: month, before: next(month) }, "Show this month"), null],
      photo.camera && ["camera", search(photo.camera, { camera: photo.camera }, "Show photos of this camera"), photo.lens],
      place && ["place", search(place, { near: `${photo.latitude},${photo.longitude},10` }, "Show photos taken within 10 km"), null],
      ["photos", [photo.width && `${number(photo.width)} × ${number(photo.height)}`, megapixels >= 0.1 && `${megapixels.toFixed(1)} megapixels`].filter(Boolean).join(" · "), [photo.format, photo.bytes !== null && bytes(photo.bytes)].filter(Boolean).join(" · ")],
      ["folders", search(photo.folder, { folder: photo.folder }, "Show this folder"), photo.name],
    ];
    this.element.replaceChildren(
      !photo.missing ? "" : h("p", { class: "notice" }, icon("warn"), "The file is no longer there. Connect its disk, or index its folder again."),
      h("p", { class: "description" }, photo.description ?? ""),
      photo.rating ? h("p", { class: "stars", "aria-label": `${photo.rating} of 5 stars`, role: "img" }, "★".repeat(photo.rating) + "☆".repeat(5 - photo.rating)) : "",
      h("ul", { class: "facts" }, facts.filter(Boolean).map(([name, first, second]) => h("li", {}, icon(name), h("span", {}, first, second && h("small", {}, second))))),
      this.#labels(photo),
      photo.copies.length ? h("section", {}, h("h3", {}, "Other copies"), h("ul", { class: "paths" }, photo.copies.map((copy) => h("li", {}, copy.path)))) : "",
      h(
        "div",
        { class: "actions" },
        button("copy", "Copy path", this.oncopy),
        button("open", "Show in file manager", this.onreveal),
      ),
    );
  }

  #labels(photo) {
    const input = h("input", { name: "label", placeholder: "Add a label", "aria-label": "Add a label", autocomplete: "off" });
    const change = async (add, remove) => {
      try {
        await post("tags", { ids: [photo.id], add, remove });
        const tags = photo.tags.filter((tag) => !remove.includes(tag.label) && !add.includes(tag.label));
        tags.push(...add.map((label) => ({ label, source: "user", probability: null })));
        this.show({ ...photo, tags });
        this.element.querySelector("[name=label]").focus();
      } catch (error) {
        failed(error);
      }
    };
    const chips = photo.tags.map(({ label, source, probability }) =>
      h(
        "span",
        { class: "chip" },
        h("button", { type: "button", class: "edit", title: `${KINDS[source] ?? source}${probability === null ? "" : `, ${Math.round(probability * 100)} %`}: show all photos`, onclick: () => go({ view: "photos", terms: [], filters: { tag: [label] }, sort: null, photo: null }) }, label),
        iconButton("close", `Remove the label ${label}`, async () => {
          await change([], [label]);
          toast(`The label ${label} is removed.`, { action: ["Undo", () => change([label], [])] });
        }, { class: "quiet remove" }),
      ),
    );
    const form = h("form", { class: "line" }, input, h("button", { type: "submit" }, "Add"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const label = input.value.trim();
      if (label) change([label], []);
    });
    return h("section", {}, h("h3", {}, "Labels"), h("div", { class: "chips" }, chips), form);
  }
}

/** "2023-12" → "2024-01". */
export function next(month) {
  const [year, of] = month.split("-").map(Number);
  return of === 12 ? `${year + 1}-01` : `${year}-${String(of + 1).padStart(2, "0")}`;
}
