"use strict";
// Tables sort by the buttons in their heads; the table of regions has a filter. Without this script all rows stand.
const value = (cell) => {
  const text = cell.textContent.trim();
  if (text === "–" || text === "") return null;
  const plain = text.replace(/[,>\s]/g, "").replace("−", "-");
  return /^[+-]?(\d|\.\d)/.test(plain) ? parseFloat(plain) : text;
};
const before = (a, b) => {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), document.documentElement.lang);
};
const sortBy = (table, column, head) => {
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => [value(row.cells[column]), row]);
  // nothing known stays at the end, whichever way
  rows.sort(([a], [b]) => (a === null || b === null || !down ? before(a, b) : before(b, a)));
  body.append(...rows.map(([, row]) => row));
};
for (const table of document.querySelectorAll("table.sorts")) {
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sortBy(table, column, head));
  });
}
const filter = document.getElementById("filter");
if (filter) {
  const text = filter.querySelector("input"), chosen = filter.querySelector("select");
  const said = filter.querySelector("output");
  const rows = Array.from(document.querySelectorAll("#regions tbody tr"));
  const apply = () => {
    const wanted = text.value.trim().toLocaleLowerCase();
    for (const row of rows)
      row.hidden = !(row.textContent.toLocaleLowerCase().includes(wanted) && (!chosen.value || row.dataset.verdict === chosen.value));
    said.textContent = said.dataset.text.replace("{shown}", rows.filter((r) => !r.hidden).length).replace("{all}", rows.length);
  };
  text.addEventListener("input", apply);
  chosen.addEventListener("change", apply);
  filter.hidden = false;
  apply();
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => (d.open = true)));
