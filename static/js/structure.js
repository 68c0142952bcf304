// Structures in 3D by 3Dmol (window.$3Dmol), for pages that load it: templates/molecules/_viewer.html.
//   <div class="viewer" data-structure="/molecules/7/geometry/"> … </div>
// The data are those of calculations/structures/geometry.py: {"symbols", "positions", "cell", "periodic", "colours",
// "radii"}; with "frames" (positions), "cells", "numbers" and "energies" the way of a relaxation is played.
// Without WebGL the picture stays, and the table of atoms says the same.

import { token } from "./theme.js";

const MOST_ATOMS = 20000; // of all repeated cells together
const MANY_ATOMS = 4000;
const MOST_LABELS = 400;
const FRAME_MS = 120;
const STEP_DEGREES = 8;
const SPIN_DEGREES_PER_MS = 0.03;
const FILLED = 0.86; // of the stage
const MOST_PIXELS = 85; // for an Å: small molecules need not fill it
const viewers = new Map();

const minus = (a, b) => a.map((x, i) => x - b[i]);
const plus = (a, b, times = 1) => a.map((x, i) => x + times * b[i]);
const length = (a) => Math.hypot(...a);
const point = ([x, y, z]) => ({ x, y, z });

function hasWebGL() {
  const canvas = document.createElement("canvas");
  return Boolean(window.WebGLRenderingContext && (canvas.getContext("webgl2") || canvas.getContext("webgl")));
}

class StructureViewer {
  constructor(box, data) {
    this.box = box;
    this.data = data;
    this.frame = data.frames ? data.frames.length - 1 : -1;
    this.cells = 1;
    this.style = data.symbols.length > MANY_ATOMS ? "sphere" : "ball"; // many sticks are slow
    this.on = { cell: Boolean(data.cell), labels: false, measure: false, spin: false };
    this.picked = [];
    this.timer = 0;
    this.stage = box.querySelector("[data-stage]");
    this.viewer = window.$3Dmol.createViewer(this.stage, { backgroundColor: token("surface"), antialias: true });
    this.viewer.setProjection("orthographic");
    this.begin();
  }

  begin() {
    this.draw();
    this.fit(true);
    this.box.classList.add("is-drawn");
    this.box.querySelector("[data-tools]").hidden = false;
    for (const part of this.box.querySelectorAll("[data-cell-only]")) part.hidden = !this.data.cell;
    this.bind();
    this.showFrame();
  }

  // Turn a little, so that corners do not hide one another, and fill the stage.
  fit(turned = false) {
    const { viewer } = this;
    viewer.zoomTo();
    if (turned) {
      viewer.rotate(-25, "y");
      viewer.rotate(this.data.cell ? 15 : 25, "x");
    }
    const points = this.outline();
    const middle = ["x", "y", "z"].map((axis) => {
      const values = points.map((p) => p[axis]);
      return (Math.min(...values) + Math.max(...values)) / 2;
    });
    viewer.setView([...middle.map((x) => -x), ...viewer.getView().slice(3)]);
    viewer.render();
    const { width, height } = this.stage.getBoundingClientRect();
    for (let pass = 0; pass < 3; pass += 1) {
      const seen = viewer.modelToScreen(points);
      const [wide, high] = ["x", "y"].map((axis) => Math.max(...seen.map((p) => p[axis])) - Math.min(...seen.map((p) => p[axis])));
      const [origin, ...units] = viewer.modelToScreen([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]].map(point));
      const scale = Math.hypot(...units.flatMap((p) => [p.x - origin.x, p.y - origin.y])) / Math.SQRT2; // pixels of an Å
      const factor = Math.min((FILLED * width) / wide, (FILLED * height) / high, MOST_PIXELS / scale);
      if (Number.isFinite(factor) && factor > 0) viewer.zoom(factor);
      viewer.render();
    }
    this.home = viewer.getView();
  }

  // The corners of a box around each ball of some atoms, and those of the cells.
  outline() {
    const every = Math.ceil(this.drawn.length / 500);
    const balls = this.drawn.filter((_, i) => i % every === 0).flatMap(({ symbol, place }) => {
      const r = this.data.radii[symbol] ?? 0.7;
      return [-r, r].map((step) => plus(place, [step, step, step]));
    });
    if (!this.cell || !this.on.cell) return balls.map(point);
    const [na, nb, nc] = this.repeats;
    const corners = [0, na].flatMap((i) => [0, nb].flatMap((j) => [0, nc].map((k) => plus(plus(this.cell[0].map((x) => x * i), this.cell[1], j), this.cell[2], k))));
    return [...balls, ...corners].map(point);
  }

  get positions() {
    return this.frame >= 0 ? this.data.frames[this.frame] : this.data.positions;
  }

  get cell() {
    return (this.frame >= 0 && this.data.cells?.length ? this.data.cells[this.frame] : null) ?? this.data.cell;
  }

  // How often the cell stands along each vector: only where it repeats, and not beyond what can be drawn.
  get repeats() {
    if (!this.cell) return [1, 1, 1];
    let times = this.cells;
    while (times > 1 && this.positions.length * times ** 3 > MOST_ATOMS) times -= 1;
    return [0, 1, 2].map((axis) => (this.data.periodic[axis] === "T" ? times : 1));
  }

  atoms() {
    const found = [];
    const [na, nb, nc] = this.repeats;
    for (let i = 0; i < na; i += 1) {
      for (let j = 0; j < nb; j += 1) {
        for (let k = 0; k < nc; k += 1) {
          const shift = this.cell ? plus(plus(this.cell[0].map((x) => x * i), this.cell[1], j), this.cell[2], k) : [0, 0, 0];
          this.positions.forEach((place, n) => found.push({ n, symbol: this.data.symbols[n], place: plus(place, shift) }));
        }
      }
    }
    return found;
  }

  draw() {
    const { viewer } = this;
    const began = performance.now();
    const atoms = this.atoms();
    this.drawn = atoms;
    viewer.removeAllModels();
    viewer.removeAllShapes();
    viewer.removeAllLabels();
    const rows = atoms.map(({ symbol, place }) => `${symbol} ${place.join(" ")}`);
    const model = viewer.addModel(`${rows.length}\n\n${rows.join("\n")}\n`, "xyz");
    viewer.setStyle({}, this.look());
    model.setClickable({}, true, (atom) => this.pick(atom.index));
    if (this.on.cell && this.cell) this.drawCell();
    if (this.on.labels) this.drawLabels();
    this.drawMeasure();
    viewer.render();
    this.cost = performance.now() - began; // ms
  }

  look() {
    const colorscheme = { prop: "elem", map: this.data.colours };
    const stick = { radius: 0.13, colorscheme };
    const styles = {
      ball: { stick, sphere: { scale: 0.27, colorscheme } },
      stick: { stick: { radius: 0.2, colorscheme }, sphere: { radius: 0.2, colorscheme } }, // what has no bonds is seen too
      sphere: { sphere: { scale: 0.9, colorscheme } },
      line: { line: { colorscheme }, sphere: { scale: 0.08, colorscheme } },
    };
    return styles[this.style];
  }

  drawCell() {
    const [a, b, c] = this.cell;
    const color = token("muted");
    const corner = (i, j, k) => point(plus(plus(a.map((x) => x * i), b, j), c, k));
    const edge = (from, to) => this.viewer.addLine({ start: corner(...from), end: corner(...to), color });
    const [na, nb, nc] = this.repeats;
    for (let i = 0; i <= na; i += 1) for (let j = 0; j <= nb; j += 1) edge([i, j, 0], [i, j, nc]);
    for (let i = 0; i <= na; i += 1) for (let k = 0; k <= nc; k += 1) edge([i, 0, k], [i, nb, k]);
    for (let j = 0; j <= nb; j += 1) for (let k = 0; k <= nc; k += 1) edge([0, j, k], [na, j, k]);
    ["a", "b", "c"].forEach((name, axis) => {
      const end = [0, 0, 0];
      end[axis] = 1.04;
      this.label(name, corner(...end), token("accent-text"));
    });
  }

  label(text, position, fontColor) {
    this.viewer.addLabel(text, { position, fontColor, fontSize: 12, backgroundColor: token("surface"), backgroundOpacity: 0.6, inFront: true, alignment: "center", font: "Inter Variable, sans-serif" });
  }

  drawLabels() {
    const colour = token("text");
    for (const { n, symbol, place } of this.drawn.slice(0, MOST_LABELS)) this.label(`${symbol}${n + 1}`, point(place), colour);
  }

  // One atom is named, two give a distance, three an angle at the second, the fourth begins anew.
  pick(index) {
    if (!this.on.measure) this.toggle("measure");
    this.picked = this.picked.length >= 3 || this.picked.includes(index) ? [index] : [...this.picked, index];
    this.draw();
  }

  drawMeasure() {
    const chosen = this.picked.map((index) => this.drawn[index]).filter(Boolean);
    const color = token("accent");
    for (const { symbol, place } of chosen) {
      this.viewer.addSphere({ center: point(place), radius: 0.25 + 0.5 * (this.data.radii[symbol] ?? 0.7), color, opacity: 0.35 });
    }
    for (let i = 1; i < chosen.length; i += 1) {
      this.viewer.addCylinder({ start: point(chosen[i - 1].place), end: point(chosen[i].place), radius: 0.04, color, dashed: true });
    }
    this.say(chosen);
  }

  say(chosen) {
    const out = this.box.querySelector("[data-measured]");
    const names = chosen.map(({ symbol, n }) => `${symbol}${n + 1}`).join("–");
    if (!this.on.measure) out.textContent = "";
    else if (chosen.length < 2) out.textContent = chosen.length ? `${names}; choose another atom` : "Choose two atoms for a distance, three for an angle.";
    else if (chosen.length === 2) out.textContent = `${names}  ${length(minus(chosen[1].place, chosen[0].place)).toFixed(4)} Å`;
    else {
      const [u, v] = [minus(chosen[0].place, chosen[1].place), minus(chosen[2].place, chosen[1].place)];
      const cosine = u.reduce((sum, x, i) => sum + x * v[i], 0) / length(u) / length(v);
      out.textContent = `${names}  ${((Math.acos(Math.max(-1, Math.min(1, cosine))) * 180) / Math.PI).toFixed(2)}°, ${length(u).toFixed(4)} Å and ${length(v).toFixed(4)} Å`;
    }
  }

  toggle(name) {
    this.on[name] = !this.on[name];
    this.box.querySelector(`[data-${name}]`).setAttribute("aria-pressed", String(this.on[name]));
    if (name === "spin") return void this.turn();
    if (name === "measure") {
      this.picked = [];
      this.box.classList.toggle("is-measuring", this.on.measure);
    }
    this.draw();
  }

  // Slowly where drawing is slow: the page stays usable.
  turn(last = performance.now()) {
    if (!this.on.spin || !this.box.isConnected) return;
    const began = performance.now();
    this.viewer.rotate(Math.min(SPIN_DEGREES_PER_MS * (began - last), 10), "y");
    this.viewer.render();
    setTimeout(() => requestAnimationFrame(() => this.turn(began)), 1.5 * (performance.now() - began));
  }

  reset() {
    this.picked = [];
    if (this.on.spin) this.toggle("spin");
    this.draw();
    this.viewer.setView(this.home);
    this.viewer.render();
  }

  full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.box.requestFullscreen?.();
  }

  save() {
    const link = document.createElement("a");
    link.href = this.viewer.pngURI();
    link.download = `${this.box.dataset.structureFile || "structure"}.png`;
    link.click();
  }

  showFrame() {
    const play = this.box.querySelector("[data-play-box]");
    if (this.frame < 0 || this.data.frames.length < 2) return;
    play.hidden = false;
    const slider = play.querySelector("[data-frame]");
    slider.max = this.data.frames.length - 1;
    slider.value = this.frame;
    const number = this.data.numbers?.[this.frame] ?? this.frame;
    const energy = this.data.energies?.[this.frame];
    const words = `step ${number} of ${this.data.numbers?.at(-1) ?? this.data.frames.length - 1}${typeof energy === "number" ? `  ${energy.toFixed(5).replace("-", "−")} eV` : ""}`;
    play.querySelector("[data-frame-words]").textContent = words;
    slider.setAttribute("aria-valuetext", words);
  }

  go(frame) {
    this.frame = Math.max(0, Math.min(this.data.frames.length - 1, frame));
    this.draw();
    this.showFrame();
  }

  play() {
    const button = this.box.querySelector("[data-play]");
    if (this.timer) {
      clearInterval(this.timer);
      this.timer = 0;
    } else {
      if (this.frame === this.data.frames.length - 1) this.go(0);
      this.timer = setInterval(() => {
        this.go(this.frame + 1);
        if (this.frame === this.data.frames.length - 1 || !this.box.isConnected) this.play();
      }, Math.max(FRAME_MS, 2 * this.cost));
    }
    button.textContent = this.timer ? "Pause" : "Play";
    button.setAttribute("aria-pressed", String(Boolean(this.timer)));
  }

  bind() {
    const on = (name, event, act) => this.box.querySelector(`[data-${name}]`)?.addEventListener(event, act);
    for (const name of ["cell", "labels", "measure", "spin"]) on(name, "click", () => this.toggle(name));
    on("reset", "click", () => this.reset());
    on("full", "click", () => this.full());
    on("png", "click", () => this.save());
    on("play", "click", () => this.play());
    on("frame", "input", (event) => this.go(Number(event.target.value)));
    on("style", "change", (event) => { this.style = event.target.value; this.draw(); });
    on("cells", "change", (event) => {
      this.cells = Number(event.target.value);
      this.picked = [];
      this.draw();
      this.fit();
    });
    this.stage.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("fullscreenchange", () => this.viewer.resize());
    new ResizeObserver(() => this.viewer.resize()).observe(this.stage);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const turn = (angle, axis) => () => { this.viewer.rotate(angle, axis); this.viewer.render(); };
    const acts = {
      ArrowLeft: turn(-STEP_DEGREES, "y"), ArrowRight: turn(STEP_DEGREES, "y"), ArrowUp: turn(-STEP_DEGREES, "x"), ArrowDown: turn(STEP_DEGREES, "x"),
      "+": () => this.zoom(1.15), "=": () => this.zoom(1.15), "-": () => this.zoom(1 / 1.15),
      l: () => this.toggle("labels"), m: () => this.toggle("measure"), s: () => this.toggle("spin"), r: () => this.reset(), f: () => this.full(),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  }

  zoom(factor) {
    this.viewer.zoom(factor);
    this.viewer.render();
  }

  recolour() {
    this.viewer.setBackgroundColor(token("surface"));
    this.draw();
  }
}

async function load(box) {
  if (viewers.has(box)) return;
  viewers.set(box, null);
  if (!hasWebGL()) return void box.classList.add("is-still");
  const inline = box.dataset.structureInline;
  const data = inline ? JSON.parse(document.getElementById(inline).textContent) : await (await fetch(box.dataset.structure, { credentials: "same-origin" })).json();
  if (data.symbols?.length) viewers.set(box, new StructureViewer(box, data));
}

if (window.$3Dmol) {
  const all = () => document.querySelectorAll("[data-structure]").forEach(load);
  all();
  document.addEventListener("live:swapped", all);
  document.addEventListener("theme:changed", () => viewers.forEach((viewer) => viewer?.recolour()));
}
