/** The bar at the bottom: which seats are held, what they cost, how long they are kept, and the way on. */

const WARN_AT_S = [60, 30, 10];

export class Bar {
  #warned = new Set();

  /**
   * @param {HTMLElement} bar
   * @param {import("./desk.js").Desk} desk
   * @param {import("./voice.js").Voice} voice
   * @param {object} words the texts
   */
  constructor(bar, desk, voice, words) {
    this.bar = bar;
    this.desk = desk;
    this.voice = voice;
    this.words = words;
    this.names = bar.querySelector("[data-names]");
    this.total = bar.querySelector("[data-total]");
    this.time = bar.querySelector("[data-time]");
    this.go = bar.querySelector("[data-continue]");
    setInterval(() => this.tick(), 250);
  }

  /** Show what is held now; `names` in the hall's order. */
  show(names) {
    this.bar.dataset.holds = names.length > 0 ? "some" : "none";
    this.names.textContent = names.join(", ");
    this.total.textContent = this.desk.total ?? "";
    this.#warned = new Set(WARN_AT_S.filter((seconds) => names.length > 0 && this.desk.msLeft / 1000 < seconds));
    this.tick();
  }

  /** Show the time that is left. */
  tick() {
    if (this.bar.dataset.holds !== "some") return;
    const left = Math.max(0, Math.ceil(this.desk.msLeft / 1000));
    const shown = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (this.time.textContent === shown) return;
    this.time.textContent = shown;
    this.time.classList.toggle("urgent", left <= 60);
    for (const seconds of WARN_AT_S) {
      if (left <= seconds && left > 0 && !this.#warned.has(seconds)) {
        this.#warned.add(seconds);
        this.voice.whisper(this.words.left.replace("{count}", seconds));
      }
    }
  }

  busy(is) {
    this.go.disabled = is;
    this.go.classList.toggle("waiting", is);
  }
}
