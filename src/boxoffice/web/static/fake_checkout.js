// Counts the time left down, and shows what came of the session when it is over.
// The page works without: it carries the time as text, and its buttons are a form.

const SOON_S = 60;
const timer = document.getElementById("time-left");
const form = document.querySelector("form");
const startedAt = performance.now();
// Seconds left come from the server: the buyer's clock may be wrong.
const secondsAtStart = Number(timer.dataset.secondsLeft);

function tick() {
  const left = Math.max(0, Math.ceil(secondsAtStart - (performance.now() - startedAt) / 1000));
  timer.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  timer.classList.toggle("soon", left <= SOON_S);
  if (left === 0) {
    clearInterval(ticking);
    setTimeout(() => location.reload(), 1000);
  }
}

const ticking = setInterval(tick, 1000);
tick();

form.addEventListener("submit", () => {
  clearInterval(ticking);
  form.classList.add("sent");
});

// A page brought back by the Back button shows what was; ask again.
addEventListener("pageshow", (event) => event.persisted && location.reload());
