// The photos that are selected: their ids and paths, in the order of selection.

const chosen = new Map();
const listeners = new Set();
let anchor = null;

export const whenChanged = (listener) => listeners.add(listener);
const changed = () => listeners.forEach((listener) => listener());

export const has = (id) => chosen.has(id);
export const size = () => chosen.size;
export const ids = () => [...chosen.keys()];
export const hits = () => [...chosen.values()];
export const last = () => anchor;
export const setLast = (index) => (anchor = index);

export function add(found) {
  for (const hit of found) chosen.set(hit.id, hit);
  changed();
}

export function toggle(hit) {
  if (!chosen.delete(hit.id)) chosen.set(hit.id, hit);
  changed();
}

export function clear() {
  anchor = null;
  if (!chosen.size) return;
  chosen.clear();
  changed();
}
