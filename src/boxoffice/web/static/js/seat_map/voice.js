/**
 * What is said to people: a line above the hall that all see, and what only a screen reader tells.
 *
 * A live region that talks all the time is one that people switch off: news of other people's seats is gathered and
 * told at most every few seconds; what answers to one's own act is told at once.
 */

const NEWS_EVERY_MS = 8_000;
const SHOWN_MS = 7_000;

export class Voice {
  #news = 0;
  #taken = 0;
  #freed = 0;
  #last = 0;
  #hiding = 0;

  /**
   * @param {HTMLElement} line what everybody sees; hidden until there is something to see, so no live region
   * @param {HTMLElement} aloud the same for screen readers (a polite live region)
   * @param {HTMLElement} whisper what only screen readers tell (another one)
   * @param {object} words the texts
   */
  constructor(line, aloud, whisper, words) {
    this.line = line;
    this.aloud = aloud;
    this.text = line.querySelector("[data-text]");
    this.button = line.querySelector("button");
    this.whisperer = whisper;
    this.words = words;
    this.button.addEventListener("click", () => {
      this.hush();
      this.act?.();
    });
  }

  /** Show a line for a while. `stays`: until it is hushed; `act`: what its button, called `label`, does. */
  say(text, { kind = "info", stays = false, act = null, label = "" } = {}) {
    clearTimeout(this.#hiding);
    this.line.dataset.kind = kind;
    this.text.textContent = text;
    this.act = act;
    this.button.hidden = act === null;
    this.button.textContent = label;
    this.line.classList.add("shown");
    tell(this.aloud, act ? `${text} ${label}` : text);
    if (!stays) this.#hiding = setTimeout(() => this.hush(), act ? 3 * SHOWN_MS : SHOWN_MS);
  }

  hush() {
    this.line.classList.remove("shown");
    this.aloud.textContent = "";
  }

  /** Tell a screen reader. */
  whisper(text) {
    tell(this.whisperer, text);
  }

  /** Other people took or freed seats: told together, and seldom. */
  news(taken, freed) {
    this.#taken += taken;
    this.#freed += freed;
    if (this.#news || this.#taken + this.#freed === 0) return;
    this.#news = setTimeout(
      () => {
        const { taken: took, freed: gave } = this.words.news;
        const parts = [];
        if (this.#taken) parts.push(took.replace("{count}", this.#taken));
        if (this.#freed) parts.push(gave.replace("{count}", this.#freed));
        this.#news = this.#taken = this.#freed = 0;
        this.#last = Date.now();
        this.whisper(parts.join(" "));
      },
      Math.max(500, this.#last + NEWS_EVERY_MS - Date.now()),
    );
  }
}

/** Put a text into a live region; the same one again is a change, too, or nobody would be told of it. */
function tell(region, text) {
  region.textContent = region.textContent === text ? `${text}\u00a0` : text;
}
