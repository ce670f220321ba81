// Long work of the library: its progress is followed by server-sent events, and shown wherever it was started.

import { get, post, remove, url } from "./api.js";
import { button, h, icon, number, plural } from "./dom.js";
import { failed, toast } from "./toasts.js";

const listeners = new Set();
const atEnd = new Set();
let current = null;
let source = null;
let told = null;

export const job = () => current;
export const whenChanged = (listener) => listeners.add(listener);
export const whenFinished = (listener) => atEnd.add(listener);
export const running = () => current?.state === "running";

/** Takes a job that a request or the status has told, and follows it while it runs. begun: it was started here. */
export function follow(next, begun = false) {
  if (!next) return;
  current = next;
  if (begun) told = next.id;
  if (running()) listen();
  else if (told === next.id) finish();
  if (running()) told = next.id;
  for (const listener of listeners) listener(current);
}

/** Forgets the job: another library is shown. */
export function reset() {
  source?.close();
  source = current = told = null;
}

function listen() {
  if (source) return;
  source = new EventSource(url("index"));
  source.addEventListener("job", (event) => {
    const next = JSON.parse(event.data);
    if (next) follow(next);
  });
}

function finish() {
  told = null;
  source?.close();
  source = null;
  if (current.state === "failed") toast(current.error ?? "The work failed.", { kind: "error" });
  else toast(outcome(current));
  for (const listener of atEnd) listener();
}

/** Starts work. Returns false if it could not start; then a message says why. */
export async function start(path, body) {
  try {
    follow(await post(path, body), true);
    return true;
  } catch (error) {
    failed(error);
    return false;
  }
}

/** What a finished job has done, in a sentence. */
export function outcome({ kind, state, result }) {
  if (state === "stopped") return "Stopped. What was done so far is kept.";
  if (!result) return "Done.";
  if (kind === "index") {
    const parts = [["added", "new"], ["changed", "changed"], ["moved", "moved"], ["removed", "removed"], ["failed", "failed"]];
    const told = parts.filter(([name]) => result[name]).map(([name, word]) => `${number(result[name])} ${word}`);
    return told.length ? `Indexed: ${told.join(", ")}.` : "Indexed: nothing has changed.";
  }
  if (kind === "tag") return `${plural(Object.values(result.tagged ?? {}).reduce((sum, one) => sum + one, 0), "label")} added to ${plural(result.photos, "photo")}.`;
  if (kind === "teach") return `“${result.label}” is taught from ${plural(result.examples, "example")}: ${plural(result.photos, "photo")} found.`;
  if (kind === "duplicates") return `${plural(result.groups, "group")} of copies found.`;
  if (kind === "xmp") return `${plural(result.changed, "sidecar")} written${result.failures?.length ? `, ${result.failures.length} failed` : ""}.`;
  return "Done.";
}

/** A card that shows the job and stays up to date. Hidden while nothing runs. */
export function card(kinds = null) {
  const title = h("strong", {});
  const count = h("span", { class: "muted" });
  const bar = h("progress", { "aria-label": "Progress" });
  const notices = h("ul", { class: "notices" });
  const stop = button("stop", "Stop", () => remove("index").catch(failed));
  const element = h("section", { class: "job", hidden: true, "aria-label": "Work in progress" }, h("div", { class: "line" }, title, count, h("span", { class: "space" }), stop), bar, notices);
  const draw = (now) => {
    element.hidden = !now || now.state !== "running" || (kinds !== null && !kinds.includes(now.kind));
    if (element.hidden) return;
    title.textContent = now.phase ? `${now.title}: ${now.phase}` : now.title;
    count.textContent = now.total ? `${number(now.done)} of ${number(now.total)}` : now.done ? number(now.done) : "starting …";
    if (now.total) {
      bar.max = now.total;
      bar.value = now.done;
    } else bar.removeAttribute("value");
    notices.replaceChildren(...now.notices.slice(-3).map((notice) => h("li", {}, notice)));
  };
  whenChanged(draw);
  draw(current);
  return element;
}

/** A small sign of running work, for the bar of views. */
export function sign() {
  const words = h("span", {});
  const element = h("a", { class: "working", href: "?view=folders", hidden: true, "aria-label": "Work in progress" }, icon("again"), words);
  whenChanged((now) => {
    element.hidden = !running();
    words.textContent = now.total ? `${Math.floor((100 * now.done) / now.total)} %` : "";
    element.title = now.title;
  });
  return element;
}

export const poll = () => get("status");
