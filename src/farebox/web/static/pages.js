// Pages work without this file. It counts time down, says so now and then, and keeps a form from
// being sent twice by two clicks (the key in the form keeps it from counting twice).
(() => {
  "use strict";
  const SAY_AT = [300, 60, 30];
  const start = performance.now();

  const written = (seconds) => {
    const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    const shown = parts[0] ? parts : parts.slice(1);
    return shown.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
  };

  // <span data-left="1800" data-over="..." data-say="... %s ..."> counts from what the server said.
  const timers = [...document.querySelectorAll("[data-left]")].map((shown) => {
    const said = document.createElement("span");
    said.className = "unseen";
    said.setAttribute("aria-live", "polite");
    shown.after(said);
    return { shown, said, left: Number(shown.dataset.left), due: SAY_AT.slice() };
  });
  const tick = () => {
    const passed = Math.floor((performance.now() - start) / 1000);
    for (const timer of timers) {
      const left = Math.max(0, timer.left - passed);
      timer.shown.textContent = left ? written(left) : timer.shown.dataset.over;
      while (timer.due.length && left <= timer.due[0]) {
        const at = timer.due.shift();
        if (timer.left > at && left > at - 5) {
          timer.said.textContent = timer.shown.dataset.say.replace("%s", written(left));
        }
      }
    }
  };
  if (timers.length) {
    tick();
    setInterval(tick, 1000);
  }

  for (const form of document.querySelectorAll("form[data-once]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) {
        event.preventDefault();
        return;
      }
      form.dataset.sent = "yes";
      const button = form.querySelector("button:not([type=button])");
      button.setAttribute("aria-disabled", "true");
      if (button.dataset.busy) button.textContent = button.dataset.busy;
    });
  }
  // A page from the browser's memory is not being sent any more.
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  // A page that waits for the services asks again by itself.
  const wait = document.querySelector("[data-reload]");
  const again = () => (wait.dataset.next ? location.replace(wait.dataset.next) : location.reload());
  if (wait) {
    const asking = setTimeout(again, Number(wait.dataset.reload) * 1000);
    // Whoever has clicked is on their way: asking again would take the click back.
    addEventListener("beforeunload", () => clearTimeout(asking));
  }
})();
