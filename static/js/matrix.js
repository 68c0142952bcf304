// The matrix of a sweep follows its runs in place: states as the socket tells them, values of the chosen quantity fetched
// for many at once, all of it written once per frame. In the page: <section data-matrix="…/cells/" data-of="gap"> with
// <a data-run="7" data-value="1.25"> for each run (sweep_run in calculations/templatetags/results.py).

import { fetchText } from "./requests.js";

const HEATS = 8;
const EVERY_MS = 1000;
const OPEN = new Set(["waiting", "queued", "assigned", "running"]);
const box = () => document.querySelector("[data-matrix]");
const told = new Map(); // number -> state, since the last frame
const wanted = new Set(); // numbers whose value is to be fetched
let frame = 0;
let timer = 0;

document.addEventListener("live:event", (message) => {
  const { event } = message.detail;
  const here = box();
  if (!here?.querySelector("[data-run]") || event.type !== "run.changed" || String(event.calculation) !== here.dataset.calculation) return;
  told.set(event.index + 1, event.state);
  frame ||= requestAnimationFrame(write);
});

document.addEventListener("live:reconnected", () => ask(true));

function write() {
  frame = 0;
  const here = box();
  if (!here) return;
  for (const [number, state] of told) {
    for (const run of here.querySelectorAll(`[data-run="${number}"]`)) show(here, run, state);
    if (!OPEN.has(state)) wanted.add(number);
  }
  told.clear();
  if (wanted.size) timer ||= setTimeout(() => ask(false), EVERY_MS);
}

const stateOf = (run) => [...run.classList].find((name) => name.startsWith("is-"))?.slice(3);

function show(here, run, state, words = state.replace("_", " ")) {
  const before = stateOf(run);
  if (before === state) return;
  for (const part of [run, run.querySelector(".cell")]) part?.classList.replace(`is-${before}`, `is-${state}`);
  if (state !== "valid") forget(run);
  run.querySelector(".run-words").textContent = words;
  name(run, words);
  count(here, before, -1);
  count(here, state, 1);
}

function name(run, words) {
  run.title = `Run ${run.dataset.run}, ${run.dataset.where}: ${words}`;
  run.setAttribute("aria-label", run.title);
}

function forget(run) {
  delete run.dataset.value;
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

async function ask(all) {
  timer = 0;
  const here = box();
  if (!here || document.hidden) return;
  const numbers = all ? [] : [...wanted].slice(0, 500);
  numbers.forEach((number) => wanted.delete(number));
  const query = new URLSearchParams({ of: here.dataset.of });
  if (!all) query.set("runs", numbers.join(","));
  try {
    const found = JSON.parse(await fetchText(`${here.dataset.matrix}?${query}`)).cells;
    requestAnimationFrame(() => fill(here, found));
  } catch {
    numbers.forEach((number) => wanted.add(number)); // asked once more with the next event
  }
  if (wanted.size) timer ||= setTimeout(() => ask(false), EVERY_MS);
}

function fill(here, cells) {
  for (const cell of cells) {
    for (const run of here.querySelectorAll(`[data-run="${cell.number}"]`)) {
      show(here, run, cell.state, cell.state_words.toLowerCase());
      if (cell.value === null) {
        forget(run);
        if (cell.why) name(run, `${cell.state_words.toLowerCase()}: ${cell.why}`);
        continue;
      }
      run.dataset.value = String(cell.value);
      run.querySelector(".run-words").textContent = cell.words;
      name(run, `${cell.state_words.toLowerCase()}: ${cell.words}`);
    }
  }
  shade(here);
}

// The same steps as calculations/matrix.py.
function shade(here) {
  const runs = [...here.querySelectorAll("[data-run]")];
  const values = runs.filter((run) => run.dataset.value !== undefined).map((run) => Number(run.dataset.value));
  const low = Math.min(...values);
  const high = Math.max(...values);
  const flat = high - low <= 1e-12 * Math.max(Math.abs(low), Math.abs(high), 1);
  for (const run of runs) {
    const value = Number(run.dataset.value);
    const heat = run.dataset.value === undefined ? 0 : flat ? 1 : 1 + Math.min(HEATS - 1, Math.floor(((value - low) / (high - low)) * HEATS));
    const before = [...run.classList].find((one) => one.startsWith("heat-"));
    if (before !== `heat-${heat}`) run.classList.replace(before, `heat-${heat}`);
  }
  const ends = { low: runs.find((run) => Number(run.dataset.value) === low), high: runs.find((run) => Number(run.dataset.value) === high) };
  for (const [end, run] of Object.entries(ends)) {
    const place = here.querySelector(`[data-${end}]`);
    if (place && run) place.textContent = run.querySelector(".run-words").textContent;
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
