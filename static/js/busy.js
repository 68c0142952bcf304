// A button that says what it does while its form is on the way: <button data-busy="Sending…">. One click is enough.

function rest(button) {
  if (!button.dataset.words) return;
  button.textContent = button.dataset.words;
  button.removeAttribute("aria-disabled");
  delete button.dataset.words;
}

document.addEventListener("submit", (event) => {
  const button = event.submitter ?? event.target.querySelector("[data-busy]");
  if (!button?.dataset.busy) return;
  if (button.dataset.words) return void event.preventDefault();
  button.dataset.words = button.textContent;
  button.textContent = button.dataset.busy;
  button.setAttribute("aria-disabled", "true");
});

// The browser may bring the page back as it was left.
addEventListener("pageshow", () => document.querySelectorAll("[data-busy]").forEach(rest));
