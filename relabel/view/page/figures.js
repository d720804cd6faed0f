// Figures that need all pairs: computed when a view is shown, of a large collection when they are asked for.
"use strict";
{
  const { element, number, state } = viewer;
  const kept = new Map(); // by collection and name
  const asked = new Set();

  /**
   * Fill the panel of a view by `show(figures, about)` with what a function of relabel/view/figures.py makes of the
   * collection, and with a button or a bar until that is there. `whose` says what needs the pairs.
   */
  async function fill(panel, name, whose, show) {
    const { collection } = state;
    const id = JSON.stringify([collection, name]);
    if (panel.dataset.shown === id) return;
    const about = state.contents.collections.find((one) => one.name === collection);
    if (!kept.has(id)) {
      delete panel.dataset.shown;
      if (about.pairs > state.contents.compute_at_once && viewer.served && !asked.has(id)) {
        const button = element("button", { type: "button" }, `Read all ${number(about.pairs)} pairs`);
        button.addEventListener("click", () => { asked.add(id); fill(panel, name, whose, show).catch(viewer.failed); });
        panel.replaceChildren(element("p", {}, `${whose} need all pairs of the collection. `), button);
        return;
      }
      const bar = element("progress", { max: 1, value: 0 });
      bar.setAttribute("aria-label", "reading pairs");
      panel.replaceChildren(element("p", {}, "Reading all pairs … ", bar));
      try {
        kept.set(id, await viewer.source.figures(collection, name, (share) => { bar.value = share; }));
      } catch (error) {
        if (collection === state.collection) panel.replaceChildren(element("p", { className: "empty" }, `${error.message}`));
        throw error;
      }
      viewer.succeeded();
      if (collection !== state.collection) return;
    }
    panel.dataset.shown = id;
    show(kept.get(id), about);
  }

  viewer.fill = fill;
}
