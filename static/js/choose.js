// Choosing a structure of the library in the form of a calculation: templates/calculations/_structure.html.
// What is chosen fills the fields of the program; whoever changes one of these by hand lets go of the choice.

import { fetchText } from "./requests.js";
import { toast } from "./toasts.js";

const WAIT_MS = 250;
const box = document.querySelector("[data-structure-choice]");
let timer = 0;
let asked = 0; // the newest search: answers of older ones may come later
let filling = false;

const field = (name) => document.querySelector(`[name="p_${CSS.escape(name)}"]`);

async function search(words) {
  const found = box.querySelector("[data-choose-found]");
  const url = new URL(box.dataset.chooseUrl, location.href);
  if (words) url.searchParams.set("q", words);
  const mine = ++asked;
  try {
    const text = await fetchText(url);
    if (mine === asked) found.innerHTML = text;
  } catch {
    if (mine === asked) found.innerHTML = '<p class="muted card-body">The portal does not answer. Type on to try again.</p>';
  }
}

function show(chosen) {
  const card = box.querySelector("[data-chosen]");
  card.hidden = !chosen;
  const own = box.querySelector("[name=structure]");
  own.value = chosen?.id ?? "";
  own.checked = Boolean(chosen);
  if (!chosen) return;
  card.querySelector("img").src = chosen.picture;
  const link = card.querySelector("a");
  link.href = chosen.page;
  link.textContent = chosen.name;
}

async function choose(button) {
  const url = new URL(button.dataset.chooseUrl, location.href);
  url.searchParams.set("software", box.dataset.software);
  let parameters;
  try {
    ({ parameters } = JSON.parse(await fetchText(url)));
  } catch {
    return toast("The structure could not be fetched. Choose it once more.", "error");
  }
  filling = true;
  for (const [name, value] of Object.entries(parameters)) {
    const input = field(name);
    if (input) input.value = value;
  }
  show({ id: button.dataset.choose, name: button.dataset.chooseName, picture: button.dataset.choosePicture, page: url.pathname.replace("parameters/", "") });
  box.querySelector("dialog").close();
  box.dispatchEvent(new Event("input", { bubbles: true }));
  filling = false;
}

if (box) {
  const dialog = box.querySelector("dialog");
  const own = new Set(box.dataset.fills.split(" ").filter(Boolean).map((name) => `p_${name}`));
  box.querySelector("[data-choose-open]").addEventListener("click", () => {
    dialog.showModal();
    search(box.querySelector("[data-choose-search]").value);
  });
  box.querySelector("[data-choose-search]").addEventListener("input", (event) => {
    event.stopPropagation();
    clearTimeout(timer);
    timer = setTimeout(() => search(event.target.value), WAIT_MS);
  });
  box.querySelector("[data-choose-search]").addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
  box.addEventListener("click", (event) => {
    const button = event.target.closest("[data-choose]");
    if (button) choose(button);
    if (event.target.closest("[data-choose-drop]")) {
      show(null);
      box.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });
  document.addEventListener("input", (event) => {
    if (!filling && own.has(event.target.name)) show(null);
  });
}
