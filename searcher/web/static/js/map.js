// A map without tiles: degrees of latitude and longitude, and a dot where photos were taken.

import { h, iconButton, plural } from "./dom.js";

const STEPS = [90, 45, 30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01];
const CLOSEST = 400; // times as large as the whole world

/**
 * places: [{latitude, longitude, photos}]. near: {latitude, longitude, km} or null.
 * onchoose(latitude, longitude, km) is called for a click; onlook(precision) when another grid of dots is needed.
 */
export class PlaceMap {
  constructor({ onchoose, onlook }) {
    Object.assign(this, { onchoose, onlook, places: [], near: null, zoom: 1, x: 0, y: 15, fitted: false, precision: 1 });
    this.canvas = h("canvas", { class: "map", role: "img", tabindex: 0, "aria-label": "Map of the places where photos were taken" });
    this.hint = h("span", { class: "muted" });
    this.element = h(
      "div",
      { class: "mapbox" },
      this.canvas,
      h("div", { class: "zoomers" }, iconButton("plus", "Enlarge the map", () => this.#by(2)), iconButton("minus", "Reduce the map", () => this.#by(0.5))),
      this.hint,
    );
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.#by(Math.exp(-event.deltaY * 0.003), event);
    }, { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => this.#down(event));
    this.canvas.addEventListener("pointermove", (event) => this.#move(event));
    this.canvas.addEventListener("pointerup", (event) => this.#up(event));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  show(places, near) {
    Object.assign(this, { places, near });
    if (!this.fitted && places.length) this.#fit();
    const total = places.reduce((sum, one) => sum + one.photos, 0);
    this.canvas.setAttribute("aria-label", `Map: ${plural(total, "photo")} at ${plural(places.length, "place")}. Arrow keys move it, + and − zoom, Enter chooses the middle.`);
    this.hint.textContent = total ? `${plural(total, "photo")} with a place. Click a dot to see what is near.` : "No photo here has a place.";
    this.draw();
  }

  /** The whole of the dots in view. */
  #fit() {
    const lat = this.places.map((one) => one.latitude);
    const lon = this.places.map((one) => one.longitude);
    const [south, north, west, east] = [Math.min(...lat), Math.max(...lat), Math.min(...lon), Math.max(...lon)];
    Object.assign(this, { x: (west + east) / 2, y: (south + north) / 2, fitted: true });
    this.zoom = Math.max(1, Math.min(60, 300 / Math.max(3, east - west), 150 / Math.max(2, north - south)));
    this.#look();
  }

  #size() {
    const box = this.canvas.getBoundingClientRect();
    return { w: box.width, h: box.height, unit: (box.width / 360) * this.zoom };
  }

  #toWindow({ latitude, longitude }) {
    const { w, h, unit } = this.#size();
    return [w / 2 + (longitude - this.x) * unit, h / 2 - (latitude - this.y) * unit];
  }

  #toWorld(event) {
    const box = this.canvas.getBoundingClientRect();
    const { w, h, unit } = this.#size();
    return { longitude: this.x + (event.clientX - box.left - w / 2) / unit, latitude: this.y - (event.clientY - box.top - h / 2) / unit };
  }

  draw() {
    const { w, h: tall, unit } = this.#size();
    if (!w) return;
    const { canvas } = this;
    [canvas.width, canvas.height] = [w * devicePixelRatio, tall * devicePixelRatio];
    const pen = canvas.getContext("2d");
    pen.scale(devicePixelRatio, devicePixelRatio);
    const style = getComputedStyle(canvas);
    pen.strokeStyle = style.borderTopColor;
    pen.fillStyle = style.color;
    pen.font = "10px system-ui, sans-serif";
    const step = STEPS.findLast((one) => one * unit >= 44) ?? 90;
    const digits = step < 1 ? String(step).split(".")[1].length : 0;
    const west = Math.ceil((this.x - w / 2 / unit) / step) * step;
    for (let lon = west; lon <= Math.min(180, this.x + w / 2 / unit); lon += step) {
      if (lon < -180) continue;
      const [x] = this.#toWindow({ latitude: 0, longitude: lon });
      line(pen, x, 0, x, tall);
      pen.fillText(`${Math.abs(lon).toFixed(digits)}°${Math.abs(lon) < 1e-9 ? "" : lon < 0 ? "W" : "E"}`, x + 3, tall - 4);
    }
    const south = Math.ceil((this.y - tall / 2 / unit) / step) * step;
    for (let lat = south; lat <= Math.min(90, this.y + tall / 2 / unit); lat += step) {
      if (lat < -90) continue;
      const [, y] = this.#toWindow({ latitude: lat, longitude: 0 });
      line(pen, 0, y, w, y);
      if (y < tall - 16) pen.fillText(`${Math.abs(lat).toFixed(digits)}°${Math.abs(lat) < 1e-9 ? "" : lat < 0 ? "S" : "N"}`, 3, y - 3);
    }
    pen.fillStyle = style.caretColor;
    pen.globalAlpha = 0.7;
    for (const place of this.places) {
      const [x, y] = this.#toWindow(place);
      pen.beginPath();
      pen.arc(x, y, radius(place), 0, 7);
      pen.fill();
    }
    pen.globalAlpha = 1;
    if (this.near) {
      const [x, y] = this.#toWindow(this.near);
      const r = Math.max(6, (this.near.km / 111) * unit);
      pen.strokeStyle = style.caretColor;
      pen.lineWidth = 2;
      pen.beginPath();
      pen.ellipse(x, y, Math.max(6, r / Math.max(0.1, Math.cos((this.near.latitude * Math.PI) / 180))), r, 0, 0, 7);
      pen.stroke();
    }
  }

  #by(factor, event = null) {
    const before = event && this.#toWorld(event);
    this.zoom = Math.max(1, Math.min(CLOSEST, this.zoom * factor));
    if (event) {
      const after = this.#toWorld(event);
      this.x += before.longitude - after.longitude;
      this.y += before.latitude - after.latitude;
    }
    this.#moved();
  }

  #moved() {
    this.x = Math.max(-180, Math.min(180, this.x));
    this.y = Math.max(-90, Math.min(90, this.y));
    this.draw();
    this.#look();
  }

  /** Asks for finer or coarser dots, a power of two of a degree, about 8 pixels apart. */
  #look() {
    const wanted = 2 ** Math.round(Math.log2(8 / Math.max(0.1, this.#size().unit)));
    if (wanted === this.precision) return;
    this.precision = wanted;
    this.onlook(wanted);
  }

  #down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.held = { x: event.clientX, y: event.clientY, moved: 0 };
  }

  #move(event) {
    if (!this.held) return;
    const { unit } = this.#size();
    const [dx, dy] = [event.clientX - this.held.x, event.clientY - this.held.y];
    this.held = { x: event.clientX, y: event.clientY, moved: this.held.moved + Math.abs(dx) + Math.abs(dy) };
    if (this.held.moved < 5) return;
    this.x -= dx / unit;
    this.y += dy / unit;
    this.#moved();
  }

  #up(event) {
    const held = this.held;
    this.held = null;
    if (held && held.moved < 5) this.#choose(this.#toWorld(event), event);
  }

  /** A dot near the click, else the place of the click itself. */
  #choose(point, event = null) {
    const { unit } = this.#size();
    let best = point;
    if (event) {
      const box = this.canvas.getBoundingClientRect();
      const far = (place) => {
        const [x, y] = this.#toWindow(place);
        return Math.hypot(x - (event.clientX - box.left), y - (event.clientY - box.top)) - radius(place);
      };
      const close = this.places.filter((place) => far(place) < 8).sort((one, other) => other.photos - one.photos);
      if (close.length) [best] = close;
    }
    const km = Math.max(0.5, Math.min(500, (16 / unit) * 111));
    this.onchoose(best.latitude, best.longitude, km < 3 ? Math.round(km * 10) / 10 : Math.round(km));
  }

  #key(event) {
    const far = 40 / this.#size().unit;
    const run = {
      ArrowLeft: () => (this.x -= far),
      ArrowRight: () => (this.x += far),
      ArrowUp: () => (this.y += far),
      ArrowDown: () => (this.y -= far),
      "+": () => this.#by(2),
      "-": () => this.#by(0.5),
      Enter: () => this.#choose({ latitude: this.y, longitude: this.x }),
    }[event.key];
    if (!run) return;
    event.preventDefault();
    event.stopPropagation();
    run();
    this.#moved();
  }
}

const radius = ({ photos }) => Math.min(12, 2.5 + Math.sqrt(photos) / 2);

function line(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}
