// Forms that htmx asks the portal about while one types: <form hx-post="…" hx-trigger="input delay:250ms, ask">.
// What was entered before the scripts were there, or brought back by the browser, is asked about as well. An answer that
// comes while something of the form is pressed is dropped and asked for again: the click would meet nothing.

const AGAIN_MS = 60;
const ask = (form) => form.dispatchEvent(new Event("ask"));

function isChanged(field) {
  if (field.options) {
    const chosen = [...field.options].some((option) => option.defaultSelected);
    return chosen ? [...field.options].some((option) => option.selected !== option.defaultSelected) : field.selectedIndex > 0;
  }
  return field.checked !== field.defaultChecked || (field.value !== field.defaultValue && field.defaultValue !== undefined);
}

addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[hx-post]")) if ([...form.elements].some(isChanged)) ask(form);
});

function askOnceLetGo(form) {
  if (form.matches(":active")) setTimeout(() => askOnceLetGo(form), AGAIN_MS);
  else ask(form);
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const form = event.target.closest("form[hx-post]");
  if (!form?.matches(":active")) return;
  event.detail.shouldSwap = false;
  askOnceLetGo(form);
});
