// Distributions: how ψ is spread, from relabel/view/distributions.py.
"use strict";
{
  const { Plot } = libraries;
  const { $, element, number, psiCss, state, WITHIN_M } = viewer;

  /** A chart that is one image to assistive technology, with a name of its own. */
  function chart(options) {
    const drawn = Plot.plot(options);
    for (const part of drawn.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
    drawn.setAttribute("role", "img");
    return drawn;
  }

  function charts(figures, about) {
    const style = { background: "transparent", fontSize: "12px", overflow: "visible" };
    const titled = (title, text, ...charts) => element("section", {}, element("h2", {}, title), element("p", {}, text), ...charts);
    const bands = figures.bands.map((band) => element("tr", {}, element("th", { scope: "row" }, band.name), element("td", {}, number(band.pairs)),
      element("td", {}, band.mean === null ? "–" : band.mean.toFixed(1)), element("td", {}, number(band.empty))));
    const table = element("table", { className: "figures" },
      element("thead", {}, element("tr", {}, ...["band", "pairs", "mean a query", "queries with none"].map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, ...bands));
    const sections = [];
    const bandSection = titled("Bands", `${number(figures.stored)} of ${number(figures.known)} known pairs are stored; all others have ψ ≤ ${state.scene.minValue}.`, table);
    if (!about.pairs) {
      sections.push(element("p", { className: "empty" }, "This collection has no pairs with a view in common, so there is nothing to draw."));
    } else {
      const width = 560, n = figures.histogram.length;
      const bins = figures.histogram.map((count, i) => ({ low: i / n, high: (i + 1) / n, count })).filter((bin) => bin.count);
      sections.push(titled("ψ of the stored pairs", "Number of pairs by ψ, on a logarithmic axis.", chart({
        width, height: 280, style, marginLeft: 64, ariaLabel: "histogram of ψ", x: { label: "ψ", domain: [0, 1] },
        y: { type: "log", label: "pairs", grid: true, tickFormat: "~s", domain: [0.8, 1.2 * Math.max(...figures.histogram)] },
        marks: [Plot.rect(bins, { x1: "low", x2: "high", y1: 0.8, y2: "count", fill: (bin) => psiCss((bin.low + bin.high) / 2), inset: 0.5,
          title: (bin) => `ψ ${bin.low.toFixed(2)} to ${bin.high.toFixed(2)}: ${number(bin.count)} pairs`, tip: false }), Plot.ruleX([0.5], { strokeDasharray: "4 3" })],
      })));
      const { distance_m: step, heading_deg: turn, pairs, mean, in_space: inSpace } = figures.plane;
      const cells = pairs.flatMap((line, i) => line.map((count, j) => ({ x: i * step, y: j * turn, count, mean: mean[i][j] }))).filter((cell) => cell.count);
      const beyond = figures.plane.beyond ? ` ${number(figures.plane.beyond)} pairs are farther apart than is drawn.` : "";
      const without = figures.plane.without ? ` ${number(figures.plane.without)} lack a position or a heading.` : "";
      if (cells.length) {
        const boxed = step * pairs.length >= WITHIN_M;  // a room is smaller
        const boxText = boxed ? ` The box is what binary labels call the same place: ${WITHIN_M} m and 40°.` : "";
        sections.push(titled("Distance and heading", `Mean ψ of the stored pairs.${boxText}${beyond}${without}`, chart({
          width, height: 340, style, marginLeft: 56, ariaLabel: "mean ψ by distance and difference of heading",
          x: { label: "distance, m", domain: [0, step * pairs.length] }, y: { label: inSpace ? "angle between optical axes, °" : "difference of heading, °", domain: [0, 180], ticks: [0, 40, 90, 135, 180] },
          marks: [
            Plot.rect(cells, { x1: "x", x2: (cell) => cell.x + step, y1: "y", y2: (cell) => cell.y + turn, fill: (cell) => psiCss(cell.mean),
              title: (cell) => `${+cell.x.toFixed(3)} to ${+(cell.x + step).toFixed(3)} m, ${cell.y} to ${cell.y + turn}°: mean ψ ${cell.mean.toFixed(3)} of ${number(cell.count)} pairs` }),
            Plot.rect(boxed ? [0] : [], { x1: 0, x2: WITHIN_M, y1: 0, y2: 40, fill: "none", stroke: "currentColor", strokeWidth: 2 }),
          ],
        }), Plot.legend({ color: { type: "linear", domain: [0, 0.2, 0.4, 0.6, 0.8, 1], range: [0, 0.2, 0.4, 0.6, 0.8, 1].map(psiCss), interpolate: "rgb" }, label: "mean ψ", style, width: 240 })));
      }
    }
    $("charts").replaceChildren(...sections, bandSection);
  }

  viewer.addView({
    id: "charts", title: "Distributions", shown: () => viewer.fill($("charts"), "distributions", "The distributions", charts).catch(viewer.failed),
    restyled() { delete $("charts").dataset.shown; if (!$("charts").hidden) this.shown(); },
  });
}
