// A search field that offers how to go on while one types: the browser's own list, filled from [data-suggest].

import { fetchText } from "./requests.js";

const WAIT_MS = 160;

function bind(field, number) {
  const list = document.createElement("datalist");
  list.id = `suggestions-${number}`;
  field.after(list);
  field.setAttribute("list", list.id);
  let timer = 0;
  let asked = "";
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      asked = field.value;
      const url = `${field.dataset.suggest}?q=${encodeURIComponent(asked)}`;
      const text = await fetchText(url).catch(() => "");
      if (!text || asked !== field.value) return;
      list.replaceChildren(...JSON.parse(text).suggestions.map((value) => Object.assign(document.createElement("option"), { value })));
    }, WAIT_MS);
  });
}

document.querySelectorAll("[data-suggest]").forEach(bind);
