// The graph of analyses: a choice is always whole. Choosing one brings what it needs; leaving one out takes along what
// rests on it, says so, and can be undone. In the page:
//   <div data-analyses><input type="checkbox" name="analyses" value="dos" data-label="…" data-requires="eigenvalues">…
//   <p data-analyses-said hidden><span></span> <button data-analyses-undo></button></p></div>
// Without this module the portal completes what was sent.

const boxes = (graph) => [...graph.querySelectorAll("input[data-requires]")];
const needs = (box) => box.dataset.requires.split(" ").filter(Boolean);
const names = (changed) => changed.map((box) => box.dataset.label).join(", ");
const before = new WeakMap();

function brought(graph, box) {
  const all = new Map(boxes(graph).map((each) => [each.value, each]));
  const found = [];
  const rest = needs(box);
  while (rest.length) {
    const needed = all.get(rest.pop());
    if (!needed || needed.checked) continue;
    needed.checked = true;
    found.push(needed);
    rest.push(...needs(needed));
  }
  return found;
}

function fallen(graph, box) {
  const gone = new Set([box.value]);
  const found = [];
  for (let more = true; more; ) {
    const next = boxes(graph).find((each) => each.checked && needs(each).some((name) => gone.has(name)));
    more = Boolean(next);
    if (!next) break;
    next.checked = false;
    gone.add(next.value);
    found.push(next);
  }
  return found;
}

function say(graph, words) {
  const place = graph.querySelector("[data-analyses-said]");
  place.hidden = !words;
  place.querySelector("span").textContent = words;
}

document.addEventListener("change", ({ target }) => {
  const graph = target.closest?.("[data-analyses]");
  if (!graph || !target.matches("input[data-requires]")) return;
  const state = boxes(graph).map((box) => (box === target ? !box.checked : box.checked));
  const also = target.checked ? brought(graph, target) : fallen(graph, target);
  before.set(graph, state);
  if (!also.length) return say(graph, "");
  const verb = target.checked ? "needs" : "takes along";
  say(graph, `${target.dataset.label} ${verb} ${names(also)}: ${target.checked ? "chosen too" : "left out too"}.`);
});

document.addEventListener("click", ({ target }) => {
  const graph = target.closest?.("[data-analyses-undo]")?.closest("[data-analyses]");
  if (!graph) return;
  before.get(graph)?.forEach((checked, place) => { boxes(graph)[place].checked = checked; });
  say(graph, "");
  boxes(graph)[0]?.dispatchEvent(new Event("input", { bubbles: true }));
});
