// Reading off a moment: a line under the pointer, or where the arrow keys moved it, and the values there.
for (const chart of document.querySelectorAll(".chart[data-values]")) {
  const { duration, names, values } = JSON.parse(chart.dataset.values);
  const plot = chart.querySelector(".plot"), cursor = chart.querySelector(".cursor"), readout = chart.querySelector(".readout");
  let at = 0;
  const show = (share) => {
    at = Math.min(Math.max(share, 0), 1);
    const row = values[Math.min(Math.floor(at * values.length), values.length - 1)];
    cursor.style.display = "block";
    cursor.style.left = `${at * 100}%`;
    const shown = names.map((name, k) => [name, row[k]]).filter(([, value]) => value !== null);
    if (chart.dataset.order === "down") shown.sort((a, b) => b[1] - a[1]);
    const text = shown.slice(0, 4).map(([name, value]) => `${name} ${value.toFixed(2)}`).join("  ·  ");
    readout.textContent = `${(at * duration).toFixed(1)} s: ${text || "nothing seen"}`;
  };
  const hide = () => { cursor.style.display = "none"; readout.textContent = ""; };
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    show((event.clientX - box.left) / box.width);
  });
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    show(at + step);
  });
  plot.addEventListener("blur", hide);
}
