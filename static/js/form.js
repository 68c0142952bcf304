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
}
