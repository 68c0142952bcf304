// The live log (components/_log.html): follows the end, keeps counting while paused, searches, wraps, jumps to the
// first error, and fetches what it missed until the page hears (again) by the id of its last line.

import { AGAIN_MS, fetchText, passes } from "./requests.js";

const MOST_LINES = 5000;
const NEAR_END_PX = 24;
const OVERLAP = 200;
const MOST_ROUNDS = 20;

class Log {
  constructor(root) {
    this.root = root;
    this.lines = root.querySelector("[data-log-lines]");
    this.match = JSON.parse(root.dataset.logMatch ?? "{}");
    if (root.dataset.logRun) this.match.run = root.dataset.logRun;
    this.levels = root.dataset.logLevels?.split(" ") ?? null;
    this.words = root.dataset.logText?.toLowerCase() ?? "";
    this.seen = new Set([...this.lines.querySelectorAll("[data-id]")].map((line) => line.dataset.id));
    this.following = Boolean(root.dataset.topic);
    this.missed = 0;
    this.bind();
    this.toEnd();
  }

  part(name) {
    return this.root.querySelector(`[data-log-${name}]`);
  }

  bind() {
    this.part("follow")?.addEventListener("click", () => this.follow(!this.following));
    this.part("wrap")?.addEventListener("click", (event) => {
      const on = this.lines.classList.toggle("is-wrapped");
      event.currentTarget.setAttribute("aria-pressed", String(on));
    });
    this.part("error")?.addEventListener("click", () => this.toFirstError());
    this.part("search")?.addEventListener("input", () => this.search());
    this.part("older")?.addEventListener("click", (event) => this.fetchOlder(event));
    this.lines.addEventListener("scroll", () => {
      const atEnd = this.lines.scrollHeight - this.lines.scrollTop - this.lines.clientHeight < NEAR_END_PX;
      if (atEnd !== this.following && !this.quiet) this.follow(atEnd, false);
    });
  }

  follow(on, move = true) {
    this.following = on;
    if (on) this.missed = 0;
    if (on && move) this.toEnd();
    this.say();
  }

  say() {
    const button = this.part("follow");
    if (!button) return;
    button.setAttribute("aria-pressed", String(this.following));
    button.textContent = this.following ? "following" : this.missed ? `paused, ${this.missed} new` : "paused";
  }

  toEnd() {
    this.quiet = true;
    this.lines.scrollTop = this.lines.scrollHeight;
    requestAnimationFrame(() => { this.quiet = false; });
  }

  toFirstError() {
    const line = this.lines.querySelector(".log-line.is-error:not(.is-out), .log-line.is-critical:not(.is-out)");
    if (!line) return void (this.part("found").textContent = "no error here");
    this.follow(false);
    line.scrollIntoView({ block: "center" });
    line.classList.add("is-found");
    setTimeout(() => line.classList.remove("is-found"), 2500);
  }

  search() {
    const words = this.part("search").value.toLowerCase();
    let found = 0;
    for (const line of this.lines.querySelectorAll(".log-line")) {
      const hit = !words || line.textContent.toLowerCase().includes(words);
      line.classList.toggle("is-out", !hit);
      if (words && hit) found += 1;
    }
    this.part("found").textContent = words ? `${found} of ${this.lines.childElementCount} lines` : "";
    if (this.following) this.toEnd();
  }

  wanted(line) {
    if (this.levels && !this.levels.includes(String(line.level).toUpperCase())) return false;
    if (this.words && !String(line.text).toLowerCase().includes(this.words)) return false;
    return Object.entries(this.match).every(([name, value]) => String(line[name]) === String(value));
  }

  take(lines) {
    const fresh = lines.filter((line) => this.wanted(line) && !this.seen.has(String(line.id)));
    if (!fresh.length) return;
    const words = this.part("search")?.value.toLowerCase() ?? "";
    this.root.querySelector("[data-log-empty]")?.remove();
    for (const line of fresh) this.place(this.draw(line, words));
    while (this.lines.childElementCount > MOST_LINES) {
      this.seen.delete(this.lines.firstElementChild.dataset.id);
      this.lines.firstElementChild.remove();
    }
    if (this.following) this.toEnd();
    else this.missed += fresh.length;
    this.say();
  }

  // Lines stand in the order of their ids; one that was stored late goes where it belongs.
  place(row) {
    let before = this.lines.lastElementChild;
    while (Number(before?.dataset.id) > Number(row.dataset.id)) before = before.previousElementSibling;
    if (before) before.after(row);
    else this.lines.prepend(row);
  }

  draw(line, words) {
    this.seen.add(String(line.id));
    const url = line.url ?? this.root.dataset.logOpen?.replace("0", line.id);
    const level = String(line.level ?? "info").toLowerCase();
    const row = document.createElement(url ? "a" : "div");
    row.className = `log-line is-${level}`;
    row.dataset.id = line.id;
    if (url) row.href = url;
    const at = document.createElement("time");
    const moment = new Date(line.at);
    const zone = { timeZone: document.body.dataset.timeZone || undefined };
    const day = "logDates" in this.root.dataset ? `${moment.toLocaleDateString("en-GB", { day: "2-digit", month: "short", ...zone })} ` : "";
    at.dateTime = line.at;
    at.title = moment.toLocaleString("en-GB", zone);
    at.textContent = day + moment.toLocaleTimeString("en-GB", zone);
    const text = document.createElement("span");
    text.className = "log-text";
    const source = line.source ?? (this.root.dataset.logShow ?? "").split(" ").map((name) => line[name]).filter(Boolean).join(" ");
    if (source) {
      const label = document.createElement("span");
      label.className = "log-source";
      label.textContent = source;
      text.append(label);
    }
    if (level === "warning" || level === "error") {
      const mark = document.createElement("span");
      mark.className = "log-level";
      mark.textContent = level;
      text.append(mark);
    }
    text.append(line.text);
    row.append(at, text);
    row.classList.toggle("is-out", Boolean(words) && !row.textContent.toLowerCase().includes(words));
    return row;
  }

  async fetchMissed() {
    if (!this.root.dataset.logUrl) return;
    const url = new URL(this.root.dataset.logUrl, location.href);
    // A line with a lower id may have been stored later than the last one here, hence the overlap.
    let last = Math.max(0, Number([...this.lines.querySelectorAll("[data-id]")].at(-1)?.dataset.id ?? 0) - OVERLAP);
    try {
      for (let round = 0; round < MOST_ROUNDS; round += 1) {
        url.searchParams.set("after", last);
        const found = JSON.parse(await fetchText(url));
        this.take(found.lines ?? []);
        if (!found.more || !found.lines.length) return;
        last = found.lines.at(-1).id;
      }
    } catch (error) {
      if (!passes(error)) return;
      clearTimeout(this.again);
      this.again = setTimeout(() => this.fetchMissed(), AGAIN_MS);
    }
  }

  async fetchOlder(event) {
    event.preventDefault();
    const link = this.part("older");
    const url = new URL(this.root.dataset.logUrl, location.href);
    url.searchParams.set("before", this.lines.querySelector("[data-id]")?.dataset.id ?? 0);
    let found;
    try {
      found = JSON.parse(await fetchText(url));
    } catch {
      return location.assign(link.href);
    }
    this.follow(false);
    const height = this.lines.scrollHeight;
    const words = this.part("search")?.value.toLowerCase() ?? "";
    link.after(...found.lines.filter((line) => !this.seen.has(String(line.id))).map((line) => this.draw(line, words)));
    this.lines.scrollTop += this.lines.scrollHeight - height;
    if (!found.older) link.remove();
  }
}

const logs = new Map();
const bindAll = () => {
  for (const root of document.querySelectorAll("[data-log]")) if (!logs.has(root)) logs.set(root, new Log(root));
};
bindAll();
document.addEventListener("live:swapped", bindAll);
document.addEventListener("live:event", ({ detail }) => {
  if (detail.event.type !== "log.lines") return;
  for (const [root, log] of logs) {
    if (!(root.dataset.topic ?? "").split(" ").includes(detail.topic)) continue;
    if (detail.event.more) log.fetchMissed();
    else log.take(detail.event.lines ?? []);
  }
});
document.addEventListener("live:connected", () => logs.forEach((log) => log.fetchMissed()));
