// Search by key, the keyboard, and the start of the page.
"use strict";
{
  const { $, element, failed, source, state } = viewer;

  async function search() {
    const text = $("search").value.trim();
    const hits = text ? await source.search(state.collection, text) : [];
    if (text !== $("search").value.trim()) return [];
    const list = hits.map(({ row: at, key }) => {
      const button = element("button", { type: "button", title: key }, key);
      button.addEventListener("click", () => found(at));
      return element("li", {}, button);
    });
    if (text && !hits.length) list.push(element("li", { className: "empty" }, "no query has this in its key"));
    $("hits").replaceChildren(...list);
    return hits;
  }

  function found(at) {
    $("hits").replaceChildren();
    $("search").blur();
    if (viewer.currentView().list) viewer.choose(at, { move: true }).catch(failed);
    else viewer.goTo(at);
  }

  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input[type=search], select") || event.ctrlKey || event.metaKey || event.altKey || !state.scene) return;
    const action = event.key === "/" ? () => $("search").focus() : viewer.currentView().keys?.[event.key];
    if (action) { event.preventDefault(); action(); }
  });
  $("search").addEventListener("input", () => search().catch(failed));
  $("search").addEventListener("keydown", async (event) => {
    if (event.key === "Escape") { $("search").value = ""; $("hits").replaceChildren(); $("search").blur(); }
    if (event.key === "Enter") {
      const hits = await search().catch(failed) ?? [];
      const hit = hits.find(({ key }) => key === $("search").value.trim()) ?? hits[0];
      if (hit) found(hit.row);
    }
  });
  $("collection").addEventListener("change", () => viewer.openCollection($("collection").value).catch(failed));

  (async () => {
    const contents = state.contents = await source.contents();
    $("file").textContent = document.title = contents.file;
    $("collection").replaceChildren(...contents.collections.map(({ name }) => element("option", { value: name }, name)));
    $("collection").hidden = contents.collections.length < 2;
    $("notes").replaceChildren(...contents.notes.map((note) => element("p", {}, note)));
    const wanted = new URLSearchParams(location.hash.slice(1));
    const name = contents.collections.some((c) => c.name === wanted.get("collection")) ? wanted.get("collection") : contents.collections[0].name;
    $("collection").value = name;
    await viewer.openCollection(name, wanted.get("query") ?? "");
  })().catch(failed);
}
