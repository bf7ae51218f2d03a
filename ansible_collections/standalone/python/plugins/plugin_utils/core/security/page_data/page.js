/* Copyright: standalone-python contributors
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later */
"use strict";
// Filters the table of hosts and sorts tables. The page is whole without it. It writes texts only, never HTML.
(() => {
  const collator = new Intl.Collator("en", { numeric: true });
  // Each row has a body of its own, with what is said below it.
  const value = (body, column) => {
    const cell = body.rows[0].cells[column];
    return cell.dataset.value ?? cell.textContent;
  };

  function sort(table, column, heading) {
    const ascending = heading.getAttribute("aria-sort") !== "ascending";
    const sign = ascending ? 1 : -1;
    const numeric = heading.dataset.sort === "number";
    const compare = numeric ? (one, other) => one - other : collator.compare;
    const rows = Array.from(table.tBodies, (body) => [value(body, column), body]);
    rows.sort((one, other) => sign * compare(one[0], other[0]));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const sorted = document.createDocumentFragment();
    for (const [, body] of rows) sorted.append(body);
    table.append(sorted);
  }

  for (const table of document.querySelectorAll("table")) {
    Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      button.addEventListener("click", () => sort(table, column, heading));
      // Chromium does not repeat a table's head on each printed page if it has a button.
      const printed = document.createElement("span");
      printed.className = "printed";
      printed.textContent = heading.textContent;
      heading.replaceChildren(button, printed);
    });
  }

  const controls = document.querySelector(".controls");
  const filter = document.getElementById("filter");
  const status = document.getElementById("status");
  const shown = document.getElementById("shown");
  const rows = Array.from(document.getElementById("lines").tBodies, (row) => [row, row.textContent.toLowerCase()]);

  function apply() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let number = 0;
    for (const [row, text] of rows) {
      const visible = (!status.value || row.dataset.status === status.value) && words.every((word) => text.includes(word));
      row.hidden = !visible;
      number += visible;
    }
    shown.textContent = `${number} of ${rows.length} rows`;
  }

  controls.addEventListener("submit", (event) => event.preventDefault());
  filter.addEventListener("input", apply);
  status.addEventListener("change", apply);
  controls.hidden = false;
  apply();
})();
