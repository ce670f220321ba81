// The state of the page is its URL: the view, what is looked for, and the open photo. The parameters of a search have
// the same names as in the API.

const VIEWS = ["photos", "labels", "duplicates", "folders"];
const LISTS = ["tag", "not_tag", "source", "format"];
const SINGLE = ["after", "before", "camera", "near", "folder", "name", "rating", "min_pixels", "orientation"];
const WEIGHTED = /^(\d{1,6}(?:\.\d{1,6})?):(?!\d)(.*)$/s;

/** A term: {text} or {like: "id:N" or "upload:KEY"}, and a weight, which is negative for "without". */
function term(kind, sign, value) {
  const found = WEIGHTED.exec(value);
  const weight = sign * (found ? Number(found[1]) : 1);
  return { [kind]: found ? found[2].trim() : value, weight };
}

export function parse(search) {
  const given = new URLSearchParams(search);
  const terms = [
    ...given.getAll("q").map((value) => term("text", 1, value)),
    ...given.getAll("not").map((value) => term("text", -1, value)),
    ...given.getAll("like").map((value) => term("like", 1, value)),
    ...given.getAll("unlike").map((value) => term("like", -1, value)),
  ].filter((one) => (one.like ?? one.text).trim() && one.weight);
  const filters = {};
  for (const name of SINGLE) if (given.get(name)) filters[name] = given.get(name);
  for (const name of LISTS) if (given.has(name)) filters[name] = given.getAll(name);
  return {
    view: VIEWS.includes(given.get("view")) ? given.get("view") : "photos",
    library: given.get("library"),
    terms,
    filters,
    sort: given.get("sort"),
    photo: Number(given.get("photo")) || null,
    at: /^\d{1,9}$/.test(given.get("at")) ? Number(given.get("at")) : null,
    panel: given.get("panel"),
  };
}

function nameOf({ like, weight }) {
  return like === undefined ? (weight < 0 ? "not" : "q") : weight < 0 ? "unlike" : "like";
}

export function addFilters(to, filters) {
  for (const name of SINGLE) if (filters[name]) to.append(name, filters[name]);
  for (const name of LISTS) for (const value of filters[name] ?? []) to.append(name, value);
  return to;
}

/** The parameters of a search in the API. */
export function searchParameters({ terms, filters, sort }) {
  const made = new URLSearchParams();
  for (const one of terms) {
    const weight = Math.abs(one.weight);
    made.append(nameOf(one), (weight === 1 ? "" : `${weight}:`) + (one.like ?? one.text));
  }
  addFilters(made, filters);
  if (sort) made.set("sort", sort);
  return made;
}

/** The URL of a state, relative to the base of the page. */
export function href(changes) {
  const next = { ...current, ...changes };
  const made = new URLSearchParams();
  if (next.view !== "photos") made.set("view", next.view);
  for (const [name, value] of searchParameters(next)) made.append(name, value);
  for (const name of ["library", "panel", "photo"]) if (next[name]) made.set(name, next[name]);
  if (next.photo && next.at !== null) made.set("at", next.at);
  const query = made.toString();
  return query ? `?${query}` : "./";
}

let current = parse(location.search);
const listeners = new Set();

export const state = () => current;
export const whenChanged = (listener) => listeners.add(listener);

function become(next, back) {
  const before = current;
  current = next;
  for (const listener of listeners) listener(current, before, back);
}

/** Changes the state. typing: further typing replaces the same entry of the history. */
export function go(changes, { replace = false, typing = false } = {}) {
  const url = href(changes);
  if (new URL(url, document.baseURI).href === location.href) return;
  const same = replace || (typing && history.state?.typing);
  history[same ? "replaceState" : "pushState"]({ ...(same ? history.state : null), typing }, "", url);
  become({ ...current, ...changes }, false);
}

/** Goes where a link of the page leads. */
export function goTo(url) {
  const next = parse(new URL(url, document.baseURI).search);
  history.pushState({}, "", url);
  become(next, false);
}

/** The next typing makes a new entry of the history. */
export function settle() {
  if (history.state?.typing) history.replaceState({ ...history.state, typing: false }, "");
}

/** Keeps what is needed to come back to the same place. */
export const remember = (place) => history.replaceState({ ...history.state, place }, "");
export const remembered = () => history.state?.place ?? null;

history.scrollRestoration = "manual";
addEventListener("popstate", () => become(parse(location.search), true));
