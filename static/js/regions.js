// Regions that are fetched anew when their topic speaks:
//   <section data-live-url="/path/" data-topic="project:3" data-live-on="run.changed calculation.changed" data-live-seldom="run.changed">
// What came is morphed in place: focus, scroll, open folds and typed text stay, what changed is lit shortly.
// What data-live-seldom names has it fetched every ten seconds at most. Within it, [data-live-same="…"] is left alone
// while the attribute is the same: it follows by itself (matrix.js). Nothing moves under the pointer: while it rests on a list, rows are only changed, and moved once it leaves.

import { Idiomorph } from "../vendor/idiomorph/idiomorph.esm.js";
import { AGAIN_MS, fetchText, passes } from "./requests.js";

const AT_MOST_EVERY_MS = 1000;
const SELDOM_MS = 10000;
const QUIET = new Set(["log.lines", "metrics", "notification", "run.progress", "analyses.progress"]); // only where data-live-on names them
const pending = new WeakMap();

export function refreshTopic(topic, type) {
  for (const region of document.querySelectorAll("[data-live-url]")) {
    const listens = (region.dataset.topic ?? "").split(/\s+/);
    const types = region.dataset.liveOn?.split(/\s+/);
    const seldom = region.dataset.liveSeldom?.split(/\s+/).includes(type);
    if (listens.includes(topic) && (types ? types.includes(type) : !QUIET.has(type))) refreshSoon(region, seldom ? SELDOM_MS : AT_MOST_EVERY_MS);
  }
}

// What moved while the page was on its way was told to nobody: [data-live-moving] is fetched once the page hears.
export function refreshMoving() {
  document.querySelectorAll("[data-live-url][data-live-moving]").forEach((region) => refreshSoon(region));
}

export function refreshAll() {
  document.querySelectorAll("[data-live-url]").forEach((region) => refreshSoon(region));
}

function refreshSoon(region, every = AT_MOST_EVERY_MS) {
  const state = pending.get(region) ?? { last: 0, timer: 0, at: 0, heard: 0 };
  pending.set(region, state);
  state.heard = performance.now();
  const at = Math.max(Date.now() + 60, state.last + every);
  if (state.timer && state.at <= at) return;
  clearTimeout(state.timer);
  state.at = at;
  state.timer = setTimeout(() => {
    state.timer = 0;
    state.last = Date.now();
    refresh(region, state.heard);
  }, at - Date.now());
}

// Regions of one page often share an address: it is asked once for all of them, and never twice at a time. What was
// heard after a question may be missing from its answer: then it is asked once more, as soon as the answer is there.
const asked = new Map(); // address -> { at, text }

async function fetchSince(heard, url) {
  let question = asked.get(url);
  while (question && question.at < heard) {
    await question.text.catch(() => {});
    question = asked.get(url);
  }
  return (question ?? askFor(url)).text;
}

function askFor(url) {
  const text = fetchText(url, { headers: { "X-Live": "1" } }).finally(() => asked.delete(url));
  const question = { at: performance.now(), text };
  asked.set(url, question);
  return question;
}

// `heard` is when the last change was told that the answer is to show.
export async function refresh(region, heard = performance.now()) {
  if (!region.isConnected) return;
  if (document.hidden) return void document.addEventListener("visibilitychange", () => refresh(region, heard), { once: true });
  let text;
  try {
    text = await fetchSince(heard, region.dataset.liveUrl || location.href);
  } catch (error) {
    if (passes(error)) refreshSoon(region, AGAIN_MS);
    return;
  }
  if (busy(region)) return void setTimeout(() => refresh(region), 1500);
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const wanted = (region.id && fresh.getElementById(region.id)) || fresh.querySelector("[data-live-url]") || fresh.body.firstElementChild;
  if (wanted) swap(region, wanted);
}

function busy(region) {
  return region.querySelector("dialog[open], details[data-menu][open], :active") !== null; // what is pressed would slip away
}

const keysOf = (root) => [...root.querySelectorAll("[data-key-of]")].map((row) => row.dataset.keyOf).join(" ");

function swap(region, wanted) {
  if (region.matches(":hover") && keysOf(region) !== keysOf(wanted)) {
    for (const row of region.querySelectorAll("[data-key-of]")) {
      const fresh = wanted.querySelector(`[data-key-of="${CSS.escape(row.dataset.keyOf)}"]`);
      if (fresh) morph(row, fresh, "outerHTML");
    }
    region.addEventListener("pointerleave", () => refreshSoon(region), { once: true });
  } else {
    morph(region, wanted, "innerHTML");
  }
  region.dispatchEvent(new CustomEvent("live:swapped", { bubbles: true }));
}

function morph(old, fresh, morphStyle) {
  const lit = new Set();
  const light = (node) => {
    const row = (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement)?.closest("[data-key-of], [data-lights]");
    if (row) lit.add(row);
  };
  Idiomorph.morph(old, morphStyle === "innerHTML" ? [...fresh.childNodes] : fresh, {
    morphStyle,
    ignoreActiveValue: true,
    restoreFocus: true,
    callbacks: {
      beforeNodeMorphed: (before, after) => {
        if (before.nodeType === Node.TEXT_NODE) {
          if (before.data.trim() !== after.data?.trim()) light(before);
          return true;
        }
        if (before.matches?.("[data-live-keep]")) return false;
        if (before.dataset?.liveSame && before.dataset.liveSame === after.dataset?.liveSame) return false;
        return !(before.matches?.("time[data-ago]") && before.dateTime === after.dateTime);
      },
      beforeAttributeUpdated: (name, node) => {
        if (name === "open" || (name === "checked" && node.matches("input"))) return false;
        if (name === "value" && node.matches("input, textarea") && node.value !== node.defaultValue) return false; // typed
        if (name === "selected" && node.selected !== node.defaultSelected) return false;
        if (name === "class" && node.matches(".state, .cell")) light(node);
        return !(name === "class" && node.matches(".is-here"));
      },
      afterNodeAdded: light,
    },
  });
  for (const row of lit) {
    row.classList.remove("is-changed");
    void row.offsetWidth; // starts the animation again
    row.classList.add("is-changed");
  }
}

document.addEventListener("animationend", (event) => event.target.closest?.(".is-changed")?.classList.remove("is-changed"));
