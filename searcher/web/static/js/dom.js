// Makes elements. No text is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element. Properties that begin with "on" are listeners; null and false are left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "style" || name === "dataset") Object.assign(element[name], value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const PATHS = {
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM15.3 15.3 20 20",
  photos: "M4 5h16v14H4zM4 15.5l4.5-4.5 4 4 2.5-2.5 5 5M15.5 9.2h.01",
  labels: "M4 4h7.5l8.5 8.5-7.5 7.5L4 11.5zM8.2 8.2h.01",
  duplicates: "M8 8h12v12H8zM16 8V4H4v12h4",
  folders: "M3.5 6h6l2 2.5h9V19h-17z",
  filter: "M4 7h16M7 12h10M10 17h4",
  theme: "M20 14.2A8.2 8.2 0 0 1 9.8 4 8.2 8.2 0 1 0 20 14.2Z",
  keys: "M3 6.5h18v11H3zM6.5 10h.01M10 10h.01M14 10h.01M17.5 10h.01M8 14h8",
  close: "M6 6l12 12M18 6 6 18",
  check: "M5 12.5 10 17.5 19 7.5",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  info: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17ZM12 11v5.5M12 7.8h.01",
  download: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  open: "M13 4h7v7M20 4l-9 9M18 14v6H4V6h6",
  teach: "M12 4 2.5 8.5 12 13l9.5-4.5zM6.5 11v5c2.5 2.4 8.5 2.4 11 0v-5",
  file: "M6 3.5h8l4.5 4.5v12.5H6zM14 3.5V8h4.5M9 13h6M9 16.5h6",
  again: "M19.5 12a7.5 7.5 0 1 1-2.3-5.4M19.5 4v4.5H15",
  stop: "M7 7h10v10H7z",
  warn: "M12 4 2.8 19.5h18.4zM12 10v4.5M12 17h.01",
  place: "M12 21s6.5-6.2 6.5-11a6.5 6.5 0 0 0-13 0c0 4.8 6.5 11 6.5 11ZM12 10h.01",
  camera: "M4 8h4l1.5-2.5h5L16 8h4v11H4zM12 10.5a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6Z",
  date: "M4 6h16v14H4zM4 10h16M8.5 3.5V7M15.5 3.5V7",
};

/** A drawing of 20 × 20 pixels in the colour of the text. Screen readers skip it. */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));
}

/** A button with a drawing alone. `label` is its name and its tooltip. */
export function iconButton(name, label, onclick, properties = {}) {
  return h("button", { type: "button", class: "quiet round", "aria-label": label, title: label, onclick, ...properties }, icon(name));
}

export function button(name, text, onclick, properties = {}) {
  return h("button", { type: "button", onclick, ...properties }, name && icon(name), h("span", {}, text));
}

export const muted = (...children) => h("span", { class: "muted" }, children);

/** A button that is on or off. `name` keeps the focus when its panel is drawn again. */
export function toggle(name, on, onclick, children, properties = {}) {
  return h("button", { type: "button", name, "aria-pressed": String(Boolean(on)), onclick, ...properties }, children);
}

const NUMBERS = new Intl.NumberFormat("en");
export const number = (value) => NUMBERS.format(value);
export const plural = (value, word, words = `${word}s`) => `${number(value)} ${value === 1 ? word : words}`;

export function bytes(value) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (value >= 1000 && at < units.length - 1) [value, at] = [value / 1000, at + 1];
  return `${at && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[at]}`;
}

/** "2023-06" → "June 2023". */
export function monthName(month) {
  if (!month) return "No date";
  const [year, of] = month.split("-");
  return new Date(Date.UTC(2000, of - 1)).toLocaleString("en", { month: "long", timeZone: "UTC" }) + ` ${year}`;
}

export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = h("textarea", { class: "unseen" });
  area.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(area); // a modal dialog makes all else inert
  area.select();
  document.execCommand("copy"); // the only way on plain HTTP
  area.remove();
}

/** Calls `run` when it was not called for `wait` milliseconds. */
export function debounced(run, wait) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(run, wait, ...values);
  };
}
