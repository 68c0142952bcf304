// The page of logs: a line opens in a dialog with those around it. Without JavaScript its link opens a page.

import { fetchText } from "./requests.js";

const dialog = document.querySelector("[data-line-dialog]");

document.addEventListener("click", async (event) => {
  const line = event.target.closest("a.log-line");
  if (!line || !dialog || event.ctrlKey || event.metaKey || event.shiftKey || event.button || String(getSelection())) return;
  event.preventDefault();
  let text;
  try {
    text = await fetchText(line.href);
  } catch {
    return location.assign(line.href);
  }
  const found = new DOMParser().parseFromString(text, "text/html").getElementById("line-context");
  if (!found) return location.assign(line.href);
  const close = document.createElement("button");
  close.className = "chip";
  close.type = "button";
  close.dataset.close = "";
  close.textContent = "Close";
  found.querySelector(".card-tools").append(close);
  dialog.replaceChildren(found);
  dialog.showModal();
  dialog.querySelector("[aria-current]")?.scrollIntoView({ block: "center" });
});

// A chosen filter is at work at once.
document.querySelector("[data-filters]")?.addEventListener("change", (event) => {
  if (event.target.matches("select")) event.currentTarget.requestSubmit();
});
