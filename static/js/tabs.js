// Where the tabs of a page do not fit side by side, the one that is shown is brought into view.

for (const row of document.querySelectorAll(".tab-row")) {
  const tab = row.querySelector("[aria-current]");
  if (tab) row.scrollLeft = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.offsetWidth) / 2;
}
