// What can be done with the selected photos: a bar at the bottom, and its dialogs.

import { get, post } from "./api.js";
import { button, copyText, h, iconButton, plural } from "./dom.js";
import { ask } from "./dialogs.js";
import * as jobs from "./jobs.js";
import * as selection from "./selection.js";
import { failed, toast } from "./toasts.js";

export const MOST = 10000; // photos in one request

/** The bar with the number of selected photos and the actions. onchanged: labels have changed. */
export function actionBar({ onall, onchanged }) {
  const count = h("strong", { role: "status" });
  const bar = h(
    "section",
    { class: "actionbar", "aria-label": "Selected photos", hidden: true },
    iconButton("close", "Unselect all", selection.clear),
    count,
    button(null, "Select all", onall, { class: "quiet" }),
    h("span", { class: "space" }),
    button("download", "Download", download, { title: "Download the photos as a zip file" }),
    button("labels", "Label", () => label(onchanged), { title: "Add or remove a label by hand" }),
    button("teach", "Teach", teach, { class: "needs-folder", title: "Teach a label from these photos" }),
    button("file", "Write XMP", xmp, { class: "needs-folder", title: "Write the labels into XMP sidecars beside the photos" }),
    button("copy", "Copy paths", paths, { title: "Copy the paths of the photos" }),
  );
  selection.whenChanged(() => {
    bar.hidden = selection.size() === 0;
    document.body.classList.toggle("selecting", !bar.hidden);
    count.textContent = `${plural(selection.size(), "photo")} selected`;
  });
  return bar;
}

async function download() {
  try {
    const { url } = await post("downloads", { ids: selection.ids() });
    const link = h("a", { href: url, download: "" });
    document.body.append(link);
    link.click();
    link.remove();
    toast(`The download of ${plural(selection.size(), "photo")} has begun.`);
  } catch (error) {
    failed(error);
  }
}

async function paths() {
  try {
    await copyText(selection.hits().map((hit) => hit.path).join("\n"));
    toast(`${plural(selection.size(), "path")} copied.`);
  } catch {
    toast("The browser did not allow copying.", { kind: "error" });
  }
}

async function known() {
  const labels = await get("labels").catch(() => []);
  return h("datalist", { id: "known-labels" }, labels.slice(0, 2000).map((one) => h("option", { value: one.label })));
}

const labelInput = (text, name = "label") => h("label", {}, text, h("input", { name, list: "known-labels", required: true, autocomplete: "off", autofocus: true }));

async function label(onchanged) {
  const photos = plural(selection.size(), "photo");
  const how = h(
    "fieldset",
    { class: "pair" },
    h("label", { class: "line" }, h("input", { type: "radio", name: "how", value: "add", checked: true }), `Add it to ${photos}`),
    h("label", { class: "line" }, h("input", { type: "radio", name: "how", value: "remove" }), `Remove it from ${photos}`),
  );
  ask({
    title: "Label the selected photos",
    body: [await known(), labelInput("Label"), how],
    submit: "Save",
    async onsubmit(form) {
      const name = form.get("label").trim();
      const ids = selection.ids();
      const add = form.get("how") === "add";
      await post("tags", { ids, add: add ? [name] : [], remove: add ? [] : [name] });
      toast(add ? `“${name}” is added to ${photos}.` : `“${name}” is removed from ${photos}.`);
      onchanged();
    },
  });
}

async function teach() {
  const count = selection.size();
  const role = h(
    "fieldset",
    {},
    h("label", { class: "line" }, h("input", { type: "radio", name: "how", value: "ids", checked: true }), `The ${plural(count, "selected photo")} show it`),
    h("label", { class: "line" }, h("input", { type: "radio", name: "how", value: "against" }), `The ${plural(count, "selected photo")} do not show it`),
  );
  ask({
    title: "Teach a label",
    body: [await known(), h("p", { class: "muted" }, "searcher learns the label from these photos, and looks for it in the whole library. Five or more different photos are best."), labelInput("Label, such as the name of a pet"), role],
    submit: "Teach",
    async onsubmit(form) {
      const ids = selection.ids();
      const shows = form.get("how") === "ids";
      jobs.follow(await post("teach", { label: form.get("label").trim(), ids: shows ? ids : [], against: shows ? [] : ids }), true);
      selection.clear();
    },
  });
}

function xmp() {
  ask({
    title: "Write XMP sidecars",
    body: h("p", {}, `The labels of ${plural(selection.size(), "photo")} are written into .xmp files beside the photos, which other programs read. The photos themselves stay as they are.`),
    submit: "Write",
    async onsubmit() {
      jobs.follow(await post("xmp", { ids: selection.ids() }), true);
    },
  });
}
