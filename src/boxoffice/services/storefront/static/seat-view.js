// Looking at a house: zoom and pan over an SVG by its viewBox, with buttons, wheel, fingers and keys.

const CLOSEST = 14;
const STEP = 1.6;
const STILL_PX = 7;
/** On the screen a seat should be at least so large to be hit by a finger. */
const FINGER_PX = 17;

export class SeatView {
  /**
   * @param {SVGSVGElement} svg
   * @param {(x: number, y: number) => void} onTap called with a point of the drawing
   */
  constructor(svg, onTap) {
    this.svg = svg;
    this.onTap = onTap;
    const box = svg.viewBox.baseVal;
    this.whole = { x: box.x, y: box.y, w: box.width, h: box.height };
    this.seat = Number(svg.dataset.seat);
    this.view = { ...this.whole };
    /** @type {Map<number, {x: number, y: number}>} */
    this.fingers = new Map();
    this.wheelWanted = false;
    svg.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    svg.addEventListener("pointerdown", (event) => this.down(event));
    svg.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, (event) => this.up(event));
    new ResizeObserver(() => this.apply()).observe(svg);
  }

  /** How many pixels a drawing unit takes. */
  get scale() {
    return Math.min(this.svg.clientWidth / this.view.w, this.svg.clientHeight / this.view.h) || 1;
  }

  get seatPx() {
    return this.seat * this.scale;
  }

  /** @param {{clientX: number, clientY: number}} event */
  point(event) {
    const matrix = this.svg.getScreenCTM();
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    return { x: point.x, y: point.y };
  }

  zoom(factor, centre) {
    const about = centre ?? { x: this.view.x + this.view.w / 2, y: this.view.y + this.view.h / 2 };
    const w = Math.min(this.whole.w, Math.max(this.whole.w / CLOSEST, this.view.w / factor));
    const real = this.view.w / w;
    this.view = {
      x: about.x - (about.x - this.view.x) / real, y: about.y - (about.y - this.view.y) / real,
      w, h: this.view.h / real,
    };
    this.apply();
  }

  closer() { this.zoom(STEP); }

  further() { this.zoom(1 / STEP); }

  all() {
    this.view = { ...this.whole };
    this.apply();
  }

  /** Bring a point into view, with some room around it. */
  reveal(x, y) {
    const room = this.seat * 4;
    const { view } = this;
    if (x < view.x + room) view.x = x - room;
    if (y < view.y + room) view.y = y - room;
    if (x > view.x + view.w - room) view.x = x + room - view.w;
    if (y > view.y + view.h - room) view.y = y + room - view.h;
    this.apply();
  }

  apply() {
    const { view, whole } = this;
    view.x = Math.min(Math.max(view.x, whole.x - view.w / 3), whole.x + whole.w - (2 * view.w) / 3);
    view.y = Math.min(Math.max(view.y, whole.y - view.h / 3), whole.y + whole.h - (2 * view.h) / 3);
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.svg.setAttribute("viewBox", `${view.x} ${view.y} ${this.view.w} ${this.view.h}`);
      this.svg.setAttribute("viewBox", `${this.view.x} ${this.view.y} ${this.view.w} ${this.view.h}`);
      this.svg.classList.toggle("near", this.view.w < this.whole.w * 0.98);
      this.svg.classList.toggle("close", this.seatPx > 11);
    });
  }

  /** The page scrolls until the house is meant: with Ctrl, or once it was touched. @param {WheelEvent} event */
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey && !this.wheelWanted) return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)), this.point(event));
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (event.button) return;
    this.wheelWanted = true;
    this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.start = { x: event.clientX, y: event.clientY };
    this.moved = this.fingers.size > 1;
  }

  /** @param {PointerEvent} event */
  move(event) {
    const last = this.fingers.get(event.pointerId);
    if (!last) return;
    const now = { x: event.clientX, y: event.clientY };
    if (this.fingers.size === 2) this.pinch(event.pointerId, last, now);
    else if (this.moved || Math.hypot(now.x - this.start.x, now.y - this.start.y) > STILL_PX) {
      if (!this.moved) {
        this.moved = true;
        this.svg.setPointerCapture(event.pointerId);
        this.svg.classList.add("moving");
      }
      this.view.x -= (now.x - last.x) / this.scale;
      this.view.y -= (now.y - last.y) / this.scale;
      this.apply();
    } else return;
    this.fingers.set(event.pointerId, now);
  }

  pinch(id, last, now) {
    const [other] = [...this.fingers].filter(([key]) => key !== id).map(([, value]) => value);
    const before = Math.hypot(last.x - other.x, last.y - other.y);
    const after = Math.hypot(now.x - other.x, now.y - other.y);
    if (before > 0) this.zoom(after / before, this.point({ clientX: (now.x + other.x) / 2, clientY: (now.y + other.y) / 2 }));
  }

  /** @param {PointerEvent} event */
  up(event) {
    if (!this.fingers.delete(event.pointerId)) return;
    this.svg.classList.remove("moving");
    if (this.moved || event.type === "pointercancel" || this.fingers.size) return;
    const point = this.point(event);
    if (event.pointerType === "touch" && this.seatPx < FINGER_PX) {
      this.zoom((FINGER_PX * 1.35) / this.seatPx, point);
      return;
    }
    this.onTap(point.x, point.y);
  }
}
