// Puts the page together: the frame, the views, the keys, and the watch on the library.

import { actionBar, MOST } from "./actions.js";
import { get } from "./api.js";
import { showKeys } from "./dialogs.js";
import { h, icon, iconButton, plural } from "./dom.js";
import * as drop from "./drop.js";
import * as jobs from "./jobs.js";
import { listenForKeys } from "./keys.js";
import { Photos } from "./photos.js";
import * as selection from "./selection.js";
import { go, goTo, href, state, whenChanged } from "./state.js";
import { addTerm, Terms } from "./terms.js";
import { failed, toast } from "./toasts.js";
import { openPhoto, Viewer } from "./viewer.js";

const POLL = 5000;
const VIEWS = [["photos", "Photos"], ["labels", "Labels"], ["duplicates", "Duplicates"], ["folders", "Folders"]];
// These are loaded when they are first needed.
const MODULES = {
  labels: () => import("./views/labels.js"),
  duplicates: () => import("./views/duplicates.js"),
  folders: () => import("./views/folders.js"),
};

function similar(photo, sign) {
  if (!photo) return;
  const before = state();
  addTerm({ like: `id:${photo.id}`, weight: sign });
  const { library, view, terms, sort } = before;
  const undo = () => go({ library, view, terms, sort, photo: null, at: null });
  toast(sign > 0 ? `More like ${photo.name}` : `Less like ${photo.name}`, { action: ["Undo", undo] });
}

const photos = new Photos({ onopen: openPhoto, onsimilar: similar });
const terms = new Terms({ onpick: drop.pick, ondown: () => photos.grid.focus(photos.grid.focused) });
const viewer = new Viewer({
  results: () => (state().view === "photos" ? photos.results : null),
  onsimilar: similar,
  onclose: (at) => state().view === "photos" && at !== null && photos.grid.focus(at),
});
const other = h("div", { class: "other" });
const main = document.querySelector("main");
main.append(photos.element, other);

// the frame

const links = VIEWS.map(([view, words]) => h("a", { href: "./", class: view === "duplicates" ? "needs-folder" : null, dataset: { view, go: "" } }, icon(view), h("span", {}, words)));

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("searcher-theme", root.dataset.theme);
  filters?.then((panel) => panel.map.draw());
}

document.querySelector(".rail").append(...links, h("span", { class: "space" }), jobs.sign(), iconButton("theme", "Light or dark", toggleTheme), iconButton("keys", "Keys (?)", showKeys));
const toggleFilters = () => go({ view: "photos", panel: state().panel === "filters" ? null : "filters" }, { replace: state().view === "photos" });
const filterButton = h("button", { type: "button", class: "quiet toggle", "aria-label": "Filters", onclick: toggleFilters }, icon("filter"), h("span", {}, "Filters"));
const libraries = h("select", { class: "libraries", "aria-label": "Library", hidden: true });
libraries.addEventListener("change", () => goTo(`?library=${encodeURIComponent(libraries.value)}`));
document.querySelector(".top").append(h("div", { class: "line" }, terms.bar, filterButton, libraries), terms.row);
const bar = actionBar({ onall: selectAll, onchanged: () => look(true) });
document.body.append(bar);

async function selectAll() {
  const count = await photos.selectAll(MOST);
  if (count === MOST) toast(`The first ${plural(count, "photo")} are selected: no request takes more.`);
}

// the state

let abort = null;

async function drawOther(now, keep = false) {
  abort?.abort();
  const load = MODULES[now.view];
  if (!load) return other.replaceChildren();
  abort = new AbortController();
  if (!keep) other.replaceChildren(h("p", { class: "empty loading" }, "Loading …"));
  try {
    const { view: draw } = await load();
    const view = await draw(abort.signal);
    if (state().view !== now.view) return;
    if (keep && other.querySelector("input:focus")?.value) return; // a person is typing here
    const y = scrollY;
    other.replaceChildren(view);
    scrollTo(0, keep ? y : 0);
  } catch (error) {
    if (error.name === "AbortError") return;
    other.replaceChildren(h("div", { class: "message" }, h("h2", {}, "This did not load"), h("p", { role: "alert" }, error.message), h("button", { type: "button", class: "primary", onclick: () => drawOther(state()) }, "Try again")));
  }
}

let filters = null;

async function showFilters(now, fresh) {
  if (!filters && now.panel !== "filters") return;
  filters ??= import("./filters.js").then(({ Filters }) => new Filters(document.querySelector(".filters")));
  (await filters).follow(state(), fresh);
}

function follow(now, before, back) {
  for (const link of links) {
    const { view } = link.dataset;
    link.href = href({ view, photo: null, at: null, ...(view === "photos" && now.view === "photos" ? { terms: [], filters: {}, sort: null } : {}) });
    if (view === now.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  terms.draw(now);
  filterButton.setAttribute("aria-expanded", String(now.panel === "filters" && now.view === "photos"));
  photos.follow(now, back);
  if (!before || now.view !== before.view || now.library !== before.library) {
    drawOther(now);
    if (before && now.library !== before.library) {
      jobs.reset();
      revision = null;
      look();
    }
    libraries.value = now.library ?? libraries.options[0]?.value;
  }
  if (!before || now.filters !== before.filters || now.panel !== before.panel || now.view !== before.view) showFilters(now, now.library !== before?.library);
  viewer.follow(now);
  const words = now.terms.map((one) => one.text).filter(Boolean).join(", ");
  document.title = [words || (now.view !== "photos" && VIEWS.find(([view]) => view === now.view)?.[1]), "searcher"].filter(Boolean).join(" – ");
}

whenChanged(follow);
photos.onresults = () => viewer.follow(state());
follow(state(), null, null);

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-go]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  goTo(link.href);
});

// the library: new photos appear while the page is open

let revision = null;
let lost = false; // the server did not answer the last time

async function look(changed = false) {
  if (document.hidden) return;
  try {
    const status = await jobs.poll();
    jobs.follow(status.job?.id === jobs.job()?.id && status.job?.state === jobs.job()?.state ? null : status.job);
    document.body.classList.toggle("without-folder", !status.has_folder);
    changed ||= lost || (revision !== null && revision !== status.revision);
    revision = status.revision;
    lost = false;
  } catch (error) {
    if (!lost) failed(error);
    lost = true;
    return;
  }
  if (!changed) return;
  if (state().view === "photos") photos.refresh();
  else drawOther(state(), true);
  showFilters(state(), true);
}

setInterval(look, POLL);
document.addEventListener("visibilitychange", () => look());
jobs.whenFinished(() => look(true));
look();

get("libraries").then((all) => {
  libraries.hidden = all.length < 2;
  libraries.append(...all.map(({ name, folder }) => h("option", { value: name, title: folder }, name)));
  libraries.value = state().library ?? all[0]?.name;
}, failed);

drop.listen();
listenForKeys({ photos, terms, similar, showKeys, toggleFilters, selectAll, unselect: selection.clear });
