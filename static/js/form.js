// The page "New calculation": htmx asks for the side panel while one types; here is only what htmx does not do.

const form = document.querySelector("[data-draft-form]");
let dirty = false;

if (form) {
  form.addEventListener("input", () => { dirty = true; });
  form.addEventListener("submit", () => { dirty = false; });
  addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });

  // A field that was mended loses its error at once; the side panel says what is still missing.
  form.addEventListener("input", (event) => {
    if (event.target.getAttribute("aria-invalid") !== "true") return;
    event.target.removeAttribute("aria-invalid");
    event.target.closest(".field")?.querySelectorAll(".field-error").forEach((words) => words.remove());
  });

  // A run of the plan shows its input file beside.
  form.addEventListener("click", (event) => {
    const run = event.target.closest("[data-preview-run]");
    const field = form.querySelector("[name=preview_run]");
    if (!run || !field) return;
    field.value = run.dataset.previewRun;
    field.dispatchEvent(new Event("ask", { bubbles: true }));
  });

  // What an enumerated parameter may be stands as chips below its values.
  for (const select of form.querySelectorAll("[data-axis]")) {
    offer(select);
    nameAxes();
    select.addEventListener("change", () => {
      offer(select);
      nameAxes();
    });
  }
}

// A chain runs along one of the axes that are there, which are called by what they vary.
function nameAxes() {
  const along = form.querySelector("[name=vary_along]");
  for (const [place, select] of [...form.querySelectorAll("[data-axis]")].entries()) {
    const option = along?.options[place];
    if (!option) continue;
    option.hidden = option.disabled = !select.value;
    if (select.value) option.text = select.selectedOptions[0].text;
  }
  if (along?.selectedOptions[0]?.disabled) along.value = "0";
}

function offer(select) {
  const values = form.querySelector(`[name="${select.name}_values"]`);
  values.closest(".field").querySelector(".offers")?.remove();
  const words = select.selectedOptions[0]?.dataset.words?.split(" ") ?? [];
  if (!words.length) return;
  const offers = document.createElement("span");
  offers.className = "offers chips";
  for (const word of words) {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.className = "chip";
    chip.textContent = word;
    const show = () => chip.setAttribute("aria-pressed", String(chosen(values).includes(word)));
    chip.addEventListener("click", () => {
      const now = chosen(values);
      values.value = (now.includes(word) ? now.filter((one) => one !== word) : [...now, word]).join(" ");
      values.dispatchEvent(new Event("input", { bubbles: true }));
    });
    values.addEventListener("input", show);
    show();
    offers.append(chip);
  }
  values.closest(".field").append(offers);
}

const chosen = (field) => field.value.split(/[\s,;]+/).filter(Boolean);
