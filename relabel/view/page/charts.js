// Distributions: how ψ is spread, from relabel/report/distributions.py.
"use strict";
{
  const { Plot } = libraries;
  const { $, element, number, psiCss, state, section, chart, WITHIN_M } = viewer;

  function charts(figures, about) {
    const bands = figures.bands.map((band) => element("tr", {}, element("th", { scope: "row" }, band.name), element("td", {}, number(band.pairs)),
      element("td", {}, band.mean === null ? "–" : band.mean.toFixed(1)), element("td", {}, number(band.empty))));
    const table = element("table", { className: "figures" },
      element("thead", {}, element("tr", {}, ...["band", "pairs", "mean a query", "queries with none"].map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, ...bands));
    const sections = [];
    const stored = figures.stored < figures.known ? `${number(figures.stored)} of ${number(figures.known)} known pairs are stored; all others have ψ ≤ ${state.scene.minValue}.` : `All ${number(figures.known)} known pairs are stored.`;
    const bandSection = section("Bands", stored, table);
    if (!figures.known) {
      $("charts").replaceChildren(section("No known pairs", "This collection has no pair of two cameras that are ok, so there is nothing to draw."));
      return;
    }
    if (!about.pairs) {
      sections.push(element("p", { className: "empty" }, "No known pair of this collection has a view in common, so there is nothing to draw."));
    } else {
      const n = figures.histogram.length;
      const bins = figures.histogram.map((count, i) => ({ low: i / n, high: (i + 1) / n, count }));
      sections.push(section("ψ of the stored pairs", "Number of pairs by ψ, on a logarithmic axis.", viewer.histogram(bins, {
        label: "ψ", domain: [0, 1], ariaLabel: "histogram of ψ", fill: (bin) => psiCss((bin.low + bin.high) / 2),
        says: (bin) => `ψ ${bin.low.toFixed(2)} to ${bin.high.toFixed(2)}: ${number(bin.count)} pairs`, marks: [Plot.ruleX([0.5], { strokeDasharray: "4 3" })],
      })));
      const { distance_m: step, heading_deg: turn, pairs, mean, in_space: inSpace } = figures.plane;
      const cells = pairs.flatMap((line, i) => line.map((count, j) => ({ x: i * step, y: j * turn, count, mean: mean[i][j] }))).filter((cell) => cell.count);
      const beyond = figures.plane.beyond ? ` ${number(figures.plane.beyond)} pairs are farther apart than is drawn.` : "";
      const without = figures.plane.without ? ` ${number(figures.plane.without)} lack ${inSpace ? "a pose" : "a position or a heading"}.` : "";
      if (cells.length) {
        const boxed = step * pairs.length >= WITHIN_M;  // a room is smaller
        const boxText = boxed ? ` The box is what binary labels call the same place: ${WITHIN_M} m and 40°.` : "";
        sections.push(section("Distance and heading", `Mean ψ of the stored pairs.${boxText}${beyond}${without}`, chart({
          height: 340, marginLeft: 56, ariaLabel: "mean ψ by distance and difference of heading",
          x: { label: "distance, m", domain: [0, step * pairs.length] }, y: { label: inSpace ? "angle between optical axes, °" : "difference of heading, °", domain: [0, 180], ticks: [0, 40, 90, 135, 180] },
          marks: [
            Plot.rect(cells, { x1: "x", x2: (cell) => cell.x + step, y1: "y", y2: (cell) => cell.y + turn, fill: (cell) => psiCss(cell.mean),
              title: (cell) => `${+cell.x.toFixed(3)} to ${+(cell.x + step).toFixed(3)} m, ${cell.y} to ${cell.y + turn}°: mean ψ ${cell.mean.toFixed(3)} of ${number(cell.count)} pairs` }),
            Plot.rect(boxed ? [0] : [], { x1: 0, x2: WITHIN_M, y1: 0, y2: 40, fill: "none", stroke: "currentColor", strokeWidth: 2 }),
          ],
        }), viewer.psiLegend("mean ψ")));
      }
      if (figures.gaps) sections.push(gaps(figures.gaps));
    }
    $("charts").replaceChildren(...sections, bandSection);
  }

  /** ψ by the time between two images of a sequence: of each step of time the shares of its pairs, and their mean. */
  function gaps({ unit, edges, pairs, mean, of_two_sequences: others, without }) {
    // Steps are drawn equally wide: each is twice as long as the one before.
    const cells = pairs.flatMap((line, step) => {
      const all = line.reduce((sum, count) => sum + count, 0);
      return line.map((count, i) => ({ step, low: i / line.length, high: (i + 1) / line.length, count, share: count / all, all }));
    }).filter((cell) => cell.count);
    const means = mean.map((value, step) => ({ step: step + 0.5, value, all: pairs[step].some((count) => count) })).filter((one) => one.all);
    const gap = (value) => (unit === "frames" ? number(value) : value < 60 ? `${+value.toPrecision(2)} s` : value < 5400 ? `${Math.round(value / 60)} min`
      : value < 172800 ? `${Math.round(value / 3600)} h` : `${number(Math.round(value / 86400))} d`);
    const left = [others && `${number(others)} pairs of two sequences`, without && `${number(without)} pairs without a ${unit === "s" ? "time" : "sequence or frame"}`].filter(Boolean);
    const every = Math.ceil(edges.length / 9);
    const title = unit === "s" ? "Time between two images" : "Frames between two images";
    const leftOut = left.length ? ` Left out: ${left.join(", ")}.` : "";
    if (!pairs.length) return section(title, `No stored pair is of one sequence.${leftOut}`);
    return section(title, `Stored pairs of a sequence: how ψ is spread after each gap, and its mean as a line.${leftOut}`, viewer.chart({
        height: 340, marginLeft: 56, ariaLabel: "ψ by the time between two images of a sequence",
        x: { label: unit === "s" ? "time between them" : "frames between them", domain: [0, pairs.length], ticks: edges.map((_, i) => i).filter((i) => i % every === 0), tickFormat: (i) => gap(edges[i]) },
        y: { label: "ψ", domain: [0, 1] },
        marks: [
          Plot.rect(cells, { x1: "step", x2: (cell) => cell.step + 1, y1: "low", y2: "high", fill: "#3b7dd8", fillOpacity: (cell) => 0.08 + 0.72 * cell.share,
            title: (cell) => `${gap(edges[cell.step])} to ${gap(edges[cell.step + 1])}, ψ ${cell.low.toFixed(1)} to ${cell.high.toFixed(1)}: ${number(cell.count)} of ${number(cell.all)} pairs` }),
          Plot.line(means, { x: "step", y: "value", stroke: "#e8590c", strokeWidth: 2.5 }), Plot.dot(means, { x: "step", y: "value", fill: "#e8590c", r: 3 }),
        ],
      }));
  }

  viewer.addView({
    id: "charts", title: "Distributions", shown: () => viewer.fill($("charts"), "distributions", "The distributions", charts).catch(viewer.failed),
    restyled() { delete $("charts").dataset.shown; if (!$("charts").hidden) this.shown(); },
  });
}
