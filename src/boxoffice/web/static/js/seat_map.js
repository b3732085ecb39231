/**
 * The seat map of a show: a tap holds a seat at once, and what others do is seen as they do it.
 *
 * The page works without this: the server has drawn the hall, and a list with a form sells the seats. From here on the
 * hall is alive. Who does what: `hall` the seats, `view` the movement, `keyboard` the keys, `live` what others do,
 * `desk` what we ask of the server, `bar` and `voice` what is told. This file puts them together.
 */

import { Bar } from "./seat_map/bar.js";
import { Desk } from "./seat_map/desk.js";
import { Hall } from "./seat_map/hall.js";
import { listenToKeys } from "./seat_map/keyboard.js";
import { Live } from "./seat_map/live.js";
import { View } from "./seat_map/view.js";
import { Voice } from "./seat_map/voice.js";

const NUMBERS_FROM_PX = 26;
const FINGER_PX = 24;
const FINGER_ZOOM_PX = 44;
/** Beside a seat is near enough: this far from its middle, in the drawing's units; the nearest is meant. */
const REACH = { touch: 8, mouse: 5 };
const STATES = { available: "free", held: "held", booked: "sold" };
/** A hold of ours is in the answer before it is in the stream: until then the stream does not take it away. */
const GRACE_MS = 2_500;
const LAPSING_MS = 2_000;
/** After these refusals, trying again on this page is no use, or a guess. */
const PAGE_IS_OLD = new Set(["form_not_ours", "outcome_unknown"]);

const page = document.querySelector("#booth");
const data = JSON.parse(document.querySelector("#booth-data").textContent);
const { words } = data;
const money = new Intl.NumberFormat(document.documentElement.lang, { style: "currency", currency: data.currency });
words.own_price = (price) => money.format(price / 10 ** money.resolvedOptions().maximumFractionDigits);

const frame = page.querySelector(".hall-stage");
const hall = new Hall(page.querySelector("#hall"), words);
const voice = new Voice(page.querySelector("#line"), page.querySelector("#aloud"), page.querySelector("#whisper"), words);
const view = new View(frame, hall.svg, {
  settled: () => hall.number(view.seatPx >= NUMBERS_FROM_PX ? view.visible : null),
});
const desk = new Desk(
  data.address,
  {
    csrf: document.querySelector('meta[name="csrf"]').content,
    once: page.querySelector('#book [name="once"]').value,
    held: data.held,
  },
  { changed: () => queueMicrotask(showHeld), lapsed: onLapsed },
);
const bar = new Bar(page.querySelector("#bar"), desk, voice, words);
const live = new Live(data.map, {
  changes: (changes) => others(changes, { spoken: true }),
  map: (seats) => others(seats, { spoken: false }),
  stale: onStale,
});

/** When each seat was last asked about or answered: see `GRACE_MS`. */
const touched = new Map();
/** What anybody's map says of each seat, as we last heard. */
const known = new Map();
let stale = null;
/** Whether we have asked for seats without knowing which: until the answer, seats that are taken may be ours. */
let asking = false;

/** For a while, our own answer goes before what the stream says of a seat; then it is held against it. */
function touch(id) {
  touched.set(id, Date.now());
  setTimeout(() => known.has(id) && others([{ id, status: known.get(id) }], { spoken: false }), GRACE_MS + 50);
}

function names(ids) {
  return ids.map((id) => hall.get(id)?.name).filter(Boolean);
}

/** Bring the hall and the bar in line with what is held for us. */
function showHeld() {
  for (const seat of hall.seats) {
    if (desk.has(seat.id)) hall.show(seat, "mine");
    else if (seat.is === "mine" && !seat.element.classList.contains("waiting")) hall.show(seat, "free");
  }
  bar.show(hall.seats.filter((seat) => desk.has(seat.id)).map((seat) => seat.name));
}

async function choose(seat) {
  if (!seat || seat.element.classList.contains("waiting")) return;
  if (seat.is === "held" || seat.is === "sold") {
    voice.say(words.taken[seat.is].replace("{seat}", seat.name), { kind: "sorry" });
    navigator.vibrate?.([8, 60, 8]);
    return;
  }
  if (!navigator.onLine) {
    voice.say(words.offline, { kind: "sorry" });
    return;
  }
  navigator.vibrate?.(12);
  if (seat.is === "mine") await giveBack(seat);
  else await take([seat]);
}

async function take(seats) {
  if (desk.until.size + seats.length > data.seats_max) {
    voice.say(words.refusals.seat_limit_reached, { kind: "sorry" });
    return;
  }
  voice.hush();
  for (const seat of seats) {
    touch(seat.id);
    hall.wait(seat, true);
    hall.show(seat, "mine");
  }
  const answer = await desk.hold(seats.map((seat) => seat.id));
  for (const seat of seats) {
    touch(seat.id);
    hall.wait(seat, false);
  }
  if (answer.ok) {
    voice.whisper(words.held.replace("{seats}", names(seats.map((seat) => seat.id)).join(", ")));
    told(answer.body);
  } else {
    refused(answer, seats);
  }
}

async function giveBack(seat) {
  touch(seat.id);
  hall.wait(seat, true);
  const answer = await desk.release([seat.id]);
  touch(seat.id);
  hall.wait(seat, false);
  if (answer.ok) voice.whisper(words.given_back.replace("{seat}", seat.name));
  else refused(answer, []);
  showHeld();
}

async function takeBest(button) {
  button.disabled = true;
  voice.hush();
  asking = true;
  const answer = await desk.best(Number(count.value));
  asking = false;
  button.disabled = false;
  for (const id of desk.ids) touch(id);
  others([...known].map(([id, status]) => ({ id, status })), { spoken: false });
  if (!answer.ok) {
    refused(answer, []);
    return;
  }
  navigator.vibrate?.(12);
  const seats = desk.ids.map((id) => hall.get(id)).filter(Boolean);
  void hall.places;
  view.gather(seats, NUMBERS_FROM_PX + 4);
  if (seats.length > 0) hall.focus(seats[0], { quietly: true });
  voice.whisper(words.held.replace("{seats}", names(desk.ids).join(", ")));
  told(answer.body);
}

async function book(event) {
  event.preventDefault();
  bar.busy(true);
  const answer = await desk.book();
  if (answer.ok) {
    location.assign(answer.body.location);
    return;
  }
  bar.busy(false);
  refused(answer, []);
}

/** An answer may say something to think about, such as a seat that is left alone between two others. */
function told({ alone }) {
  const seats = alone.map((id) => hall.get(id)).filter((seat) => seat?.is === "free");
  if (seats.length === 0) return;
  voice.say(words.alone.replace("{seats}", seats.map((seat) => seat.name).join(", ")), { kind: "hint" });
}

/** Say why not, and show what we have learnt from it. `wanted`: seats that were shown as ours before their answer. */
function refused({ status, body }, wanted) {
  navigator.vibrate?.([8, 60, 8]);
  const named = body.showSeatIds ?? [];
  const lost = body.code === "seats_taken" ? named : [];
  for (const id of lost) {
    const seat = hall.get(id);
    if (seat) hall.show(seat, "held");
  }
  desk.forget(lost);
  for (const seat of wanted) if (!lost.includes(seat.id)) hall.show(seat, desk.has(seat.id) ? "mine" : "free");
  const text = words.refusals[body.code] ?? (status === 0 ? words.unreached : words.refusals.failed);
  const old = PAGE_IS_OLD.has(body.code);
  voice.say(text.replace("{seats}", names(named).join(", ")), {
    kind: "sorry",
    stays: old || body.code === "show_begun",
    act: old ? () => location.reload() : null,
    label: old ? words.reload : "",
  });
  showHeld();
  // Others were faster, or something is wrong: look again.
  live.read();
}

function onLapsed(ids) {
  const seats = ids.map((id) => hall.get(id)).filter(Boolean);
  for (const seat of seats) {
    touched.delete(seat.id);
    hall.show(seat, "free");
    seat.element.classList.add("lapsed");
    setTimeout(() => seat.element.classList.remove("lapsed"), 1_600);
  }
  showHeld();
  navigator.vibrate?.([30, 80, 30]);
  const again = seats.filter((seat) => seat.is === "free");
  voice.say(words.lapsed.replace("{seats}", names(ids).join(", ")), {
    kind: "sorry",
    stays: true,
    act: () => take(again.filter((seat) => seat.is === "free")),
    label: words.hold_again,
  });
  live.read();
}

/** What the stream or the whole map says of seats; the map is anybody's, so our own are told apart here. */
function others(seats, { spoken }) {
  let taken = 0;
  let freed = 0;
  const gone = [];
  for (const { id, status } of seats) {
    const seat = hall.get(id);
    if (!seat) continue;
    known.set(id, status);
    const is = STATES[status] ?? "held";
    const ours = desk.has(id);
    const recent = Date.now() - (touched.get(id) ?? 0) < GRACE_MS;
    if (seat.element.classList.contains("waiting") || (ours && is === "held")) continue;
    // A seat that we just gave back may still be told as held, by us; one that we just took, as free.
    if (recent && (ours || is === "held")) continue;
    if (asking && is === "held") continue;
    // At the end of a hold of ours the desk says so itself, and offers to hold again.
    if (ours && is === "free" && desk.until.get(id) - desk.now < LAPSING_MS) continue;
    if (ours) gone.push(id);
    if (hall.show(seat, is)) {
      if (is === "free") freed += 1;
      else taken += 1;
    }
  }
  if (gone.length > 0) {
    desk.forget(gone);
    desk.refresh();
  }
  if (spoken) voice.news(taken, freed);
}

function onStale(reason) {
  if (stale === reason) return;
  const before = stale;
  stale = reason;
  frame.classList.toggle("stale", reason !== null);
  frame.setAttribute("aria-busy", String(reason !== null));
  if (reason === "offline") voice.say(words.offline, { kind: "sorry", stays: true });
  else if (before === "offline") voice.say(words.online);
}

hall.svg.addEventListener("click", (event) => {
  const coarse = event.pointerType === "touch";
  const direct = hall.of(event.target);
  if (event.detail === 0 && direct) {
    // A screen reader presses seats without a place on the screen.
    choose(direct);
    return;
  }
  if (coarse && view.seatPx < FINGER_PX) {
    // Seats smaller than a fingertip: the first tap brings them near.
    view.zoomTo(event.clientX, event.clientY, FINGER_ZOOM_PX);
    voice.whisper(words.nearer);
    return;
  }
  const point = view.toHall(event.clientX, event.clientY);
  const seat = direct ?? hall.places.nearest(point.x, point.y, coarse ? REACH.touch : REACH.mouse);
  if (!seat) return;
  hall.focus(seat, { quietly: true });
  choose(seat);
});

hall.svg.addEventListener("dblclick", (event) => {
  if (!hall.of(event.target)) view.zoomTo(event.clientX, event.clientY, FINGER_ZOOM_PX);
});

/** To what comes after the hall: the way on, or the choice of the best seats. */
function leave() {
  [...page.querySelectorAll("#bar button, #bar select")].find((control) => control.offsetParent !== null).focus();
}

listenToKeys(hall, view, { choose, leave });
for (const [name, act] of Object.entries({
  nearer: () => view.zoomBy(1.6),
  farther: () => view.zoomBy(1 / 1.6),
  whole: () => view.whole(),
})) {
  page.querySelector(`[data-zoom="${name}"]`).addEventListener("click", act);
}
const count = page.querySelector("#count");
count.addEventListener("change", () => {
  page.querySelector("#best button").textContent = count.selectedOptions[0].dataset.label;
});
page.querySelector("#best").addEventListener("submit", (event) => {
  event.preventDefault();
  takeBest(event.submitter ?? page.querySelector("#best button"));
});
page.querySelector("#book").addEventListener("submit", book);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible") return;
  desk.lapse();
  desk.refresh();
});

// A page that comes back from the browser's history is of another time.
addEventListener("pageshow", (event) => event.persisted && location.reload());

page.classList.add("alive");
showHeld();
// Measured when nothing else is to be done, so that the first tap finds it done.
(globalThis.requestIdleCallback ?? setTimeout)(() => void hall.places);
live.start();
