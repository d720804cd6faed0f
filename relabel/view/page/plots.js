// What the charts of several views have in common.
"use strict";
{
  const { Plot } = libraries;
  const { element, psiCss } = viewer;
  const SHORT = new Intl.NumberFormat("en", { notation: "compact" });

  /** Pixels across a chart: no more than the window has, so that texts keep their size. */
  const within = (wanted) => Math.min(wanted, Math.max(280, document.documentElement.clientWidth - 40));

  /** A chart that is one image to assistive technology, with a name of its own. */
  function chart({ width = 560, ...options }) {
    const drawn = Plot.plot({ width: within(width), marginBottom: 44, style: { background: "transparent", fontSize: "12px", overflow: "visible" }, ...options });
    for (const part of drawn.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
    drawn.setAttribute("role", "img");
    return drawn;
  }

  const section = (title, text, ...children) => element("section", {}, element("h2", {}, title), element("p", {}, text), ...children);

  /** Bars of counts on a logarithmic axis; `bins` have `low`, `high` and `count`. */
  function histogram(bins, { label, fill, says, domain, marks = [], ...options }) {
    const shown = bins.filter((bin) => bin.count);
    const most = Math.max(1, ...shown.map((bin) => bin.count));
    return chart({
      height: 280, marginLeft: 64, x: { label, domain }, ...options,
      y: { type: "log", label: "pairs", grid: true, tickFormat: (count) => (count < 1 ? "" : SHORT.format(count)), domain: [0.8, 1.2 * most] },
      marks: [Plot.rect(shown, { x1: "low", x2: "high", y1: 0.8, y2: "count", fill, inset: 0.5, title: says, tip: false }), ...marks],
    });
  }

  /** The scale of the colours of ψ. */
  function psiLegend(label) {
    const domain = [0, 0.2, 0.4, 0.6, 0.8, 1];
    const style = { background: "transparent", fontSize: "12px", overflow: "visible" };
    return Plot.legend({ color: { type: "linear", domain, range: domain.map(psiCss), interpolate: "rgb" }, label, style, width: 240 });
  }

  Object.assign(viewer, { chart, section, histogram, psiLegend });
}
