// Short messages at the corner. Successes leave by themselves; warnings and errors stay until they are closed.

const LEAVES_AFTER_MS = 6000;
const UNDO_LEAVES_AFTER_MS = 20000;

function arm(note) {
  const close = document.createElement("button");
  close.type = "button";
  close.className = "toast-close";
  close.setAttribute("aria-label", "Close this message");
  close.textContent = "×";
  close.addEventListener("click", () => note.remove());
  note.append(close);
  if (!note.matches(".is-error, .is-warning")) {
    const stays = note.querySelector("form") ? UNDO_LEAVES_AFTER_MS : LEAVES_AFTER_MS;
    let timer = setTimeout(() => note.remove(), stays);
    note.addEventListener("pointerenter", () => clearTimeout(timer));
    note.addEventListener("pointerleave", () => { timer = setTimeout(() => note.remove(), stays / 2); });
  }
}

export function toast(text, level = "info", url = "") {
  const note = document.createElement("div");
  note.className = `toast-note is-${level}`;
  const words = document.createElement(url ? "a" : "span");
  words.textContent = text;
  if (url) words.href = url;
  note.append(words);
  document.querySelector("[data-toasts]")?.append(note);
  arm(note);
}

document.querySelectorAll("[data-toasts] > .toast-note").forEach(arm);
