// Requests that carry the page's CSRF token: our own, and those of htmx where a page loads it.

import { toast } from "./toasts.js";

export function token() {
  return document.querySelector('meta[name="csrf-token"]')?.content ?? "";
}

// Whether what was thrown passes by itself, and when it is tried again: no answer came, or one that the portal could not give.
export const AGAIN_MS = 5000;
export const passes = ({ status }) => !status || status >= 500;

// Throws an Error with the answer's `status`, and without one where no answer came.
export async function fetchText(url, options = {}) {
  const response = await fetch(url, {
    credentials: "same-origin",
    ...options,
    headers: { "X-CSRFToken": token(), "X-Requested-With": "fetch", ...options.headers },
  });
  if (response.redirected && new URL(response.url).pathname.startsWith("/sign-in")) location.reload();
  if (!response.ok) throw Object.assign(new Error(`${response.status} from ${url}`), { status: response.status });
  return response.text();
}

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRFToken"] = token();
});

document.addEventListener("htmx:sendError", () => toast("The portal does not answer. What you entered is still here.", "error"));
document.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  toast(status === 403 ? "Your role does not allow this, or you were signed out." : `The portal refused this (${status}).`, "error");
});
