// A booking's page: counts the time left down, asks for news while there may be any, and shows itself anew when
// things stand otherwise. The page works without: the time is text, and what waits reloads by itself.

const SOON_S = 60;
const LONG_WAIT_S = 20;
const ASK_LESS_S = 10; // An answer that has not come by now is asked for less and less often.
const ASK_SELDOM_S = 15;

const page = document.querySelector("[data-stage]");
const startedAt = performance.now();
const elapsed = () => (performance.now() - startedAt) / 1000;

function countDown(timer) {
  // Seconds left come from the server: the visitor's clock may be wrong.
  let endsAt = Number(timer.dataset.secondsLeft);
  let reloading = false;

  function tick() {
    const left = Math.max(0, Math.ceil(endsAt - elapsed()));
    timer.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    timer.classList.toggle("soon", left <= SOON_S);
    if (left === 0 && !reloading) {
      reloading = true;
      setTimeout(show, 1000);
    }
  }

  setInterval(tick, 1000);
  tick();
  return (secondsLeft) => {
    endsAt = secondsLeft + elapsed();
    tick();
  };
}

function show() {
  // In place of this page: the Back button is not to lead through what was. Asked for anew and by GET, also where this
  // page was the answer to a form.
  location.replace(location.pathname.replace(/\/pay$/, "") + location.search);
}

const timer = document.querySelector("[data-seconds-left]");
const corrected = timer ? countDown(timer) : () => {};

async function ask() {
  if (document.hidden) return;
  try {
    const answer = await fetch(page.dataset.stateUrl, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const state = await answer.json();
    if (state.stage !== page.dataset.stage) show();
    else corrected(state.secondsLeft);
  } catch {
    // No network for a moment: the next question may get through.
  }
}

function keepAsking() {
  const every = Number(page.dataset.pollS);
  const wait = every < 5 && elapsed() > ASK_LESS_S ? Math.min(ASK_SELDOM_S, every + elapsed() / 10) : every;
  setTimeout(async () => {
    await ask();
    keepAsking();
  }, wait * 1000);
}

if (page?.dataset.pollS) {
  keepAsking();
  document.addEventListener("visibilitychange", ask);
}

const longWait = document.getElementById("long-wait");
if (longWait) {
  longWait.hidden = true;
  setTimeout(() => { longWait.hidden = false; }, LONG_WAIT_S * 1000);
}

// A second tap on the same button sends nothing more. The server would not mind, but the person would wonder.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    form.querySelector("button").setAttribute("aria-disabled", "true");
  });
}

// A page brought back by the Back button shows what was; ask again.
addEventListener("pageshow", (event) => { if (event.persisted) show(); });
