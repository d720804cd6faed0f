// A second label file: where its ψ differs, from relabel/view/comparison.py.
"use strict";
{
  const { Plot } = libraries;
  const { $, element, number, psiText, isolated, state, section, chart } = viewer;

  const value = (psi) => (psi === null ? "absent" : psi ? psiText(psi) : "0");

  /** Pairs as a table, each with a link to it on the map. */
  function list(pairs) {
    const rows = pairs.map((pair) => {
      const link = element("button", { type: "button", className: "link", title: `${isolated(pair.query)} – ${isolated(pair.database)}: show on the map` }, pair.query);
      link.addEventListener("click", () => viewer.goTo(pair.row, pair.column));
      return element("tr", {}, element("td", { className: "key" }, link), element("td", { className: "key", title: pair.database }, pair.database),
        element("td", {}, value(pair.a)), element("td", {}, value(pair.b)), element("td", {}, signed((pair.b ?? 0) - (pair.a ?? 0))));
    });
    const table = element("table", { className: "pairs" },
      element("thead", {}, element("tr", {}, ...["query", "database", "ψ here", "ψ there", "difference"].map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, ...rows));
    return element("div", { className: "long" }, table);
  }

  const signed = (number) => `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(4)}`;

  function draw(figures) {
    const file = state.contents.compared.file;
    const counts = [
      ["pairs in both", figures.common_pairs], ["only here", figures.only_in_a], ["only there", figures.only_in_b],
      ["flips across 0.5", figures["flips_at_0.5"]], ["largest difference", figures.max_abs_diff_absent_as_0.toFixed(4)],
      ["mean difference", figures.mean_abs_diff_absent_as_0.toFixed(4)],
    ];
    const table = element("table", { className: "figures" }, element("tbody", {}, ...counts.map(([name, count]) =>
      element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, typeof count === "number" ? number(count) : count)))));
    const says = { identical: "Both hold identical content.", equal: "Both hold the same cameras and pairs, equal to within rounding.", different: "" };
    const notes = [says[figures.verdict], ...figures.notes].filter(Boolean).map((note) => element("p", { className: "note" }, `${note.replace(/\bA\b/g, "this file").replace(/\bB\b/g, file)}`));
    if (!figures.queries.common || !figures.database.common) {
      $("compare").replaceChildren(section(`Compared with ${file}`, "The two files have no pair of cameras in common, so nothing can be compared.", ...notes));
      return;
    }
    const sections = [section(`Compared with ${file}`, `Joined by key, as ${figures.measure}. A pair that is absent in one, though both cameras are ok there, counts as 0.`, table, ...notes)];
    const n = figures.histogram.length / 2;
    const bins = figures.histogram.map((count, i) => ({ low: i / n - 1, high: (i + 1) / n - 1, count }));
    if (bins.some((bin) => bin.count)) {
      sections.push(section("Differences", `ψ of ${file} less ψ of this file, on a logarithmic axis.`, viewer.histogram(bins, {
        label: "difference of ψ", domain: [-1, 1], ariaLabel: "histogram of the differences of ψ", fill: "#3b7dd8",
        says: (bin) => `${signed(bin.low)} to ${signed(bin.high)}: ${number(bin.count)} pairs`, marks: [Plot.ruleX([0], { strokeDasharray: "4 3" })],
      })));
      const most = Math.max(...figures.plane.flat());
      const size = figures.plane.length;
      const cells = figures.plane.flatMap((line, i) => line.map((count, j) => ({ x: i / size, y: j / size, count }))).filter((cell) => cell.count);
      sections.push(section("One against the other", "Number of pairs by their ψ in both files, the stronger the colour the more; those on the diagonal agree.", chart({
        height: 480, width: 520, marginLeft: 56, ariaLabel: "ψ of one file against ψ of the other",
        x: { label: "ψ here", domain: [0, 1] }, y: { label: `ψ of ${file}`, domain: [0, 1] },
        marks: [
          Plot.rect(cells, { x1: "x", x2: (cell) => cell.x + 1 / size, y1: "y", y2: (cell) => cell.y + 1 / size, fill: "#3b7dd8",
            fillOpacity: (cell) => 0.12 + 0.8 * (most > 1 ? Math.log(cell.count) / Math.log(most) : 1), inset: 0.5,
            title: (cell) => `ψ ${cell.x.toFixed(2)} to ${(cell.x + 1 / size).toFixed(2)} here, ${cell.y.toFixed(2)} to ${(cell.y + 1 / size).toFixed(2)} there: ${number(cell.count)} pairs` }),
          Plot.line([[0, 0], [1, 1]], { stroke: "currentColor", strokeDasharray: "4 3" }),
          Plot.ruleX([0.5], { strokeDasharray: "2 3" }), Plot.ruleY([0.5], { strokeDasharray: "2 3" }),
        ],
      })));
    }
    const listed = (title, pairs, total, none) => section(title, !pairs.length ? none
      : `The ${number(pairs.length)} that differ most${total > pairs.length ? ` of ${number(total)}` : ""}; a query leads to the pair on the map.`, ...(pairs.length ? [list(pairs)] : []));
    sections.push(listed("Flips across 0.5", figures.flips, figures["flips_at_0.5"], "No pair is on different sides of ψ = 0.5."));
    if (figures.worst.length) sections.push(listed("Pairs that differ most", figures.worst, 0, ""));
    $("compare").replaceChildren(...sections);
  }

  viewer.addView({
    id: "compare", title: "Compare", shown: () => viewer.fill($("compare"), "comparison", "Comparisons", draw).catch(viewer.failed),
    offered: () => Boolean(state.contents.compared?.collections.includes(state.collection)),
    restyled() { delete $("compare").dataset.shown; if (!$("compare").hidden) this.shown(); },
  });
}
