// The colour scheme: chosen at once, remembered by the form's own post. Charts listen to "theme:changed".

const root = document.documentElement;
const announce = () => document.dispatchEvent(new CustomEvent("theme:changed"));

export function token(name) {
  return getComputedStyle(root).getPropertyValue(`--${name}`).trim();
}

document.querySelector("form[data-scheme]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const chosen = event.submitter.value;
  root.dataset.bsTheme = chosen;
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button === event.submitter));
  fetch(form.action, { method: "POST", body: new FormData(form, event.submitter), credentials: "same-origin", redirect: "manual" });
  announce();
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", announce);
