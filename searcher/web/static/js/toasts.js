// Short messages at the bottom. They are above dialogs, too.

import { h, iconButton } from "./dom.js";

let box = null;

/** action: [label, function]. kind: "error" stays longer. */
export function toast(text, { action = null, kind = "done" } = {}) {
  if (!box) {
    box = h("div", { class: "toasts", popover: "manual" });
    document.body.append(box);
  }
  for (const shown of box.children) if (shown.firstChild.textContent === text) shown.remove(); // not twice
  const close = () => {
    message.remove();
    if (!box.childElementCount) box.hidePopover();
  };
  const message = h(
    "div",
    { class: `toast ${kind}`, role: kind === "error" ? "alert" : "status" },
    h("span", {}, text),
    action && h("button", { type: "button", onclick: () => (close(), action[1]()) }, action[0]),
    iconButton("close", "Close this message", close),
  );
  if (box.matches(":popover-open")) box.hidePopover(); // to the top of all that is open
  box.append(message);
  while (box.childElementCount > 3) box.firstChild.remove();
  box.showPopover();
  setTimeout(close, kind === "error" ? 12000 : 6000);
}

export const failed = (error) => error.name === "AbortError" || toast(error.message, { kind: "error" });
