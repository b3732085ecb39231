// Ticking a seat shows at once what would come back of those that are ticked. Reckoned by the server, as ever;
// without this there is a button that asks for the same.

const form = document.getElementById("choose");

if (form) {
  let latest = 0;
  form.querySelector("[data-ask]").hidden = true;
  form.addEventListener("change", async () => {
    const mine = ++latest;
    const offer = document.getElementById("offer");
    offer.setAttribute("aria-busy", "true");
    const address = `${form.action}?${new URLSearchParams(new FormData(form))}`;
    try {
      const answer = await fetch(address, { headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      // An older answer must not overtake a newer one, nor may one that has no offer (given back in another tab) stay.
      if (mine !== latest) return;
      const fresh = page.getElementById("offer");
      if (fresh) offer.replaceChildren(...fresh.childNodes);
      else location.replace(answer.url);
      offer.removeAttribute("aria-busy");
    } catch {
      if (mine === latest) location.replace(address);
    }
  });
}
