// Sends a structure or a result to a model in one click: in a region [data-sending="structure:12"] the buttons
// [data-send] (the call's address) with data-send-input (where its body is made). The answer is kept with it, and the
// list of answers in it ([data-live-url]) fetched anew until it is there.

import { ask, call } from "./calls.js";
import { refresh } from "./regions.js";

const LOOK_AGAIN_MS = [1300, 2500, 5000];

async function send(button, region) {
  const words = region.querySelector("[data-send-words]");
  const say = (text, isBad = false) => {
    words.textContent = text;
    words.classList.toggle("bad", isBad);
  };
  const subject = region.dataset.sending;
  button.setAttribute("aria-disabled", "true");
  say("");
  try {
    const made = await ask(`${button.dataset.sendInput}?subject=${encodeURIComponent(subject)}`, {});
    const input = await made.json();
    if (!made.ok) return say(input.detail ?? "The portal refused this.", true);
    const answer = await call(button.dataset.send, input.body, input.content_type, { subject });
    if (answer.refused) return say(answer.refused, true);
    say(`Answered ${answer.words}.`);
    const list = region.querySelector("[data-live-url]");
    const known = newest(list);
    for (const after of LOOK_AGAIN_MS) {
      await new Promise((done) => setTimeout(done, after));
      await refresh(list);
      if (newest(list) !== known) return;
    }
  } catch {
    say("The portal does not answer.", true);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

const newest = (list) => list.querySelector("[data-key-of]")?.dataset.keyOf;

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-send]");
  if (!button || button.getAttribute("aria-disabled")) return;
  send(button, button.closest("[data-sending]"));
});
