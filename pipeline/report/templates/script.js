"use strict";
document.documentElement.classList.add("scripted");

// Sorting: a button in each head; the rows of each block are sorted by themselves, rows without a value last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const first = head.dataset.first || "descending";
    const other = first === "descending" ? "ascending" : "descending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    heads.forEach(each => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const value = row => row.cells[column].dataset.value ?? "";
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const numbers = head.dataset.kind === "number";
      const difference = numbers ? Number(x) - Number(y) : x.localeCompare(y);
      return order === "ascending" ? difference : -difference;
    };
    for (const body of table.tBodies) [...body.querySelectorAll("tr.row")].sort(compare).forEach(row => body.append(row));
  }));
}

// Filtering: rows that hold every word that was typed.
const filter = document.getElementById("filter");
filter.addEventListener("input", () => {
  const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...document.querySelectorAll("#table tr.row")];
  for (const row of rows) row.hidden = !wanted.every(word => row.dataset.words.includes(word));
  const shown = rows.filter(row => !row.hidden).length;
  document.getElementById("filtered").textContent = `${shown} of ${rows.length} rows shown`;
});

// The slider between original and translated.
const data = document.getElementById("slider-data");
if (data) {
  const scenes = JSON.parse(data.textContent);
  const [scene, translator, cut] = ["slider-scene", "slider-translator", "slider-cut"].map(id => document.getElementById(id));
  const box = document.getElementById("slider-box");
  const show = () => {
    const one = scenes[scene.selectedIndex];
    const [under, over] = box.querySelectorAll("img");
    for (const [image, file, what] of [[under, one.original, "original"], [over, one.translated[translator.value], `translated by ${translator.value}`]]) {
      image.src = file; image.width = one.width; image.height = one.height; image.alt = `Scene ${one.key}, ${what}`;
    }
  };
  const move = () => box.style.setProperty("--cut", `${cut.value}%`);
  scene.addEventListener("change", show);
  translator.addEventListener("change", show);
  cut.addEventListener("input", move);
  show(); move();
}

addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(each => { each.open = true; }));
