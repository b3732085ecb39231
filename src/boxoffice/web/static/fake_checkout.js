// Counts the time left down, and takes the buyer back to the box office when the session is over.
// The page works without: it carries the time as text, its buttons are a form, and the way back is a link.

const SOON_S = 60;
const timer = document.getElementById("time-left");
const back = document.getElementById("back");

function countDown() {
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
}

if (timer) countDown();
// In the place of this page, so that the Back button does not lead here and at once away again.
if (back) setTimeout(() => location.replace(back.href), Number(back.dataset.forwardS) * 1000);

// A page brought back by the Back button shows what was; ask again.
addEventListener("pageshow", (event) => event.persisted && location.reload());
