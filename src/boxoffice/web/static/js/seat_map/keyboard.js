/**
 * The hall by keyboard alone: arrows go to the next seat, Home and End to the ends of its row, Enter and Space take a
 * seat or give it back, + and - zoom, 0 shows the whole hall, Escape leaves. The focus is always to be seen.
 */

import { endOfRow, neighbour } from "./places.js";

const ARROWS = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };
const ZOOM = 1.5;

/**
 * @param {import("./hall.js").Hall} hall
 * @param {import("./view.js").View} view
 * @param {{choose: (seat: object) => void, leave: () => void}} on what Enter and Escape do
 */
export function listenToKeys(hall, view, { choose, leave }) {
  // Going up and down keeps to the column where one began.
  let column = null;

  function go(seat) {
    if (!seat) return;
    hall.focus(seat);
    view.reveal(seat);
  }

  const acts = {
    Home: () => go(endOfRow(hall.places.seats, hall.focused, false)),
    End: () => go(endOfRow(hall.places.seats, hall.focused, true)),
    Enter: () => choose(hall.focused),
    " ": () => choose(hall.focused),
    Escape: leave,
    "+": () => zoom(ZOOM),
    "=": () => zoom(ZOOM),
    "-": () => zoom(1 / ZOOM),
    0: () => view.whole(),
  };

  function zoom(factor) {
    view.zoomBy(factor);
    // Once it stands still, the seat that one is at may be out of sight.
    setTimeout(() => view.reveal(hall.focused), 300);
  }

  hall.svg.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !hall.of(event.target)) return;
    const direction = ARROWS[event.key];
    if (direction) {
      const { seats } = hall.places;
      const from = hall.focused;
      const upright = direction === "up" || direction === "down";
      column = upright ? (column ?? from.x) : null;
      go(neighbour(seats, from, direction, column ?? from.x));
    } else if (acts[event.key]) {
      column = null;
      acts[event.key]();
    } else {
      return;
    }
    event.preventDefault();
  });

  hall.svg.addEventListener("focusin", (event) => {
    const seat = hall.of(event.target);
    if (!seat) return;
    if (seat !== hall.focused) hall.focus(seat, { quietly: true });
    if (seat.element.matches(":focus-visible")) {
      hall.frame(seat);
      view.reveal(seat);
    }
  });
  hall.svg.addEventListener("focusout", () => hall.frame(null));
}
