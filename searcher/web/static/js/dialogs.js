// Dialogs: a form with a title, and the list of keys.

import { h, iconButton } from "./dom.js";

/** Opens a dialog. onsubmit gets the form's data; if it throws, the dialog stays and shows why. */
export function ask({ title, body, submit = null, onsubmit = null }) {
  const problem = h("p", { class: "problem", role: "alert" });
  const form = h(
    "form",
    { method: "dialog" },
    h("header", {}, h("h2", { id: "dialog-title" }, title), iconButton("close", "Close", () => dialog.close())),
    h("div", { class: "body" }, body, problem),
    submit && h("footer", {}, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), h("button", { class: "primary", type: "submit" }, submit)),
  );
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "dialog-title", onclose: () => dialog.remove() }, form);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!onsubmit) return dialog.close();
    try {
      await onsubmit(new FormData(form));
      dialog.close();
    } catch (error) {
      problem.textContent = error.message;
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

const KEYS = [
  ["/", "Search"],
  ["↓  from the search", "Go to the photos"],
  ["←  →  ↑  ↓", "Move among the photos"],
  ["j  k", "Next and previous photo"],
  ["Enter", "Open the photo"],
  ["Escape", "Close; unselect all"],
  ["x", "Select the photo"],
  ["Shift + click", "Select all from the last one"],
  ["Ctrl + A", "Select all that were found"],
  ["m  l", "More like this; less like this"],
  ["f", "Filters"],
  ["i", "Details of the open photo"],
  ["+  −  0", "Zoom the open photo"],
  ["?", "This list"],
];

export function showKeys() {
  const rows = KEYS.map(([keys, what]) => h("tr", {}, h("td", {}, keys.split("  ").map((key) => (/^(from|\+ )/.test(key) ? ` ${key}` : h("kbd", {}, key)))), h("td", {}, what)));
  ask({ title: "Keys", body: [h("table", { class: "keys" }, h("tbody", {}, rows)), h("p", { class: "muted" }, "Drop or paste a picture anywhere to find photos that look like it.")] });
}
