// The folders that are indexed, the files that failed, and how to index more.

import { get } from "../api.js";
import { button, bytes, h, icon, plural } from "../dom.js";
import * as jobs from "../jobs.js";
import { href } from "../state.js";

/** A form to index a folder. It serves the empty library, too. */
export function folderForm(first) {
  const path = h("input", { name: "folder", id: "folder", placeholder: "~/Pictures", required: true, autocomplete: "off", spellcheck: "false" });
  const form = h(
    "form",
    { class: "panel needs-folder" },
    h("label", { for: "folder" }, first ? "Where are your photos?" : "Add a folder"),
    h("div", { class: "line" }, path, h("button", { type: "submit", class: "primary" }, "Index")),
    h("p", { class: "muted" }, "A folder on the machine where searcher runs. Photos are only read; nothing leaves the machine."),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const folder = path.value.trim();
    if (folder && (await jobs.start("index", { folders: [folder] }))) form.reset();
  });
  return form;
}

export async function view(signal) {
  const status = await get("status", undefined, signal);
  const failures = status.has_folder ? await get("failures", undefined, signal) : [];
  return h(
    "div",
    { class: "view" },
    h(
      "header",
      { class: "heading" },
      h("h1", {}, "Folders"),
      h("span", { class: "muted", role: "status" }, plural(status.images, "photo")),
      h("span", { class: "space" }),
      status.roots.length > 0 && button("again", "Index again", () => jobs.start("index", { folders: [] }), { class: "needs-folder" }),
    ),
    jobs.card(),
    status.roots.length > 0 && h("ul", { class: "rows" }, status.roots.map(row)),
    folderForm(status.roots.length === 0),
    failures.length > 0 && failed(failures),
    h(
      "dl",
      { class: "about" },
      [["Library", status.folder], ["Model", status.model ?? "built-in"], status.bytes !== null && ["Size of the library", bytes(status.bytes)]].filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
  );
}

function row({ path, images, failed: broken, missing }) {
  return h(
    "li",
    { class: missing ? "row missing" : "row" },
    icon("folders"),
    h(
      "span",
      { class: "grow" },
      h("a", { href: href({ view: "photos", terms: [], filters: { folder: path }, sort: null, photo: null }), dataset: { go: "" } }, path),
      h("span", { class: "muted small" }, [plural(images, "photo"), broken && plural(broken, "file failed", "files failed")].filter(Boolean).join(" · "), missing && " · not connected: its photos stay in the library"),
    ),
    button("again", "Index again", () => jobs.start("index", { folders: [path] }), { class: "quiet needs-folder", disabled: missing, "aria-label": `Index ${path} again` }),
  );
}

function failed(failures) {
  return h(
    "details",
    { class: "failures" },
    h("summary", {}, icon("warn"), `${plural(failures.length, "file")} could not be read`),
    h("p", { class: "line" }, h("span", { class: "muted grow" }, "searcher tries a file again when it changes."), button("again", "Try all again", () => jobs.start("index", { folders: [], retry: true }))),
    h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "File"), h("th", { scope: "col" }, "Reason"))), h("tbody", {}, failures.map(({ path, error }) => h("tr", {}, h("td", {}, path), h("td", {}, error))))),
  );
}
