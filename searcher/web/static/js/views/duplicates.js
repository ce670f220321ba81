// Groups of copies side by side. Nothing is deleted here.

import { get, thumbnail } from "../api.js";
import { button, bytes, copyText, h, icon, number, plural } from "../dom.js";
import * as jobs from "../jobs.js";
import * as selection from "../selection.js";
import { href } from "../state.js";
import { toast } from "../toasts.js";

const STEP = 30;

export async function view(signal) {
  const found = await get("duplicates", undefined, signal);
  const groups = found?.groups ?? [];
  const others = groups.flatMap((group) => group.others);
  const space = others.reduce((sum, one) => sum + (one.bytes ?? 0), 0);
  const list = h("ul", { class: "groups" });
  const end = h("div", { class: "end" });
  let shown = 0;
  const more = () => {
    list.append(...groups.slice(shown, shown + STEP).map(group));
    shown += STEP;
    if (shown >= groups.length) watcher.disconnect();
  };
  const watcher = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && more(), { rootMargin: "800px" });
  more();
  if (shown < groups.length) watcher.observe(end);
  const find = button("duplicates", found ? "Look again" : "Find duplicates", () => jobs.start("duplicates"), { class: found ? "" : "primary" });
  return h(
    "div",
    { class: "view" },
    h(
      "header",
      { class: "heading" },
      h("h1", {}, "Duplicates"),
      h("span", { class: "muted", role: "status" }, found ? plural(groups.length, "group") : ""),
      h("span", { class: "space" }),
      groups.length > 0 && button("check", "Select the copies", () => (selection.add(others.slice(0, 10000)), toast(`${plural(Math.min(others.length, 10000), "copy", "copies")} selected.`))),
      groups.length > 0 && button("copy", "Copy their paths", async () => (await copyText(others.map((one) => one.path).join("\n")), toast(`${plural(others.length, "path")} copied.`))),
      find,
    ),
    jobs.card(["duplicates"]),
    h("p", { class: "muted" }, groups.length ? `The photo to keep is marked: it is the best of its group. The ${plural(others.length, "other")} take ${bytes(space)}. searcher deletes nothing.` : "searcher compares all photos and shows the ones that are the same: copies, smaller versions, other formats. It deletes nothing."),
    found && !groups.length ? h("p", { class: "empty" }, icon("check"), "No photo is there twice.") : list,
    end,
  );
}

function group({ kind, keep, others }) {
  return h(
    "li",
    { class: "group" },
    h("span", { class: "muted small" }, kind === "exact" ? "The same file" : "The same picture"),
    h("ul", { class: "strip" }, photo(keep, true), others.map((one) => photo(one, false))),
  );
}

function photo({ id, path, width, height, bytes: size, similarity }, kept) {
  const name = path.split("/").at(-1);
  const facts = [width && `${number(width)} × ${number(height)}`, size !== null && size !== undefined && bytes(size), !kept && similarity !== undefined && similarity < 1 && `${(similarity * 100).toFixed(1)} % alike`];
  return h(
    "li",
    { class: kept ? "copy keep" : "copy" },
    h("a", { href: href({ photo: id, at: null }), dataset: { go: "", imageId: id }, "aria-label": kept ? `${name}, the one to keep` : name }, h("img", { alt: "", loading: "lazy", src: thumbnail(id, 240) })),
    kept && h("span", { class: "badge" }, icon("check"), "Keep"),
    h("strong", { title: path }, name),
    h("span", { class: "muted small", title: path }, path.slice(0, -name.length - 1)),
    h("span", { class: "muted small" }, facts.filter(Boolean).join(" · ")),
  );
}
