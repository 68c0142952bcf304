// The one socket of a page. It subscribes to what [data-topic] names, tells the page what comes ("live:event" on
// document, detail {topic, event}), says how fresh the page is, and has regions fetched anew (regions.js).

import { refreshAll, refreshMoving, refreshTopic } from "./regions.js";
import { toast } from "./toasts.js";

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 20000;
const STALE_AFTER_MS = 10000;

const mark = document.querySelector("[data-live-mark]");
let socket = null;
let retry = FIRST_RETRY_MS;
let lostAt = 0;
let everHeard = false;
let greeted = false;
let refused = false;

function topics() {
  const found = [...document.querySelectorAll("[data-topic]")].flatMap((element) => element.dataset.topic.split(/\s+/));
  return [...new Set(found.filter(Boolean))];
}

function show(state, words) {
  if (!mark) return;
  mark.hidden = false;
  if (mark.dataset.state === state && mark.textContent === words) return;
  mark.dataset.state = state;
  mark.textContent = words;
  mark.title = state === "live" ? "Changes appear here by themselves." : "Changes will be fetched once the portal is heard again.";
}

function connect() {
  const wanted = topics();
  if (!wanted.length || refused) return;
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/live/`);
  socket.addEventListener("open", () => {
    greeted = false;
    socket.send(JSON.stringify({ subscribe: wanted }));
  });
  socket.addEventListener("message", (message) => receive(JSON.parse(message.data)));
  socket.addEventListener("close", (event) => {
    lostAt ||= Date.now();
    if (event.code === 4401) {
      refused = true;
      return show("stale", "signed out");
    }
    stale();
    setTimeout(connect, retry * (0.75 + Math.random() / 2));
    retry = Math.min(retry * 2, LAST_RETRY_MS);
  });
}

function stale() {
  if (!lostAt || refused) return;
  if (Date.now() - lostAt < STALE_AFTER_MS) return show("reconnecting", "reconnecting");
  const at = new Date(lostAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  show("stale", `stale since ${at}`);
}

// From here on the portal tells everything; what it told before, nobody heard.
function greet() {
  greeted = true;
  lostAt = 0;
  retry = FIRST_RETRY_MS;
  show("live", "live");
  if (everHeard) {
    refreshAll();
    document.dispatchEvent(new CustomEvent("live:reconnected"));
  } else refreshMoving();
  everHeard = true;
  document.dispatchEvent(new CustomEvent("live:connected"));
}

function receive(message) {
  if (message.subscribed && !greeted) greet();
  for (const event of message.events ?? []) {
    document.dispatchEvent(new CustomEvent("live:event", { detail: { topic: message.topic, event } }));
    if (event.type === "notification") announce(event);
  }
  for (const type of new Set(message.events?.map((event) => event.type))) refreshTopic(message.topic, type);
}

function announce(event) {
  const count = document.querySelector("[data-bell-count]");
  if (count) {
    const unread = event.unread ?? Number(count.textContent || 0) + 1;
    count.textContent = String(unread);
    count.hidden = !unread;
    const bell = count.closest("[data-bell]");
    bell.setAttribute("aria-label", unread ? `${bell.title}, ${unread} unread` : bell.title);
  }
  if (event.subject) toast(event.subject, event.level === "error" ? "error" : "info", event.url ?? "");
}

// A region that was swapped in may name new topics.
document.addEventListener("live:swapped", () => {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ subscribe: topics() }));
});

setInterval(stale, 2000);
connect();
