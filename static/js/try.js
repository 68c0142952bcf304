// The tab "Try it" of a model: makes the body of the call out of the form, sends it to the model and has the answer
// drawn. The form without this calls in the background. In the page: form[data-try] with data-document (where the
// filled form becomes a body; empty: the text or the file is the body), data-invoke, data-answer, data-type.

import { ask, call as send, draw, note } from "./calls.js";

const form = document.querySelector("form[data-try]");
const find = (name) => document.querySelector(`[data-try-${name}]`);
let running = null;

function clear() {
  for (const words of form.querySelectorAll("[data-field] > .field-error")) words.remove();
  for (const field of form.querySelectorAll('[aria-invalid="true"]')) field.removeAttribute("aria-invalid");
  find("error").hidden = true;
}

function complain(words) {
  find("error").textContent = words;
  find("error").hidden = false;
}

// Each error stands below its field; the first one is brought into view.
function show(errors) {
  let first = null;
  for (const [name, words] of Object.entries(errors)) {
    const box = name && form.querySelector(`[data-field="${CSS.escape(name)}"]`);
    if (!box) {
      complain(words);
      continue;
    }
    const line = document.createElement("span");
    line.className = "field-error";
    line.textContent = words;
    box.append(line);
    box.closest("details")?.setAttribute("open", "");
    const control = box.querySelector("input, select, textarea");
    control?.setAttribute("aria-invalid", "true");
    first ??= control;
  }
  first?.focus();
}

async function body(signal) {
  if (!form.dataset.document) {
    const file = form.elements.namedItem("file")?.files[0];
    return file ?? form.elements.namedItem("text")?.value ?? "";
  }
  const response = await ask(form.dataset.document, { method: "POST", body: new FormData(form), signal });
  const said = await response.json();
  if (!response.ok) {
    show(said.errors && Object.keys(said.errors).length ? said.errors : { "": said.detail ?? "The portal refused this." });
    return null;
  }
  for (const [name, text] of Object.entries(said.snippets)) {
    const snippet = document.querySelector(`[data-snippet="${name}"]`);
    if (!snippet) continue;
    snippet.textContent = text;
    snippet.parentElement.querySelector("[data-copy]").dataset.copy = text;
  }
  return said.body;
}

function wait(on) {
  find("call").hidden = on;
  find("stop").hidden = !on;
  find("answer").toggleAttribute("aria-busy", on);
}

async function call() {
  clear();
  find("words").textContent = "";
  running = new AbortController();
  const { signal } = running;
  wait(true);
  try {
    const sent = await body(signal);
    if (sent === null) return;
    find("words").textContent = "waits for the model …";
    find("download").hidden = true;
    const answer = await send(form.dataset.invoke, sent, form.dataset.type, { subject: form.dataset.subject, signal });
    find("words").textContent = answer.words;
    if (answer.refused) return note(find("answer"), "is-bad", answer.refused);
    await draw(find("answer"), answer, { url: form.dataset.answer, most: Number(form.dataset.most), name: form.dataset.name, link: find("download") });
  } catch (error) {
    find("words").textContent = "";
    note(find("answer"), "is-bad", error.name === "AbortError" ? "You stopped waiting. The model may still work on it." : "The portal does not answer. What you entered is still here.");
  } finally {
    wait(false);
    running = null;
  }
}

if (form) {
  form.addEventListener("submit", (event) => {
    if (event.submitter?.name === "background") return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!running) call();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit(find("call"));
    }
  });
  form.addEventListener("click", (event) => {
    if (event.target.closest("[data-try-stop]")) running?.abort();
  });
  form.addEventListener("change", (event) => {
    const file = event.target.closest("[data-preview]")?.files?.[0];
    const box = event.target.parentElement;
    box.querySelector(".input-preview")?.remove();
    if (!event.target.matches("[data-preview]") || !file?.type.startsWith("image/")) return;
    const picture = document.createElement("img");
    picture.className = "input-preview";
    picture.alt = `The chosen picture ${file.name}`;
    picture.src = URL.createObjectURL(file);
    picture.addEventListener("load", () => URL.revokeObjectURL(picture.src));
    box.append(picture);
  });
}
