// Draws the page's curves from their JSON; colours come from the style sheet, so that a theme change redraws them.
(() => {
  "use strict";
  const least_ms = 4000; // between two looks at the curves of a live page
  let looked = 0;
  let later = 0;
  let figures = {};

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  function coloured(value) {
    if (Array.isArray(value)) return value.map(coloured);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, coloured(inner)]));
    }
    return typeof value === "string" && value.startsWith("--") ? style(value) : value;
  }
  function layout(own) {
    const axis = { gridcolor: style("--line"), linecolor: style("--line"), zeroline: false };
    const { xaxis, yaxis, ...rest } = coloured(own);
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
      font: { color: style("--quiet"), size: 11, family: "system-ui, sans-serif" },
      margin: { l: 58, r: 8, t: 8, b: 30 }, hovermode: "x unified",
      hoverlabel: { bgcolor: style("--wash"), font: { color: style("--pico-color") } },
      legend: { orientation: "h", y: 1.16, x: 0 },
      xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, automargin: true, ...yaxis }, ...rest,
    };
  }
  function draw() {
    for (const place of document.querySelectorAll("[data-figure]")) {
      const figure = figures[place.dataset.figure];
      const bare = !figure || !figure.data.some((trace) => trace.x.length > 0);
      place.closest("figure").classList.toggle("bare", bare);
      if (!bare) {
        Plotly.react(place, coloured(figure.data), layout(figure.layout), { displayModeBar: false, responsive: true });
      }
    }
  }
  async function look() {
    const holder = document.querySelector("[data-curves]");
    if (!holder) return;
    clearTimeout(later);
    const wait_ms = looked + least_ms - Date.now();
    if (wait_ms > 0) {
      later = setTimeout(look, wait_ms);
      return;
    }
    looked = Date.now();
    const answer = await fetch(holder.dataset.curves, { headers: { Accept: "application/json" } });
    if (!answer.ok || answer.redirected) return;
    figures = await answer.json();
    draw();
  }
  document.addEventListener("DOMContentLoaded", look);
  document.addEventListener("htmx:afterSwap", () => { draw(); look(); });
  document.addEventListener("wartest:theme", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
