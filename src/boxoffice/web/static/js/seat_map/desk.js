/**
 * The desk: asks the server for seats, gives them back, and knows which ones are held for us until when.
 *
 * One request at a time, in the order of the taps. Every answer tells all that is held, so that this never has to guess;
 * times are the server's, whatever this device's clock says.
 */

export class Desk {
  #queue = Promise.resolve();
  #clockAhead = 0;
  #lapsing = 0;

  /**
   * @param {string} address of the show's page
   * @param {{csrf: string, once: string, held: object}} page the token that each request carries; what names this
   *   page, so that a booking asked for twice is one; what is held now, as the server tells it
   * @param {{changed: () => void, lapsed: (ids: string[]) => void}} on
   */
  constructor(address, { csrf, once, held }, on) {
    this.address = address;
    this.csrf = csrf;
    this.once = once;
    this.on = on;
    this.#take(held);
  }

  /** The seats that are held for us: id → milliseconds since 1970, by the server's clock. */
  until = new Map();

  has(id) {
    return this.until.has(id);
  }

  get ids() {
    return [...this.until.keys()];
  }

  /** Milliseconds until the first of our holds runs out. */
  get msLeft() {
    return Math.min(...this.until.values()) - this.now;
  }

  /** The server's time. */
  get now() {
    return Date.now() + this.#clockAhead;
  }

  /** Hold these seats; those that are held already are held anew, so that all run out together. */
  hold(ids) {
    return this.#ask("hold", () => [...new Set([...this.until.keys(), ...ids])].map((id) => ["seat", id]));
  }

  release(ids) {
    return this.#ask("release", () => ids.map((id) => ["seat", id]));
  }

  best(count) {
    return this.#ask("best", () => [["count", count]]);
  }

  book() {
    return this.#ask("book", () => [["once", this.once], ...this.ids.map((id) => ["seat", id])]);
  }

  /** Ask what is held now: other tabs of this browser hold seats too. */
  refresh() {
    return this.#ask("held", () => null);
  }

  /** @returns {Promise<{ok: boolean, status: number, body: object}>} status 0: the server was not reached */
  #ask(act, fields) {
    const answer = this.#queue.then(() => this.#send(act, fields()));
    this.#queue = answer.catch(() => {});
    return answer;
  }

  async #send(act, fields) {
    let answer;
    try {
      answer = await fetch(`${this.address}/${act}`, {
        method: fields === null ? "GET" : "POST",
        headers: { Accept: "application/json", "X-CSRF-Token": this.csrf },
        body: fields === null ? undefined : new URLSearchParams(fields),
        signal: AbortSignal.timeout(20_000),
      });
    } catch {
      return { ok: false, status: 0, body: {} };
    }
    const body = await answer.json().catch(() => ({}));
    if (answer.ok && body.held) this.#take(body.held);
    return { ok: answer.ok, status: answer.status, body };
  }

  #take(held) {
    if (held.now) this.#clockAhead = Date.parse(held.now) - Date.now();
    this.until = new Map(held.seats.map(({ id, expiresAt }) => [id, Date.parse(expiresAt)]));
    this.total = held.total;
    this.on.changed();
    this.#watch();
  }

  /** Seats that run out are let go at their moment. */
  #watch() {
    clearTimeout(this.#lapsing);
    if (this.until.size === 0) return;
    this.#lapsing = setTimeout(() => this.lapse(), Math.min(Math.max(this.msLeft, 0) + 20, 2 ** 30));
  }

  /** Let go of what has run out. A device that slept through it calls this when it wakes. */
  lapse() {
    const gone = this.ids.filter((id) => this.until.get(id) <= this.now);
    for (const id of gone) this.until.delete(id);
    this.#watch();
    if (gone.length > 0) this.on.lapsed(gone);
  }

  /** Somebody gave these back elsewhere, or they are in a booking now. */
  forget(ids) {
    const gone = ids.filter((id) => this.until.delete(id));
    if (gone.length === 0) return;
    this.#watch();
    this.on.changed();
  }
}
