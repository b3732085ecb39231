/**
 * Moving about in the hall: pan, pinch, zoom.
 *
 * One transform on one element, and nothing is laid out or painted while it moves: the browser moves a picture that
 * it has. When the movement ends, that picture is drawn anew at its scale, and whoever listens writes the numbers.
 */

const SEAT_PX_MAX = 64;
const SEAT_UNITS = 10;
const TAP_PX = 9;
const SETTLE_MS = 140;
const EASE_MS = 220;

const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class View {
  #scale = 1;
  #x = 0;
  #y = 0;
  #size = { width: 1, height: 1 };
  #pointers = new Map();
  #dragging = false;
  #drawn = 0;
  #drawnScale = 1;
  #settling = 0;
  #moving = 0;
  #speed = { x: 0, y: 0, at: 0 };

  /**
   * @param {HTMLElement} frame what the hall is seen through
   * @param {SVGSVGElement} svg the hall, which fills the frame at scale 1
   * @param {{settled: (view: View) => void}} listener told when a movement has ended
   */
  constructor(frame, svg, { settled }) {
    this.frame = frame;
    this.svg = svg;
    this.settled = settled;
    const box = svg.viewBox.baseVal;
    this.box = { x: box.x, y: box.y, width: box.width, height: box.height };
    new ResizeObserver(([entry]) => {
      this.#size = entry.contentRect;
      this.#to(this.#scale, this.#x, this.#y);
    }).observe(frame);
    frame.addEventListener("pointerdown", (event) => this.#down(event));
    frame.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      frame.addEventListener(name, (event) => this.#up(event));
    }
    frame.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    // A drag is no click, whatever it ended on.
    frame.addEventListener("click", (event) => this.#dragging && event.stopImmediatePropagation(), { capture: true });
  }

  get scale() {
    return this.#scale;
  }

  /** Pixels of the screen for a unit of the drawing. */
  get pxPerUnit() {
    return this.#fit * this.#scale;
  }

  get seatPx() {
    return SEAT_UNITS * this.pxPerUnit;
  }

  get scaleMax() {
    return Math.max(1, SEAT_PX_MAX / (SEAT_UNITS * this.#fit));
  }

  /** A point of the screen in the drawing's units. */
  toHall(clientX, clientY) {
    const frame = this.frame.getBoundingClientRect();
    const [left, top] = this.#origin;
    return {
      x: this.box.x + ((clientX - frame.left - this.#x) / this.#scale - left) / this.#fit,
      y: this.box.y + ((clientY - frame.top - this.#y) / this.#scale - top) / this.#fit,
    };
  }

  /** The rectangle of the hall that one sees: left, top, right, bottom in units, with a seat around it. */
  get visible() {
    const [left, top] = this.#origin;
    const x = this.box.x + (-this.#x / this.#scale - left) / this.#fit;
    const y = this.box.y + (-this.#y / this.#scale - top) / this.#fit;
    const width = this.#size.width / this.pxPerUnit;
    const height = this.#size.height / this.pxPerUnit;
    return [x - SEAT_UNITS, y - SEAT_UNITS, x + width + SEAT_UNITS, y + height + SEAT_UNITS];
  }

  /** Zoom by a factor around a point of the frame (its middle). */
  zoomBy(factor, at = { x: this.#size.width / 2, y: this.#size.height / 2 }) {
    const scale = clamp(this.#scale * factor, 1, this.scaleMax);
    this.#ease(scale, at.x - ((at.x - this.#x) * scale) / this.#scale, at.y - ((at.y - this.#y) * scale) / this.#scale);
  }

  /** Zoom in on a point of the screen until a seat is as wide as a finger. */
  zoomTo(clientX, clientY, seatPx) {
    const point = this.toHall(clientX, clientY);
    this.#centre(point, clamp(seatPx / (SEAT_UNITS * this.#fit), 1, this.scaleMax));
  }

  /** See all of it. */
  whole() {
    this.#ease(1, 0, 0);
  }

  /** See this seat, with some room around it. */
  reveal(seat) {
    const px = this.#onFrame(seat);
    const room = Math.min(48, this.#size.width / 4, this.#size.height / 4);
    const x = clamp(px.x, room, this.#size.width - room) - px.x;
    const y = clamp(px.y, room, this.#size.height - room) - px.y;
    if (x || y) this.#ease(this.#scale, this.#x + x, this.#y + y);
  }

  /** See all of these seats, large enough to read if that can be; no movement where one does already. */
  gather(seats, seatPx) {
    const seen = (px) => px.x > 0 && px.y > 0 && px.x < this.#size.width && px.y < this.#size.height;
    if (this.seatPx >= seatPx && seats.every((seat) => seen(this.#onFrame(seat)))) return;
    const xs = seats.map((seat) => seat.x);
    const ys = seats.map((seat) => seat.y);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const fitting = Math.min(
      this.#size.width / ((right - left + 4 * SEAT_UNITS) * this.#fit),
      this.#size.height / ((bottom - top + 4 * SEAT_UNITS) * this.#fit),
    );
    const wanted = Math.max(this.#scale, seatPx / (SEAT_UNITS * this.#fit));
    this.#centre({ x: (left + right) / 2, y: (top + bottom) / 2 }, clamp(Math.min(wanted, fitting), 1, this.scaleMax));
  }

  get #fit() {
    return Math.min(this.#size.width / this.box.width, this.#size.height / this.box.height) || 1;
  }

  /** Pixels between the frame's corner and the hall's, at scale 1. */
  get #origin() {
    const fit = this.#fit;
    return [(this.#size.width - this.box.width * fit) / 2, (this.#size.height - this.box.height * fit) / 2];
  }

  #onFrame(point) {
    const [left, top] = this.#origin;
    return {
      x: this.#x + (left + (point.x - this.box.x) * this.#fit) * this.#scale,
      y: this.#y + (top + (point.y - this.box.y) * this.#fit) * this.#scale,
    };
  }

  #centre(point, scale) {
    const [left, top] = this.#origin;
    const x = this.#size.width / 2 - (left + (point.x - this.box.x) * this.#fit) * scale;
    const y = this.#size.height / 2 - (top + (point.y - this.box.y) * this.#fit) * scale;
    this.#ease(scale, x, y);
  }

  #down(event) {
    if (event.button !== 0 || event.target.closest("button, a")) return;
    cancelAnimationFrame(this.#moving);
    if (this.#pointers.size === 0) this.#dragging = false;
    this.#pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, from: [event.clientX, event.clientY] });
    this.#speed = { x: 0, y: 0, at: event.timeStamp };
  }

  #move(event) {
    const pointer = this.#pointers.get(event.pointerId);
    if (!pointer) return;
    const before = this.#hands();
    const [dx, dy] = [event.clientX - pointer.x, event.clientY - pointer.y];
    if (!this.#dragging) {
      const [x, y] = pointer.from;
      if (this.#pointers.size < 2 && Math.hypot(event.clientX - x, event.clientY - y) < TAP_PX) return;
      this.#dragging = true;
      for (const id of this.#pointers.keys()) this.frame.setPointerCapture(id);
    }
    pointer.x = event.clientX;
    pointer.y = event.clientY;
    const after = this.#hands();
    const frame = this.#frameBox;
    const scale = clamp((this.#scale * after.apart) / before.apart, 1, this.scaleMax);
    const grown = scale / this.#scale;
    const x = after.x - frame.left - (before.x - frame.left - this.#x) * grown;
    const y = after.y - frame.top - (before.y - frame.top - this.#y) * grown;
    const passed = Math.max(1, event.timeStamp - this.#speed.at);
    this.#speed = { x: dx / passed, y: dy / passed, at: event.timeStamp };
    this.#to(scale, x, y);
  }

  #up(event) {
    if (!this.#pointers.delete(event.pointerId) || this.#pointers.size > 0) return;
    this.#frame = null;
    if (this.#dragging && event.type === "pointerup" && event.timeStamp - this.#speed.at < 60) this.#glide();
    // The click that ends a drag comes after this; what comes later is a click of its own.
    setTimeout(() => (this.#dragging = this.#pointers.size > 0 && this.#dragging));
  }

  #wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const frame = this.frame.getBoundingClientRect();
    const at = { x: event.clientX - frame.left, y: event.clientY - frame.top };
    const scale = clamp(this.#scale * Math.exp(-event.deltaY / 180), 1, this.scaleMax);
    const grown = scale / this.#scale;
    this.#to(scale, at.x - (at.x - this.#x) * grown, at.y - (at.y - this.#y) * grown);
  }

  #frame = null;

  /** Where the frame is, measured once a gesture. */
  get #frameBox() {
    this.#frame ??= this.frame.getBoundingClientRect();
    return this.#frame;
  }

  /** The middle of the fingers, and how far they are apart. */
  #hands() {
    const [one, two = one] = this.#pointers.values();
    return {
      x: (one.x + two.x) / 2,
      y: (one.y + two.y) / 2,
      apart: one === two ? 1 : Math.max(1, Math.hypot(one.x - two.x, one.y - two.y)),
    };
  }

  #glide() {
    if (calm.matches) return;
    let { x, y } = this.#speed;
    let last = performance.now();
    const step = (now) => {
      const passed = Math.min(40, now - last);
      last = now;
      this.#to(this.#scale, this.#x + x * passed, this.#y + y * passed);
      const slower = 0.995 ** passed;
      x *= slower;
      y *= slower;
      if (Math.hypot(x, y) > 0.02) this.#moving = requestAnimationFrame(step);
    };
    this.#moving = requestAnimationFrame(step);
  }

  #ease(scale, x, y) {
    cancelAnimationFrame(this.#moving);
    [scale, x, y] = this.#bounded(scale, x, y);
    if (calm.matches) {
      this.#to(scale, x, y);
      return;
    }
    const from = [this.#scale, this.#x, this.#y];
    const began = performance.now();
    const step = (now) => {
      const part = clamp((now - began) / EASE_MS, 0, 1);
      const eased = 1 - (1 - part) ** 3;
      this.#to(...[scale, x, y].map((end, index) => from[index] + (end - from[index]) * eased));
      if (part < 1) this.#moving = requestAnimationFrame(step);
    };
    this.#moving = requestAnimationFrame(step);
  }

  /** No further than the hall's edge, and in the middle where it is smaller than the frame. */
  #bounded(scale, x, y) {
    const [left, top] = this.#origin;
    return [
      scale,
      bound(x, left * scale, (this.#size.width - left) * scale, this.#size.width),
      bound(y, top * scale, (this.#size.height - top) * scale, this.#size.height),
    ];
  }

  #to(scale, x, y) {
    [this.#scale, this.#x, this.#y] = this.#bounded(scale, x, y);
    this.#drawn ||= requestAnimationFrame(() => {
      this.#drawn = 0;
      this.svg.style.transform = `translate(${this.#x}px,${this.#y}px) scale(${this.#scale})`;
    });
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#settle(), SETTLE_MS);
  }

  #settle() {
    if (this.#pointers.size > 0) {
      this.#settling = setTimeout(() => this.#settle(), SETTLE_MS);
      return;
    }
    // At the whole hall one finger scrolls the page; nearer, it moves the hall.
    this.frame.classList.toggle("near", this.#scale > 1.01);
    if (this.#scale !== this.#drawnScale) {
      // The browser keeps the picture of what "will change": it draws a sharp one when it will not, for one frame.
      this.#drawnScale = this.#scale;
      this.svg.classList.add("still");
      requestAnimationFrame(() => requestAnimationFrame(() => this.svg.classList.remove("still")));
    }
    this.settled(this);
  }
}

/** Where something from `low` to `high` may be put, by its offset, so that it covers `room` or stands in its middle. */
function bound(offset, low, high, room) {
  if (high - low <= room) return (room - high - low) / 2;
  return clamp(offset, room - high, -low);
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
