/**
 * What happens to the seats elsewhere, within a second: Server-Sent Events, and polling where those do not come.
 *
 * The rules by which no taken seat is ever shown as free:
 * - After a `reset`, a broken connection, sleep, or the loss of the network, the whole map is read again, and until it
 *   has come `stale` says so.
 * - A map that was read may be up to `AGE_MS` older than what the stream told: what it told since then goes before. For
 *   the same reason a map that follows a `reset` is asked for once more, when it can no longer be older than that.
 */

const AGE_MS = 1500;
const SILENT_MS = 40_000;
const HIDDEN_MS = 60_000;
const POLL_MS = 2_000;
const AGAIN_MS = [1_000, 2_000, 4_000, 8_000, 15_000];
const FAILURES_MAX = 3;
const STREAM_AGAIN_MS = 30_000;

export class Live {
  #source = null;
  #failures = 0;
  #timers = { again: 0, silent: 0, hidden: 0, poll: 0, reread: 0 };
  #told = [];
  #etag = null;
  #reading = null;
  #readAgain = false;

  /**
   * @param {string} address of the show's map; its events are below it
   * @param {object} on `changes(changes)`, `map(seats)`: [{id, status}]; `stale(reason)`: null, "reading", "offline"
   */
  constructor(address, on) {
    this.address = address;
    this.on = on;
    addEventListener("online", () => this.#restart());
    addEventListener("offline", () => {
      this.#stop();
      on.stale("offline");
    });
    document.addEventListener("visibilitychange", () => this.#seen(document.visibilityState === "visible"));
    addEventListener("pagehide", () => this.#stop());
  }

  start() {
    if (!navigator.onLine) {
      this.on.stale("offline");
      return;
    }
    this.#listen();
  }

  /** Read the whole map now. */
  async read() {
    if (this.#reading) {
      this.#readAgain = true;
      return this.#reading;
    }
    this.#reading = this.#readOnce().finally(() => {
      this.#reading = null;
      if (this.#readAgain) {
        this.#readAgain = false;
        this.read();
      }
    });
    return this.#reading;
  }

  async #readOnce() {
    const began = Date.now();
    let answer;
    try {
      answer = await fetch(this.address, {
        headers: this.#etag ? { "If-None-Match": this.#etag } : {},
        // Our own comparison, so that "not modified" is told and not hidden.
        cache: "no-store",
        credentials: "omit",
        signal: AbortSignal.timeout(10_000),
      });
      if (answer.status !== 304) {
        if (!answer.ok) throw new Error(`status ${answer.status}`);
        const { seats } = await answer.json();
        this.#etag = answer.headers.get("etag");
        this.#told = this.#told.filter((told) => told.at >= began - AGE_MS);
        const newer = new Map(this.#told.map(({ id, status }) => [id, status]));
        this.on.map(seats.map(({ id, status }) => ({ id, status: newer.get(id) ?? status })));
      }
    } catch {
      // Still stale, and it says so; whoever asked is not the one to mend it.
      this.on.stale(navigator.onLine ? "reading" : "offline");
      this.#later("reread", AGAIN_MS[1], () => this.read());
      return;
    }
    this.on.stale(null);
  }

  #listen() {
    this.#source?.close();
    const source = new EventSource(`${this.address}/events`);
    this.#source = source;
    this.#hear();
    source.addEventListener("open", () => this.#hear());
    source.addEventListener("heartbeat", () => this.#hear());
    source.addEventListener("seats", ({ data }) => {
      this.#hear();
      const { changes } = JSON.parse(data);
      const at = Date.now();
      this.#told = this.#told.filter((told) => told.at >= at - 2 * AGE_MS);
      this.#told.push(...changes.map(({ id, status }) => ({ id, status, at })));
      this.on.changes(changes);
    });
    source.addEventListener("reset", () => {
      this.#hear();
      this.on.stale("reading");
      this.read();
      this.#later("reread", AGE_MS, () => this.read());
    });
    source.addEventListener("error", () => {
      // The browser comes back by itself, with the last event that it saw, unless the server refused it.
      this.on.stale(navigator.onLine ? "reading" : "offline");
      if (source.readyState === EventSource.CLOSED || ++this.#failures >= FAILURES_MAX) this.#fallBack();
    });
  }

  /** The stream lives. */
  #hear() {
    if (this.#source?.readyState === EventSource.OPEN) {
      if (this.#failures > 0) this.read();
      this.#failures = 0;
      clearTimeout(this.#timers.poll);
    }
    // Connections that went dead without a word are told by their silence: a heartbeat comes every 15 seconds.
    this.#later("silent", SILENT_MS, () => this.#restart());
  }

  /** Ask again and again while there is no stream, and try the stream now and then. */
  #fallBack() {
    this.#source?.close();
    clearTimeout(this.#timers.silent);
    const pause = this.#failures < FAILURES_MAX ? AGAIN_MS[this.#failures] : STREAM_AGAIN_MS;
    this.#failures += 1;
    this.#later("again", pause * (0.75 + Math.random() / 2), () => this.#listen());
    this.#poll();
  }

  #poll() {
    this.read();
    this.#later("poll", POLL_MS, () => this.#poll());
  }

  #restart() {
    if (document.visibilityState === "hidden" || !navigator.onLine) return;
    this.#stop();
    this.on.stale("reading");
    this.#listen();
    this.read();
  }

  #stop() {
    this.#source?.close();
    this.#source = null;
    this.#failures = 0;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
  }

  #seen(visible) {
    clearTimeout(this.#timers.hidden);
    if (!visible) {
      // Nobody looks: after a while there is no need to be told.
      this.#later("hidden", HIDDEN_MS, () => this.#stop());
    } else if (this.#source === null || this.#source.readyState !== EventSource.OPEN) {
      this.#restart();
    } else {
      // Timers and streams may have slept with the device.
      this.read();
    }
  }

  #later(name, ms, act) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(act, ms);
  }
}
