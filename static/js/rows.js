// Lists with checkboxes: the bar of verbs appears with the first choice and says how many are chosen.

function refresh(form) {
  const ticks = [...form.querySelectorAll("[data-tick]")];
  const chosen = ticks.filter((tick) => tick.checked).length;
  const all = form.querySelector("[data-tick-all]");
  if (all) {
    all.checked = chosen > 0 && chosen === ticks.length;
    all.indeterminate = chosen > 0 && chosen < ticks.length;
  }
  form.querySelector("[data-bulk]")?.classList.toggle("is-on", chosen > 0);
  const count = form.querySelector("[data-chosen]");
  if (count) count.textContent = `${chosen} chosen`;
  const id = form.getAttribute("id"); // form.id is the boxes, which are called so
  for (const words of document.querySelectorAll(`[data-chosen-of="${id}"]`)) words.textContent = chosen;
}

document.addEventListener("change", (event) => {
  const form = event.target.closest("form");
  if (!form || !event.target.matches("[data-tick], [data-tick-all]")) return;
  if (event.target.matches("[data-tick-all]")) {
    for (const tick of form.querySelectorAll("[data-tick]")) tick.checked = event.target.checked;
  }
  refresh(form);
});

for (const form of document.querySelectorAll("form:has([data-tick])")) refresh(form);
document.addEventListener("live:swapped", (event) => {
  const form = event.target.closest?.("form:has([data-tick])");
  if (form) refresh(form);
});
