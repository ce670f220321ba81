// Search with a picture: dropped, pasted or picked.

import { upload } from "./api.js";
import { h } from "./dom.js";
import { go } from "./state.js";
import { pictures } from "./terms.js";
import { failed, toast } from "./toasts.js";

const MOST = 64e6; // bytes; the server has its own limit

async function searchWith(file) {
  if (file.size > MOST) return toast("The picture is larger than 64 MB: choose a smaller one.", { kind: "error" });
  document.body.classList.add("sending");
  try {
    const key = await upload(file);
    pictures.set(key, URL.createObjectURL(file));
    go({ view: "photos", terms: [{ like: `upload:${key}`, weight: 1 }], sort: null, photo: null });
  } catch (error) {
    failed(error);
  } finally {
    document.body.classList.remove("sending");
  }
}

export function pick() {
  const input = h("input", { type: "file", accept: "image/*,.heic,.heif,.dng,.cr2,.cr3,.nef,.arw,.jxl" });
  input.addEventListener("change", () => input.files[0] && searchWith(input.files[0]));
  input.click();
}

/** Takes pictures that are dropped or pasted anywhere on the page. */
export function listen() {
  const cover = h("div", { class: "drop", hidden: true }, h("p", {}, "Drop the picture to find photos that look like it"));
  document.body.append(cover);
  let depth = 0;
  const brings = (event) => event.dataTransfer?.types.includes("Files");
  const leave = () => {
    depth = 0;
    cover.hidden = true;
  };
  addEventListener("dragenter", (event) => {
    if (!brings(event)) return;
    event.preventDefault();
    depth += 1;
    cover.hidden = false;
  });
  addEventListener("dragover", (event) => brings(event) && event.preventDefault());
  addEventListener("dragleave", (event) => {
    if (brings(event) && --depth <= 0) leave();
  });
  addEventListener("drop", (event) => {
    if (!brings(event)) return;
    event.preventDefault();
    leave();
    const file = event.dataTransfer.files[0];
    if (file) searchWith(file);
  });
  addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    searchWith(file);
  });
}
