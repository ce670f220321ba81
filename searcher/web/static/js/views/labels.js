// The labels: how many photos have each, a few of them, and a form to find more.

import { get, remove, thumbnail } from "../api.js";
import { ask } from "../dialogs.js";
import { button, h, muted, number, plural } from "../dom.js";
import { KINDS } from "../filterwords.js";
import * as jobs from "../jobs.js";
import { go, href } from "../state.js";
import { failed, toast } from "../toasts.js";

export async function view(signal) {
  const labels = await get("labels", undefined, signal);
  const words = h("input", { name: "labels", id: "new-labels", placeholder: "cat, dog, beach", autocomplete: "off", required: true });
  const one = h("input", { type: "checkbox", name: "one" });
  const form = h(
    "form",
    { class: "panel" },
    h("h2", {}, "Find labels in the library"),
    h("p", { class: "muted" }, "Type labels with commas between them. searcher looks at every photo and adds the labels that fit."),
    h("div", { class: "line" }, h("label", { class: "grow" }, h("span", { class: "unseen" }, "Labels"), words), h("button", { type: "submit", class: "primary" }, "Find")),
    h("label", { class: "line muted" }, one, "Give each photo only the label that fits best"),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = words.value.split(",").map((word) => word.trim()).filter(Boolean);
    if (wanted.length && (await jobs.start("tag", { labels: wanted, one: one.checked }))) form.reset();
  });
  const search = h("input", { type: "text", placeholder: "Filter the labels", "aria-label": "Filter the labels" });
  const cards = labels.map(card);
  search.addEventListener("input", () => {
    const typed = search.value.trim().toLowerCase();
    cards.forEach((element, at) => (element.hidden = !labels[at].label.toLowerCase().includes(typed)));
  });
  return h(
    "div",
    { class: "view" },
    h("header", { class: "heading" }, h("h1", {}, "Labels"), h("span", { class: "muted", role: "status" }, plural(labels.length, "label")), h("span", { class: "space" }), labels.length > 12 && search),
    jobs.card(["tag", "teach"]),
    form,
    labels.length
      ? h("ul", { class: "cards" }, cards)
      : h("p", { class: "empty" }, "No photo has a label yet. Type some above, add one to photos that you select, or teach one from a few photos."),
  );
}

const photosOf = (label) => href({ view: "photos", terms: [], filters: { tag: [label] }, sort: null, photo: null, panel: null });

function card({ label, photos, sources, samples, taught }) {
  const from = Object.entries(sources).map(([source, count]) => `${number(count)} ${KINDS[source] ?? source}`);
  return h(
    "li",
    { class: "card" },
    h(
      "a",
      { href: photosOf(label), "aria-label": `${label}, ${plural(photos, "photo")}`, dataset: { go: "" } },
      h("span", { class: `mosaic of${Math.min(4, samples.length)}` }, samples.slice(0, 4).map((id) => h("img", { alt: "", loading: "lazy", src: thumbnail(id, 150) }))),
      h("span", { class: "words" }, h("strong", {}, label), muted(number(photos))),
    ),
    h("span", { class: "muted small" }, taught ? `taught from ${plural(taught.examples, "photo")}` : from.join(", ")),
    h("span", { class: "line" }, taught && button(null, "Examples", () => examples(label), { class: "quiet small" }), button(null, "Remove", () => untag(label, photos, taught), { class: "quiet small", "aria-label": `Remove the label ${label}` })),
  );
}

async function examples(label) {
  try {
    const taught = await get(`teach/${encodeURIComponent(label)}`);
    const row = (title, ids) => (ids.length ? [h("h3", {}, title), h("ul", { class: "strip" }, ids.map((id) => h("li", {}, h("a", { href: href({ photo: id, at: null }), dataset: { go: "" } }, h("img", { alt: `Photo ${id}`, loading: "lazy", src: thumbnail(id, 110) })))))] : []);
    const dialog = ask({ title: `Examples of “${label}”`, body: [row("Photos that show it", taught.examples), row("Photos that do not", taught.against), h("p", { class: "muted" }, "Select photos and choose Teach to add examples.")] });
    dialog.addEventListener("click", (event) => event.target.closest("[data-go]") && dialog.close());
  } catch (error) {
    failed(error);
  }
}

function untag(label, photos, taught) {
  ask({
    title: `Remove “${label}”?`,
    body: [
      h("p", {}, `searcher takes the label that it found itself from ${plural(photos, "photo")}. Labels given by hand stay. The photos stay as they are.`),
      taught && h("label", { class: "line" }, h("input", { type: "checkbox", name: "forget", checked: true }), "Also forget its examples"),
    ],
    submit: "Remove",
    async onsubmit(form) {
      if (form.get("forget")) await remove(`teach/${encodeURIComponent(label)}`);
      const { removed } = await remove("tag", { labels: [label] });
      toast(`“${label}” is removed from ${plural(removed, "photo")}.`);
      go({ view: "photos" }, { replace: true });
      go({ view: "labels" }, { replace: true });
    },
  });
}
