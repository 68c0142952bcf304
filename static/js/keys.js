// The keyboard: g and a letter, / search, c create, j and k move in [data-rows], Enter opens, x chooses, ? helps.

const GO_WITHIN_MS = 1500;
let leader = 0;

// A ticked row takes keys as well: a box is not typed into.
const typing = (target) => target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog[open]");
const rows = () => [...document.querySelectorAll("[data-rows] > [data-row]")].filter((row) => row.offsetParent !== null);
const here = () => document.querySelector("[data-row].is-here");

function move(step) {
  const all = rows();
  if (!all.length) return;
  const now = all.indexOf(here());
  const next = all[Math.max(0, Math.min(all.length - 1, now < 0 ? (step > 0 ? 0 : all.length - 1) : now + step))];
  here()?.classList.remove("is-here");
  next.classList.add("is-here");
  (next.querySelector(".row-link") ?? next).focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function help() {
  const dialog = document.getElementById("keys");
  if (dialog && !dialog.open) dialog.showModal();
}

// A button of the page; where it acts on chosen rows and none is chosen, the row at hand is meant.
function press(key) {
  const button = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  const form = button.closest("form");
  if (form?.querySelector("[data-tick]") && !form.querySelector("[data-tick]:checked")) here()?.querySelector("[data-tick]")?.click();
  button.click();
}

const VERBS = {
  "/": () => (document.querySelector("main [data-search]") ?? document.querySelector("[data-search]"))?.select(),
  "?": help,
  c: () => document.querySelector("[data-create]")?.click(),
  j: () => move(1),
  k: () => move(-1),
  x: () => here()?.querySelector("[data-tick]")?.click(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event.target)) return;
  if (Date.now() - leader < GO_WITHIN_MS) {
    leader = 0;
    const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    if (link) {
      event.preventDefault();
      location.assign(link.href);
    }
    return;
  }
  if (event.key === "g") {
    leader = Date.now();
  } else if (event.key === "Enter" && event.target === document.body) {
    here()?.querySelector(".row-link")?.click();
  } else if (VERBS[event.key] || document.querySelector(`[data-key="${CSS.escape(event.key)}"]`)) {
    event.preventDefault();
    (VERBS[event.key] ?? (() => press(event.key)))();
  }
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-show-keys]")) help();
});
