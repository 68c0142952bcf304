// Result figures by Plotly, for pages that load it (window.Plotly). In the page:
//   <script type="application/json" id="data-dipole">…</script><div data-plot="data-dipole"></div>
// The data are those of calculations/charts.py: {"name", "title", "style", "log_y", "x": {"label", "unit", "values"},
// "y": [{"label", "unit", "values", "style" where it differs, "x" where it has places of its own}], "y_label" where the series are runs, "ticks": [[x, name]], "from_zero": where y begins there}. When a live region
// brings new data, the figure is drawn anew. Buttons [data-save="svg" | "png"] in the same [data-figure] save the figure
// in the light scheme, as it stands in a paper, [data-save="csv"] its numbers; [data-log-axis] switches the axis.

const figures = new Map();
const texts = new WeakMap();
const SAVED = { width: 900, height: 560 };

const titled = (column) => (column.unit ? `${column.label} / ${column.unit}` : column.label);

function colours(scope) {
  const style = getComputedStyle(scope);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  return { text: read("text"), muted: read("muted"), grid: read("grid"), line: read("line-strong"), page: read("surface"), series: [1, 2, 3, 4, 5, 6].map((n) => read(`series-${n}`)) };
}

const MODES = { line: "lines", markers: "markers", "line+markers": "lines+markers" };
const isFit = (column) => column.name === "fit"; // a fit is a line, what it fits are points

function traces(figure, palette) {
  if (figure.style === "levels") return levels(figure, palette);
  if (figure.style === "bars") return bars(figure, palette);
  if (figure.points) return points(figure, palette);
  const mode = MODES[figure.style] ?? "lines+markers";
  const fitted = figure.y.some(isFit);
  return figure.y.map((column, index) => ({
    type: "scatter",
    mode: MODES[column.style] ?? (figure.x.values.length === 1 ? "markers" : isFit(column) ? "lines" : fitted ? "markers" : mode),
    name: column.label,
    x: column.x ?? figure.x.values,
    y: column.values,
    connectgaps: false,
    line: { color: palette.series[index % 6], width: 1.8, dash: ["solid", "dash", "dot", "dashdot"][Math.floor(index / 6) % 4] },
    marker: { color: palette.page, size: 7, line: { color: palette.series[index % 6], width: 1.8 }, symbol: ["circle", "square", "diamond", "triangle-up", "cross", "x"][index % 6] },
    hovertemplate: `%{x:.6~g} ${figure.x.unit ?? ""}<br>%{y:.8~g} ${column.unit ?? ""}<extra>${figure.y.length > 1 ? column.label : ""}</extra>`,
  }));
}

const bars = (figure, palette) => figure.y.map((column, index) => ({
  type: "bar",
  name: column.label,
  x: figure.x.values,
  y: column.values,
  marker: { color: palette.series[index % 6], line: { width: 0 } },
  hovertemplate: `%{x:.6~g} ${figure.x.unit ?? ""}<br>%{y} ${column.label.toLowerCase()}<extra></extra>`,
}));

// Many points, each of which has a name and leads somewhere (brush.js).
const points = (figure, palette) => figure.y.map((column) => ({
  type: "scatter",
  mode: "markers",
  name: column.label,
  x: figure.x.values,
  y: column.values,
  text: figure.points.names,
  marker: { color: palette.series[0], size: 7, opacity: figure.x.values.length > 300 ? 0.45 : 0.75, line: { width: 0 } },
  hovertemplate: `%{text}<br>%{x:.6~g} ${figure.x.unit ?? ""}<br>%{y:.8~g} ${column.unit ?? ""}<extra></extra>`,
}));

// Each value is a short level at its place on x (the spin, the k-point, the run).
function levels(figure, palette) {
  return figure.y.map((column, index) => ({
    type: "scatter",
    mode: "markers",
    name: column.label,
    x: figure.x.values,
    y: column.values,
    marker: { symbol: "line-ew", size: 22, line: { color: palette.series[index % 6], width: 2 } },
    hovertemplate: `%{y:.6~g} ${column.unit ?? ""}<extra>${titled(figure.x)} %{x}</extra>`,
  }));
}

// Named places on x, the corners of a path through k-space say, each with a line through the chart.
const ticks = (figure, palette) => (figure.ticks?.length ? { gridcolor: palette.line, tickvals: figure.ticks.map(([place]) => place), ticktext: figure.ticks.map(([, name]) => name), showgrid: true } : { showgrid: false });

// Ranks, steps and the like have nothing between them.
const MOST_WHOLE = 12;
function steps({ values }) {
  const range = Math.max(...values) - Math.min(...values);
  return values.length > 1 && values.every(Number.isInteger) && range <= MOST_WHOLE ? { dtick: 1 } : {};
}

// A broken line where zero stands for something: the Fermi level, the top of the valence bands.
const isRelative = (column) => ` ${column.label.toLowerCase()} `.includes(" from ");
function references(figure, palette) {
  const line = { type: "line", layer: "above", opacity: 0.8, line: { color: palette.muted, width: 1, dash: "dash" } };
  const shapes = [];
  if (isRelative(figure.x) && figure.x.values.some((x) => x < 0) && figure.x.values.some((x) => x > 0)) shapes.push({ ...line, xref: "x", yref: "paper", x0: 0, x1: 0, y0: 0, y1: 1 });
  if (figure.style !== "levels" && figure.y.length && isRelative(figure.y[0])) shapes.push({ ...line, xref: "paper", yref: "y", x0: 0, x1: 1, y0: 0, y1: 0 });
  return shapes;
}

// Of a band structure what lies around the gap, as in the report; zooming out shows the rest.
const BANDS = [-15, 10]; // eV
function around(figure) {
  if (!figure.ticks?.length || figure.log_y || !isRelative(figure.y[0]) || figure.y[0].unit !== "eV") return {};
  const values = figure.y.flatMap((column) => column.values).filter((value) => value != null);
  const low = values.reduce((least, value) => Math.min(least, value), Infinity);
  const high = values.reduce((most, value) => Math.max(most, value), -Infinity);
  const margin = 0.03 * (high - low);
  return { range: [Math.max(low - margin, BANDS[0]), Math.min(high + margin, BANDS[1])] };
}

function layout(figure, palette, small) {
  const axis = { gridcolor: palette.grid, linecolor: palette.line, zeroline: false, ticks: "", tickfont: { color: palette.muted, size: 11.5 }, exponentformat: "power", automargin: true, separatethousands: false };
  const title = (text) => ({ text, font: { color: palette.muted, size: 12 }, standoff: 12 });
  return {
    font: { family: "Inter Variable, system-ui, sans-serif", color: palette.text, size: 12 },
    paper_bgcolor: palette.page,
    plot_bgcolor: palette.page,
    separators: ".", // no thousands: axes would show them on some ticks alone
    margin: { l: 64, r: 16, t: 12, b: 48 },
    showlegend: figure.y.length > 1,
    legend: { orientation: "h", y: 1.03, yanchor: "bottom", x: 0, font: { color: palette.muted, size: 12 } },
    xaxis: { ...axis, title: title(figure.ticks?.length ? "" : titled(figure.x)), showline: true, ...steps(figure.x), ...ticks(figure, palette) },
    yaxis: { ...axis, title: title(yTitle(figure)), type: figure.log_y ? "log" : "linear", ...(figure.from_zero ? { rangemode: "tozero" } : {}), ...(figure.log_y ? { dtick: 1, tickformat: ".0e" } : {}), ...around(figure) },
    shapes: references(figure, palette),
    hovermode: small || figure.points ? "closest" : "x",
    bargap: 0.06,
    hoverlabel: { bgcolor: palette.page, bordercolor: palette.line, font: { color: palette.text, size: 12 } },
    uirevision: figure.name,
    dragmode: small ? false : figure.points ? "select" : "zoom",
  };
}

const isFitted = (figure) => figure.y.some(isFit) || figure.y.some((column) => column.style === "line" && figure.y[0].style === "markers");
const withUnit = (label, unit) => (!unit || label.endsWith(` / ${unit}`) ? label : `${label} / ${unit}`);
const yTitle = (figure) => figure.y_label ? withUnit(figure.y_label, oneUnit(figure)) : (figure.y.length === 1 || isFitted(figure) ? titled(figure.y[0]) : shared(figure));
const oneUnit = (figure) => (new Set(figure.y.map((column) => column.unit)).size === 1 ? figure.y[0].unit : "");
const shared = (figure) => withUnit(figure.title, oneUnit(figure));

function draw(element) {
  const figure = figures.get(element);
  const palette = colours(document.documentElement);
  const small = matchMedia("(max-width: 700px)").matches;
  window.Plotly.react(element, traces(figure, palette), layout(figure, palette, small), { responsive: true, displayModeBar: false, doubleClick: "reset" });
}

function load(element) {
  const text = document.getElementById(element.dataset.plot)?.textContent;
  if (!text || texts.get(element) === text) return;
  texts.set(element, text);
  figures.set(element, JSON.parse(text));
  draw(element);
}

// Of series with places of their own on x: one row for each point.
function long(figure, cell) {
  const rows = figure.y.flatMap((column) => (column.x ?? figure.x.values).map((x, i) => [column.label, x, column.values[i]]));
  return [["series", titled(figure.x), figure.y_label], ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

// The numbers as they are drawn, for figures of several runs, which no stored table holds.
function csv(figure) {
  const cell = (value) => {
    if (typeof value !== "string") return value ?? "";
    const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value; // a spreadsheet would take it for a formula
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  if (figure.y.some((column) => column.x)) return long(figure, cell);
  const head = (column) => titled(figure.y_label ? { ...column, label: `${figure.y_label}, ${column.label}` } : column);
  const rows = [[titled(figure.x), ...figure.y.map(head)], ...figure.x.values.map((x, i) => [x, ...figure.y.map((column) => column.values[i])])];
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

function download(href, element, figure, format) {
  const link = document.createElement("a");
  link.href = href;
  link.download = `${element.dataset.plotFile ?? figure.name}.${format}`;
  link.click();
}

async function save(button) {
  const element = button.closest("[data-figure]")?.querySelector("[data-plot]");
  const figure = figures.get(element);
  if (!figure) return;
  if (button.dataset.save === "csv") return void download(`data:text/csv;charset=utf-8,${encodeURIComponent(csv(figure))}`, element, figure, "csv");
  const light = document.createElement("div");
  light.dataset.bsTheme = "light";
  document.body.append(light);
  const palette = colours(light);
  const format = button.dataset.save;
  const image = await window.Plotly.toImage({ data: traces(figure, palette), layout: { ...layout(figure, palette, false), ...SAVED } }, { format, ...SAVED, scale: format === "png" ? 2 : 1 });
  light.remove();
  download(image, element, figure, format);
}

if (window.Plotly) {
  const all = () => [...document.querySelectorAll("[data-plot]")];
  all().forEach(load);
  document.addEventListener("live:swapped", () => all().forEach(load));
  document.addEventListener("theme:changed", () => figures.forEach((_, element) => draw(element)));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-save]");
    if (button) save(button);
    const scale = event.target.closest("[data-log-axis]");
    if (!scale) return;
    const element = scale.closest("[data-figure]").querySelector("[data-plot]");
    const figure = figures.get(element);
    if (!figure) return;
    figure.log_y = !figure.log_y;
    scale.setAttribute("aria-pressed", String(figure.log_y));
    draw(element);
  });
}
