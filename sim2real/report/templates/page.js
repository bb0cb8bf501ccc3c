"use strict";
// A click on a heading sorts a table by that column, and a second one the other way round.
for (const head of document.querySelectorAll("thead button")) head.onclick = () => {
  const th = head.parentNode, down = th.ariaSort === "ascending", at = th.cellIndex;
  const body = th.closest("table").tBodies[0];
  for (const other of th.parentNode.cells) other.removeAttribute("aria-sort");
  th.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = row => row.cells[at].dataset.v ?? row.cells[at].textContent;
  const order = (a, b) => a - b || String(a).localeCompare(b, undefined, { numeric: true });
  [...body.rows].sort((a, b) => order(key(a), key(b)) * (down ? -1 : 1)).forEach(row => body.append(row));
};
