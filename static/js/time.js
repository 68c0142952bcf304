// Keeps relative times (<time data-ago>) ticking; the words are those of labportal.common.templatetags.labportal.ago.

const STEPS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [30 * 86400, 86400, "d"]];

export function relative(seconds) {
  const age = Math.abs(seconds);
  if (age < 5) return "just now";
  for (const [limit, size, unit] of STEPS) {
    if (age < limit) {
      const words = `${Math.floor(age / size)} ${unit}`;
      return seconds > 0 ? `${words} ago` : `in ${words}`;
    }
  }
  return null; // beyond a month the server's date stays
}

function tick() {
  if (document.hidden) return;
  const now = Date.now();
  for (const element of document.querySelectorAll("time[data-ago]")) {
    let words = relative((now - Date.parse(element.dateTime)) / 1000);
    if (words && element.dataset.ago === "since") words = words.replace(" ago", "").replace("just now", "a moment");
    if (words && element.textContent !== words) element.textContent = words;
  }
}

setInterval(tick, 1000);
document.addEventListener("visibilitychange", tick);
