// Reading off a moment: a line under the pointer and the values of that column.
for (const chart of document.querySelectorAll(".chart[data-values]")) {
  const { duration, names, values } = JSON.parse(chart.dataset.values);
  const plot = chart.querySelector(".plot"), cursor = chart.querySelector(".cursor"), readout = chart.querySelector(".readout");
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    const row = values[Math.min(Math.floor(share * values.length), values.length - 1)];
    cursor.style.display = "block";
    cursor.style.left = `${share * 100}%`;
    const shown = names.map((name, k) => [name, row[k]]).filter(([, value]) => value !== null);
    if (chart.dataset.order === "down") shown.sort((a, b) => b[1] - a[1]);
    const text = shown.slice(0, 4).map(([name, value]) => `${name} ${value.toFixed(2)}`).join("  ·  ");
    readout.textContent = `${(share * duration).toFixed(1)} s: ${text || "nothing seen"}`;
  });
  plot.addEventListener("pointerleave", () => { cursor.style.display = "none"; readout.textContent = ""; });
}
