// Points of two quantities that lead somewhere: a click opens what is behind a point, a box keeps what is in it.
//   <div data-plot="data-points" data-brush data-x="gap:eV" data-y="volume"></div>, drawn by plots.js from data with "points".
// The box becomes four conditions of the address, so that the portal filters all rows, not only those that are drawn.
// [data-send] sends its form as soon as it changes.

const name = (token) => token.split(":")[0];
const unit = (token) => token.split(":")[1] ?? "";
const about = (where, token) => where.match(/^[\w.+-]+/)?.[0] === name(token);

function narrowed(element, range) {
  const address = new URL(location.href);
  const others = address.searchParams.getAll("where").filter((where) => !about(where, element.dataset.x) && !about(where, element.dataset.y));
  address.searchParams.delete("where");
  address.searchParams.delete("after");
  const bounds = [[element.dataset.x, range.x], [element.dataset.y, range.y]].flatMap(([token, ends]) => {
    const [low, high] = [...ends].sort((a, b) => a - b);
    return [`${name(token)}>=${low.toPrecision(8)} ${unit(token)}`, `${name(token)}<=${high.toPrecision(8)} ${unit(token)}`];
  });
  [...others, ...bounds].forEach((where) => address.searchParams.append("where", where.trim()));
  return address;
}

function bind(element) {
  if (!element.on) return;
  const text = document.getElementById(element.dataset.plot)?.textContent;
  const { links = [] } = (text && JSON.parse(text).points) || {};
  element.on("plotly_click", ({ points }) => {
    const link = links[points[0]?.pointIndex];
    if (link) location.assign(link);
  });
  element.on("plotly_selected", (chosen) => {
    if (chosen?.range && chosen.points.length) location.assign(narrowed(element, chosen.range));
  });
}

if (window.Plotly) document.querySelectorAll("[data-brush]").forEach(bind);
document.addEventListener("change", ({ target }) => target.closest?.("[data-send]")?.form.requestSubmit());
