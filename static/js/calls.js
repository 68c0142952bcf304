// A call of a model from a page, and its answer drawn. Used by try.js (the form of a model) and send.js (a structure
// or a result that is sent to one).

import { token } from "./requests.js";

const ENDINGS = { "application/json": "json", "text/csv": "csv", "image/png": "png", "image/jpeg": "jpg", "application/x-npy": "npy" };
const bytes = (count) => (count < 1000 ? `${count} B` : count < 1e6 ? `${(count / 1000).toPrecision(3)} kB` : `${(count / 1e6).toPrecision(3)} MB`);
const time = (ms) => (ms < 1000 ? `${ms.toPrecision(3)} ms` : `${(ms / 1000).toPrecision(3)} s`);

export function ask(url, options) {
  return fetch(url, { credentials: "same-origin", ...options, headers: { "X-CSRFToken": token(), "X-Requested-With": "fetch", ...options.headers } });
}

export function note(box, kind, words) {
  const line = document.createElement("p");
  line.className = `note ${kind}`;
  line.textContent = words;
  box.replaceChildren(line);
}

async function reason(response) {
  const text = await response.text();
  let said = {};
  try {
    said = JSON.parse(text);
  } catch {
    said = { detail: text.slice(0, 500) };
  }
  const words = said.detail || said.title || "The model gave no reason.";
  const later = response.headers.get("Retry-After");
  return `${words}${later && response.status === 429 ? ` Try again in ${later} s.` : ""}`;
}

// Returns {words, blob, type} of a good answer, {words, refused} of another one.
export async function call(url, body, type, { subject, signal } = {}) {
  const began = performance.now();
  const headers = { "Content-Type": type, ...(subject ? { "X-Labportal-Subject": subject } : {}) };
  const response = await ask(url, { method: "POST", body, headers, signal });
  if (!response.ok) return { words: `refused, ${response.status}`, refused: await reason(response), status: response.status };
  const blob = await response.blob();
  const kind = (response.headers.get("Content-Type") ?? "").split(";")[0];
  return { words: `after ${time(performance.now() - began)}, ${bytes(blob.size)}${kind ? ` of ${kind}` : ""}`, blob, type: kind };
}

// The portal draws it; what is larger than `most` is only offered as a file.
export async function draw(box, { blob, type }, { url, most, name, link }) {
  if (link) {
    if (link.href) URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(blob);
    link.download = `${name}-answer.${ENDINGS[type] ?? "bin"}`;
    link.hidden = false;
  }
  if (blob.size > most) return note(box, "", "The answer is too large to be drawn; download it.");
  const response = await ask(`${url}${url.includes("?") ? "&" : "?"}type=${encodeURIComponent(type)}`, { method: "POST", body: blob, headers: { "Content-Type": "application/octet-stream" } });
  if (!response.ok) return note(box, "is-bad", "The answer came, but could not be drawn; download it.");
  box.innerHTML = await response.text();
  box.dispatchEvent(new CustomEvent("live:swapped", { bubbles: true }));
}
