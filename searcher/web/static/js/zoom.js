// Zooms and moves a picture inside a stage: wheel, pinch, double click, and drag.

const MOST = 8;

export class Zoom {
  #points = new Map();
  #start = null;

  /** onswipe(direction) is called for a swipe while the picture is not enlarged. */
  constructor(stage, { onswipe, onzoom }) {
    Object.assign(this, { stage, onswipe, onzoom });
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("dblclick", (event) => event.target.closest("button") || this.toggle(event.clientX, event.clientY));
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => this.#up(event));
    this.reset();
  }

  reset() {
    Object.assign(this, { scale: 1, x: 0, y: 0 });
    this.#apply();
  }

  /** Enlarges by a factor; the point at (x, y) of the window stays where it is. */
  by(factor, x = null, y = null) {
    const box = this.stage.getBoundingClientRect();
    const [atX, atY] = x === null ? [0, 0] : [x - box.left - box.width / 2, y - box.top - box.height / 2];
    const scale = Math.max(1, Math.min(MOST, this.scale * factor));
    const ratio = scale / this.scale;
    this.x = atX - (atX - this.x) * ratio;
    this.y = atY - (atY - this.y) * ratio;
    this.scale = scale;
    this.#apply();
  }

  toggle(x, y) {
    if (this.scale > 1) this.reset();
    else this.by(3, x, y);
  }

  #apply() {
    const box = this.stage.getBoundingClientRect();
    const [mostX, mostY] = [(box.width * (this.scale - 1)) / 2, (box.height * (this.scale - 1)) / 2];
    this.x = Math.max(-mostX, Math.min(mostX, this.x));
    this.y = Math.max(-mostY, Math.min(mostY, this.y));
    this.stage.style.setProperty("--zoom", `translate(${this.x}px, ${this.y}px) scale(${this.scale})`);
    this.stage.classList.toggle("zoomed", this.scale > 1);
    if (this.scale > 1) this.onzoom();
  }

  #wheel(event) {
    event.preventDefault();
    this.by(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0022)), event.clientX, event.clientY);
  }

  #down(event) {
    if (event.target.closest("button")) return;
    this.stage.setPointerCapture(event.pointerId);
    this.#points.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.#start = { x: event.clientX, y: event.clientY, touches: this.#points.size };
  }

  #move(event) {
    const point = this.#points.get(event.pointerId);
    if (!point) return;
    const now = { x: event.clientX, y: event.clientY };
    if (this.#points.size === 2) {
      const [other] = [...this.#points].filter(([id]) => id !== event.pointerId).map(([, one]) => one);
      const apart = (one) => Math.hypot(one.x - other.x, one.y - other.y);
      this.by(apart(now) / Math.max(1, apart(point)), (now.x + other.x) / 2, (now.y + other.y) / 2);
      this.#start.touches = 2;
    } else if (this.scale > 1) {
      this.x += now.x - point.x;
      this.y += now.y - point.y;
      this.#apply();
    }
    this.#points.set(event.pointerId, now);
  }

  #up(event) {
    if (!this.#points.delete(event.pointerId) || this.#points.size || event.type === "pointercancel") return;
    const across = event.clientX - this.#start.x;
    const down = event.clientY - this.#start.y;
    if (this.scale > 1 || this.#start.touches > 1 || event.pointerType === "mouse") return;
    if (Math.abs(across) > 48 && Math.abs(across) > 1.5 * Math.abs(down)) this.onswipe(across < 0 ? 1 : -1);
    else if (down > 90) this.onswipe(0);
  }
}
