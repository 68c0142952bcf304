// The tab "Try it" of a model: makes the body of the call out of the form, sends it to the model and has the answer
// drawn. The form without this calls in the background. In the page: form[data-try] with data-document (where the
// filled form becomes a body; empty: the text or the file is the body), data-invoke, data-answer, data-type.

import { token } from "./requests.js";

const form = document.querySelector("form[data-try]");
const find = (name) => document.querySelector(`[data-try-${name}]`);
const bytes = (count) => (count < 1000 ? `${count} B` : count < 1e6 ? `${(count / 1000).toPrecision(3)} kB` : `${(count / 1e6).toPrecision(3)} MB`);
let running = null;
let made = null;

function ask(url, options) {
  return fetch(url, { credentials: "same-origin", ...options, headers: { "X-CSRFToken": token(), "X-Requested-With": "fetch", ...options.headers } });
}

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

async function refusal(response) {
  const text = await response.text();
  let said = {};
  try {
    said = JSON.parse(text);
  } catch {
    said = { detail: text.slice(0, 500) };
  }
  const later = response.headers.get("Retry-After");
  const words = said.detail || said.title || "The model gave no reason.";
  note("is-bad", `${words}${later ? ` Try again in ${later} s.` : ""}${response.status === 504 ? " Calls that take longer go in the background." : ""}`);
}

function note(kind, words) {
  const line = document.createElement("p");
  line.className = `note ${kind}`;
  line.textContent = words;
  find("answer").replaceChildren(line);
}

async function draw(blob, type) {
  if (made) URL.revokeObjectURL(made);
  made = URL.createObjectURL(blob);
  const link = find("download");
  link.href = made;
  link.download = `${form.dataset.name}-answer.${{ "application/json": "json", "text/csv": "csv", "image/png": "png", "image/jpeg": "jpg", "application/x-npy": "npy" }[type] ?? "bin"}`;
  link.hidden = false;
  if (blob.size > Number(form.dataset.most)) return note("", "The answer is too large to be drawn; download it.");
  const url = `${form.dataset.answer}&type=${encodeURIComponent(type)}`;
  const response = await ask(url, { method: "POST", body: blob, headers: { "Content-Type": "application/octet-stream" } });
  if (!response.ok) return note("is-bad", "The answer came, but could not be drawn; download it.");
  const box = find("answer");
  box.innerHTML = await response.text();
  box.dispatchEvent(new CustomEvent("live:swapped", { bubbles: true }));
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
    const began = performance.now();
    const headers = { "Content-Type": form.dataset.type };
    if (form.dataset.subject) headers["X-Labportal-Subject"] = form.dataset.subject;
    const response = await ask(form.dataset.invoke, { method: "POST", body: sent, headers, signal });
    if (!response.ok) {
      find("words").textContent = `refused, ${response.status}`;
      return await refusal(response);
    }
    const blob = await response.blob();
    const took = performance.now() - began;
    const type = (response.headers.get("Content-Type") ?? "").split(";")[0];
    find("words").textContent = `after ${took < 1000 ? `${took.toPrecision(3)} ms` : `${(took / 1000).toPrecision(3)} s`}, ${bytes(blob.size)}${type ? ` of ${type}` : ""}`;
    await draw(blob, type);
  } catch (error) {
    find("words").textContent = "";
    note("is-bad", error.name === "AbortError" ? "You stopped waiting. The model may still work on it." : "The portal does not answer. What you entered is still here.");
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
