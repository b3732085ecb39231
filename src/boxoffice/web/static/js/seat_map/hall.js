/**
 * The seats on the page: what each is called, how it looks, what a screen reader says of it.
 *
 * The server has drawn them; this gives them their behaviour, and changes nothing but what has changed. A seat `is`
 * "free", "held" (by somebody else), "sold" or "mine".
 */

import { Places } from "./places.js";

const SVG = "http://www.w3.org/2000/svg";

export class Hall {
  #byId = new Map();
  #places = null;
  #numbers;
  #marks;
  #ring;
  #focused = null;

  /**
   * @param {SVGSVGElement} svg
   * @param {object} words what seats are called: `seat`, `states`, `kinds`, `tiers`, `prices`
   */
  constructor(svg, words) {
    this.svg = svg;
    this.words = words;
    this.seats = [];
    this.#numbers = svg.querySelector(".hall-numbers");
    this.#marks = svg.querySelector(".hall-marks");
    this.#ring = svg.querySelector(".hall-ring");
    const grid = svg.querySelector(".hall-seats");
    // Written in one go, before anything is measured.
    for (const row of grid.children) {
      const label = row.dataset.row;
      row.setAttribute("role", "row");
      row.setAttribute("aria-label", words.row.replace("{row}", label));
      for (const element of row.children) this.#adopt(element, label);
    }
    svg.removeAttribute("aria-label");
    svg.setAttribute("role", "presentation");
    grid.setAttribute("role", "grid");
    grid.setAttribute("aria-label", words.hall);
    grid.setAttribute("aria-multiselectable", "true");
    this.focus(this.seats.find((seat) => seat.is === "free") ?? this.seats[0], { quietly: true });
    for (const seat of this.seats) if (seat.is === "mine") this.#mark(seat);
  }

  #adopt(element, row) {
    const { id, n, is, kind, price } = element.dataset;
    const tier = element.getAttribute("class");
    const seat = { id, row, number: Number(n), tier, kind, is, element, name: row + n, price: Number(price) || null };
    this.#byId.set(id, seat);
    this.seats.push(seat);
    element.setAttribute("role", "gridcell");
    element.setAttribute("tabindex", "-1");
    this.#say(seat);
  }

  get(id) {
    return this.#byId.get(id);
  }

  of(element) {
    return this.#byId.get(element?.dataset?.id) ?? null;
  }

  /** Where the seats stand; measured when it is first asked for, so that the page shows before. */
  get places() {
    if (this.#places === null) {
      for (const seat of this.seats) {
        const box = seat.element.getBBox();
        seat.x = box.x + box.width / 2;
        seat.y = box.y + box.height / 2;
      }
      this.#places = new Places(this.seats);
    }
    return this.#places;
  }

  /** Show a seat in another state; true if that is a change. */
  show(seat, is) {
    if (seat.is === is) return false;
    const before = seat.is;
    seat.is = is;
    seat.element.dataset.is = is;
    if (before === "mine" || is === "mine") this.#mark(seat);
    this.#say(seat);
    return true;
  }

  /** Show that an answer about a seat is still on its way. */
  wait(seat, waiting) {
    seat.element.classList.toggle("waiting", waiting);
  }

  /** What a screen reader says of a seat. */
  nameOf(seat) {
    const { words } = this;
    const parts = {
      row: seat.row,
      number: seat.number,
      tier: words.tiers[seat.tier.toUpperCase()],
      price: seat.price === null ? words.prices[seat.tier.toUpperCase()] : words.own_price(seat.price),
      state: words.states[seat.is],
    };
    const text = words.seat.replace(/\{(\w+)\}/g, (_, part) => parts[part]);
    return seat.kind ? `${text}, ${words.kinds[seat.kind]}` : text;
  }

  get focused() {
    return this.#focused;
  }

  /** Make a seat the one that the Tab key comes back to; unless `quietly`, go there. */
  focus(seat, { quietly = false } = {}) {
    this.#focused?.element.setAttribute("tabindex", "-1");
    this.#focused = seat;
    seat.element.setAttribute("tabindex", "0");
    if (!quietly) seat.element.focus({ preventScroll: true });
  }

  /** Draw the frame of the seat that has the keyboard's attention; null: none has. */
  frame(seat) {
    this.#ring.setAttribute("visibility", seat ? "visible" : "hidden");
    if (seat) {
      void this.places;
      this.#ring.setAttribute("transform", `translate(${seat.x} ${seat.y})`);
    }
  }

  /** Write the numbers of the seats in a rectangle, which is what one sees; null: none. */
  number(rectangle) {
    this.#numbers.classList.toggle("shown", rectangle !== null);
    if (rectangle === null) return;
    const fresh = document.createDocumentFragment();
    for (const seat of this.places.within(...rectangle)) {
      // Where there is a sign, there is no room for a number; both are in the seat's name.
      if (seat.numbered || seat.kind) continue;
      seat.numbered = document.createElementNS(SVG, "text");
      seat.numbered.textContent = seat.number;
      seat.numbered.setAttribute("x", seat.x);
      seat.numbered.setAttribute("y", seat.y);
      seat.numbered.dataset.is = seat.is;
      fresh.append(seat.numbered);
    }
    this.#numbers.append(fresh);
  }

  #mark(seat) {
    if (seat.is === "mine") {
      void this.places;
      seat.mark = document.createElementNS(SVG, "use");
      seat.mark.setAttribute("href", "#mine");
      seat.mark.setAttribute("x", seat.x);
      seat.mark.setAttribute("y", seat.y);
      this.#marks.append(seat.mark);
    } else {
      seat.mark?.remove();
      seat.mark = null;
    }
  }

  #say(seat) {
    seat.element.setAttribute("aria-label", this.nameOf(seat));
    seat.element.setAttribute("aria-selected", String(seat.is === "mine"));
    seat.element.setAttribute("aria-disabled", String(seat.is === "held" || seat.is === "sold"));
    if (seat.numbered) seat.numbered.dataset.is = seat.is;
  }
}
