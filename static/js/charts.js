// Time series by uPlot, for pages that load it (window.uPlot). In the page:
//   <div class="chart-plot is-low" data-chart="/clusters/3/metrics/cpu.json" data-topic="cluster:3" data-live-keep></div>
// The address gives {"x": [epoch seconds], "series": [{"name", "label", "unit", "y": [number | null]}], "low", "high", "gap_s"};
// "least" and "most" of a single series are drawn as a band behind it, "mark": [from, to] as a shaded time.
// What "metrics" events of the topic bring under a series' name is appended; cursors are shared over the page.

import { AGAIN_MS, fetchText, passes } from "./requests.js";
import { relative } from "./time.js";
import { token } from "./theme.js";

const GAP_S = 90;
const LEAST_ROOM = 58;
// Hours and minutes alone, the date where a day begins; seconds only when zoomed in that far.
const TIMES = [
  [28 * 86400, "{MMM} {YYYY}", null, null, null, null, null, null, 1],
  [86400, "{D} {MMM}", null, null, null, null, null, null, 1],
  [60, "{HH}:{mm}", null, null, null, null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1],
];
const shared = window.uPlot?.sync("page");
const charts = new Map();

const banded = (data) => data.series.length === 1 && Boolean(data.series[0].least);
const columnsOf = (data) => (banded(data) ? [data.series[0].y, data.series[0].least, data.series[0].most] : data.series.map((series) => series.y));
const format = (value, unit) => (value == null ? "–" : `${Number(value.toPrecision(4)).toLocaleString("en")}${unit ? ` ${unit}` : ""}`);

function withGaps(data, gap) {
  const x = [];
  const given = columnsOf(data);
  const columns = given.map(() => []);
  data.x.forEach((at, index) => {
    if (index && at - data.x[index - 1] > gap) {
      x.push(data.x[index - 1] + gap);
      columns.forEach((column) => column.push(null));
    }
    x.push(at);
    columns.forEach((column, s) => column.push(given[s][index] ?? null));
  });
  return [x, ...columns];
}

function options(element, data) {
  const axis = { stroke: token("muted"), grid: { stroke: token("grid"), width: 1 }, ticks: { show: false }, font: `11.5px ${token("sans")}` };
  const unit = data.series[0]?.unit ?? "";
  const single = data.series.length === 1;
  return {
    width: element.clientWidth,
    height: element.clientHeight - (single ? 0 : 28),
    legend: { show: !single, live: true },
    cursor: { sync: { key: shared.key }, points: { size: 6 }, y: false },
    scales: { y: { range: (_, low, high) => range(data, low, high) } },
    axes: [{ ...axis, size: 30, space: 64, values: TIMES }, { ...axis, size: roomFor, values: (_, ticks) => ticks.map((tick) => format(tick, unit)) }],
    series: [
      { label: "at", value: (_, at) => (at == null ? "–" : new Date(at * 1000).toLocaleTimeString()) },
      ...data.series.map((series, index) => ({
        label: series.label,
        stroke: token(`series-${(index % 6) + 1}`),
        width: 1.6,
        points: { show: false, filter: alone, size: 5 },
        spanGaps: false,
        value: (_, value) => format(value, series.unit),
      })),
      ...(banded(data) ? [hidden("least"), hidden("most")] : []),
    ],
    bands: banded(data) ? [{ series: [3, 2], fill: faded("series-1") }] : [],
    hooks: { drawClear: data.mark ? [(plot) => shade(plot, data.mark)] : [] },
  };
}

// As wide as the longest label; the charts of a page stand in line where theirs are short.
function roomFor(plot, words, index) {
  if (!words) return LEAST_ROOM;
  const axis = plot.axes[index];
  plot.ctx.font = axis.font[0];
  const widest = Math.max(0, ...words.map((one) => plot.ctx.measureText(one).width)) / window.devicePixelRatio;
  return Math.max(LEAST_ROOM, Math.ceil(widest) + axis.gap + 6);
}

// A value without a neighbour has no line: it is drawn as a point.
function alone(plot, index) {
  const values = plot.data[index];
  const isThere = (place) => values[place] != null;
  return [...values.keys()].filter((place) => isThere(place) && !isThere(place - 1) && !isThere(place + 1));
}

const hidden = (label) => ({ label, width: 0, points: { show: false }, spanGaps: false });
const faded = (name) => `color-mix(in srgb, ${token(name)} 16%, transparent)`;

function shade(plot, [from, to]) {
  const { left, top, width, height } = plot.bbox;
  const start = Math.max(left, plot.valToPos(from, "x", true));
  const end = Math.min(left + width, plot.valToPos(to, "x", true));
  plot.ctx.save();
  plot.ctx.fillStyle = token("soft");
  plot.ctx.fillRect(start, top, Math.max(end - start, 1), height);
  plot.ctx.restore();
}

function range(data, low, high) {
  if (low == null) return [data.low ?? 0, data.high ?? 1];
  const spread = (high - low || Math.abs(high) || 1) * 0.08;
  return [data.low ?? low - spread, Math.max(data.high ?? -Infinity, high + (data.high == null ? spread : 0))];
}

function draw(element, chart) {
  chart.plot?.destroy();
  chart.plot = null;
  element.replaceChildren();
  if (!chart.data?.x.length) {
    const none = document.createElement("p");
    none.className = "chart-none";
    none.textContent = chart.lost ? "The values could not be fetched." : element.dataset.chartNone ?? "Nothing was heard in this time.";
    return element.append(none);
  }
  chart.plot = new window.uPlot(options(element, chart.data), withGaps(chart.data, chart.data.gap_s ?? GAP_S), element);
  describe(element, chart.data);
}

function describe(element, data) {
  const words = data.series.map((series) => `${series.label}: last ${format(series.y.findLast((value) => value != null), series.unit)}`);
  const at = relative(Date.now() / 1000 - data.x.at(-1)) ?? "long ago";
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", `${words.join(", ")}; ${at}`);
}

async function load(element) {
  const chart = charts.get(element) ?? {};
  charts.set(element, chart);
  try {
    chart.data = JSON.parse(await fetchText(element.dataset.chart));
    chart.lost = false;
  } catch (error) {
    chart.data = null;
    chart.lost = true;
    if (passes(error)) setTimeout(() => element.isConnected && load(element), AGAIN_MS);
  }
  draw(element, chart);
}

function append(element, event) {
  const chart = charts.get(element);
  if (!chart?.data || event.type !== (element.dataset.chartOn ?? "metrics")) return;
  const at = typeof event.at === "number" ? event.at : Date.parse(event.at) / 1000;
  const { x, series } = chart.data;
  if (!Number.isFinite(at) || at <= (x.at(-1) ?? 0)) return;
  const width = x.length > 1 ? Math.max(x.at(-1) - x[0], 60) : 3600;
  x.push(at);
  for (const one of series) for (const values of [one.y, one.least, one.most]) values?.push(event[one.name] ?? null);
  if (chart.data.mark) chart.data.mark[1] = at;
  while (x.length > 2 && at - x[0] > width * 1.02 && !chart.data.mark) {
    x.shift();
    for (const one of series) for (const values of [one.y, one.least, one.most]) values?.shift();
  }
  if (chart.plot) chart.plot.setData(withGaps(chart.data, chart.data.gap_s ?? GAP_S));
  else draw(element, chart);
}

if (window.uPlot) {
  const all = () => [...document.querySelectorAll("[data-chart]")];
  all().forEach(load);
  document.addEventListener("live:event", ({ detail }) => {
    for (const element of all()) if (element.dataset.topic === detail.topic) append(element, detail.event);
  });
  document.addEventListener("live:reconnected", () => all().forEach(load));
  document.addEventListener("theme:changed", () => charts.forEach((chart, element) => draw(element, chart)));
  new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const chart = charts.get(target);
      if (chart?.plot && target.clientWidth && Math.abs(chart.plot.width - target.clientWidth) > 1) {
        chart.plot.setSize({ width: target.clientWidth, height: chart.plot.height });
      }
    }
  }).observe(document.documentElement);
  addEventListener("resize", () => charts.forEach((chart, element) => chart.plot?.setSize({ width: element.clientWidth, height: chart.plot.height })));
}
