// The matrix of a sweep follows its runs in place: states as the socket tells them, values of the chosen quantity fetched
// for many at once, all of it written once per frame. In the page: <section data-matrix="…/cells/" data-of="gap"> with
// <a data-run="7" data-value="1.25"> for each run (sweep_run in calculations/templatetags/results.py).

import { AGAIN_MS, fetchText, passes } from "./requests.js";

const HEATS = 8;
const EVERY_MS = 1000;
const AT_ONCE = 150; // so many runs are written within one frame
const OPEN = new Set(["waiting", "queued", "assigned", "running"]);
const box = () => document.querySelector("[data-matrix]");
const told = new Map(); // number -> what is to be written: {state}, or a cell as the portal answered it
const wanted = new Set(); // numbers whose value is to be fetched
const heard = new Set(); // numbers told of since the last question: its answer may be older
let all = false; // whether every run is to be fetched
let known = { box: null, runs: new Map() };
let frame = 0;
let timer = 0;
let asking = false; // one question at a time: an older answer never comes after a newer one
let unshaded = false;

// The squares by number; what the region swapped in is looked up anew.
function runsOf(here) {
  if (known.box !== here) known = { box: here, runs: new Map([...here.querySelectorAll("[data-run]")].map((run) => [Number(run.dataset.run), run])) };
  return known.runs;
}

// What was swapped in may be older than what was heard meanwhile.
document.addEventListener("live:swapped", () => {
  known.box = null;
  catchUp();
});

document.addEventListener("live:event", (message) => {
  const { event } = message.detail;
  const here = box();
  if (!here || String(event.calculation ?? event.id) !== here.dataset.calculation) return;
  if (event.type === "calculation.changed") return fetchSoon(true); // it may have ended: nothing is left behind
  if (event.type !== "run.changed") return;
  told.set(event.index + 1, { state: event.state });
  heard.add(event.index + 1);
  frame ||= requestAnimationFrame(write);
});

// What changed while nobody listened: before the socket was open, or while it was lost.
document.addEventListener("live:connected", catchUp);

function catchUp() {
  if (box()?.querySelector("[data-run]:not([data-value]):is(.is-waiting, .is-queued, .is-assigned, .is-running, .is-valid)")) fetchSoon(true);
}

function write() {
  frame = 0;
  const here = box();
  if (!here) return told.clear();
  const runs = runsOf(here);
  const counts = new Map();
  let left = AT_ONCE;
  for (const [number, cell] of told) {
    if (!left--) break;
    told.delete(number);
    const run = runs.get(number);
    if (run) show(run, cell, counts);
    if (cell.value === undefined && !OPEN.has(cell.state)) wanted.add(number);
  }
  for (const [state, by] of counts) count(here, state, by);
  if (told.size) frame = requestAnimationFrame(write);
  else if (unshaded) shade(runs, here);
  if (wanted.size) fetchSoon(false);
}

const stateOf = (run) => [...run.classList].find((name) => name.startsWith("is-"))?.slice(3);

function show(run, cell, counts) {
  const before = stateOf(run);
  const { state } = cell;
  const words = (cell.state_words ?? state.replace("_", " ")).toLowerCase();
  if (before !== state) {
    for (const part of [run, run.querySelector(".cell")]) part?.classList.replace(`is-${before}`, `is-${state}`);
    counts.set(before, (counts.get(before) ?? 0) - 1);
    counts.set(state, (counts.get(state) ?? 0) + 1);
  } else if (cell.value === undefined) return;
  const value = cell.value ?? null;
  if (value === null) delete run.dataset.value;
  else run.dataset.value = String(value);
  unshaded = true;
  const said = cell.words || words;
  const place = run.querySelector(".run-words");
  if (place.textContent !== said) place.textContent = said;
  name(run, [words, cell.words || cell.why].filter(Boolean).join(": "));
}

function name(run, words) {
  const title = `Run ${run.dataset.run}, ${run.dataset.where}: ${words}`;
  if (run.title === title) return;
  run.title = title;
  run.setAttribute("aria-label", title);
}

function count(here, state, by) {
  let item = here.querySelector(`[data-count="${state}"]`);
  if (!item) {
    item = document.createElement("li");
    item.dataset.count = state;
    const mark = document.createElement("span");
    mark.className = `cell is-${state}`;
    const number = document.createElement("span");
    number.dataset.number = "";
    number.textContent = "0";
    item.append(mark, number, ` ${state.replace("_", " ")}`);
    here.querySelector("[data-counts]").append(item);
  }
  const number = item.querySelector("[data-number]");
  number.textContent = String(Math.max(0, Number(number.textContent) + by));
  item.hidden = number.textContent === "0";
}

function fetchSoon(every, after = EVERY_MS) {
  all ||= every;
  timer ||= setTimeout(ask, after);
}

async function ask() {
  timer = 0;
  const here = box();
  if (!here?.querySelector("[data-run]") || document.hidden) return;
  if (asking) return fetchSoon(false);
  asking = true;
  const every = all;
  const numbers = every ? [] : [...wanted].slice(0, 500);
  if (every) wanted.clear();
  all = false;
  heard.clear();
  numbers.forEach((number) => wanted.delete(number));
  const query = new URLSearchParams({ of: here.dataset.of });
  if (!every) query.set("runs", numbers.join(","));
  let after = EVERY_MS;
  try {
    for (const cell of JSON.parse(await fetchText(`${here.dataset.matrix}?${query}`)).cells) if (!heard.has(cell.number)) told.set(cell.number, cell);
    frame ||= requestAnimationFrame(write);
  } catch (error) {
    if (passes(error)) {
      all ||= every;
      numbers.forEach((number) => wanted.add(number));
      after = AGAIN_MS;
    }
  }
  asking = false;
  if (all || wanted.size) fetchSoon(false, after);
}

// The same steps as calculations/matrix.py.
function shade(runs, here) {
  unshaded = false;
  const found = [...runs.values()].filter((run) => run.dataset.value !== undefined).map((run) => ({ run, value: Number(run.dataset.value) }));
  const low = Math.min(...found.map((one) => one.value));
  const high = Math.max(...found.map((one) => one.value));
  const flat = high - low <= 1e-12 * Math.max(Math.abs(low), Math.abs(high), 1);
  const heats = new Map(found.map(({ run, value }) => [run, flat ? 1 : 1 + Math.min(HEATS - 1, Math.floor(((value - low) / (high - low)) * HEATS))]));
  for (const run of runs.values()) {
    const heat = `heat-${heats.get(run) ?? 0}`;
    const before = [...run.classList].find((one) => one.startsWith("heat-"));
    if (before !== heat) run.classList.replace(before, heat);
  }
  const ends = { low: found.find((one) => one.value === low), high: found.find((one) => one.value === high) };
  for (const [end, one] of Object.entries(ends)) {
    const place = here.querySelector(`[data-${end}]`);
    if (place && one) place.textContent = one.run.querySelector(".run-words").textContent;
  }
}

// Arrows move between the runs of the matrix.
document.addEventListener("keydown", (event) => {
  const run = event.target.closest?.("[data-run]");
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: "up", ArrowDown: "down" }[event.key];
  if (!run || step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
  const next = typeof step === "number" ? beside(run, step) : above(run, step === "up" ? -1 : 1);
  if (!next) return;
  event.preventDefault();
  next.focus();
});

function beside(run, step) {
  const all = [...box().querySelectorAll("[data-run]")];
  return all[all.indexOf(run) + step];
}

function above(run, step) {
  const cell = run.closest("td");
  if (!cell) return beside(run, step);
  const rows = [...cell.closest("tbody").rows];
  return rows[rows.indexOf(cell.parentElement) + step]?.cells[cell.cellIndex]?.querySelector("[data-run]");
}
