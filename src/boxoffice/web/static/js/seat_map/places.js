/** Where seats stand, and which is nearest to what: pure geometry in the drawing's own units, no document. */

const CELL = 20;

/** Finds the seat that is nearest to a point without looking at all of them. */
export class Places {
  #cells = new Map();

  /** @param {{x: number, y: number}[]} seats */
  constructor(seats) {
    this.seats = seats;
    for (const seat of seats) {
      const key = cell(seat.x, seat.y);
      const found = this.#cells.get(key);
      if (found) found.push(seat);
      else this.#cells.set(key, [seat]);
    }
  }

  /** The seat nearest to a point and no further than `reach` from it, or null. */
  nearest(x, y, reach) {
    let best = null;
    let least = reach * reach;
    for (let cx = Math.floor((x - reach) / CELL); cx <= Math.floor((x + reach) / CELL); cx += 1) {
      for (let cy = Math.floor((y - reach) / CELL); cy <= Math.floor((y + reach) / CELL); cy += 1) {
        for (const seat of this.#cells.get(`${cx},${cy}`) ?? []) {
          const distance = (seat.x - x) ** 2 + (seat.y - y) ** 2;
          if (distance <= least) {
            best = seat;
            least = distance;
          }
        }
      }
    }
    return best;
  }

  /** All seats in a rectangle. */
  within(left, top, right, bottom) {
    return this.seats.filter((seat) => seat.x >= left && seat.x <= right && seat.y >= top && seat.y <= bottom);
  }
}

/**
 * The next seat from one in a direction. To the side: along its row. Up and down: the nearest of another row, where a
 * step aside counts double, so that columns are kept on curved rows too. Null where the hall ends.
 *
 * @param {object} from a seat with `x`, `y` and `row`
 * @param {"left"|"right"|"up"|"down"} direction
 * @param {number} column the `x` to keep to when going up and down
 */
export function neighbour(seats, from, direction, column = from.x) {
  const sideways = direction === "left" || direction === "right";
  const sign = direction === "left" || direction === "up" ? -1 : 1;
  let best = null;
  let least = Infinity;
  for (const seat of seats) {
    if (seat === from || (seat.row === from.row) !== sideways) continue;
    const ahead = (sideways ? seat.x - from.x : seat.y - from.y) * sign;
    if (ahead <= 0.5) continue;
    const cost = sideways ? ahead : ahead + 2 * Math.abs(seat.x - column);
    if (cost < least) {
      best = seat;
      least = cost;
    }
  }
  return best;
}

/** The first or the last seat of a seat's row, from the left. */
export function endOfRow(seats, from, last) {
  const row = seats.filter((seat) => seat.row === from.row);
  return row.reduce((best, seat) => ((seat.x > best.x) === last ? seat : best));
}

function cell(x, y) {
  return `${Math.floor(x / CELL)},${Math.floor(y / CELL)}`;
}
