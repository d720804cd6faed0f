// The panel beside the map: the query in words and images, and the list of its matches.
"use strict";
{
  const { $, element, number, psiText, degrees, metres, psiCss, isolated, state, distance, turned, isUnknown, WITHIN_M } = viewer;

  function showImage(box, side, at, key, caption) {
    const address = state.contents.images && at >= 0 ? viewer.source.image(state.collection, side, at) : null;
    const { surface } = state.contents.collections.find(({ name }) => name === state.collection);
    const why = state.contents.images ? (viewer.served ? "no image" : "no image in this page")
      : viewer.served ? `no images: start with \u2011\u2011${surface ? "root" : "images"} DIR` : "images are not part of this page";
    const placeholder = () => element("div", { className: "placeholder" }, at < 0 ? "no match" : why);
    const image = address ? element("img", { src: address, alt: `${caption}: ${key}` }) : placeholder();
    if (address) image.addEventListener("error", () => image.replaceWith(placeholder()));
    box.replaceChildren(image, element("figcaption", { title: key }, caption));
  }

  /** What is said of a camera beside its key. */
  function factsOf(cameras, i) {
    const { scene } = state;
    const facts = [];
    const status = scene.statusNames[cameras.status[i]];
    if (status !== "ok") facts.push(`status ${status}: nothing is known about its pairs`);
    if (scene.horizontal && Number.isFinite(cameras.ownHeading[i])) facts.push(`heading ${degrees(cameras.ownHeading[i])}`);
    if (scene.fovKnown && Number.isFinite(cameras.fov(i))) facts.push(`field of view ${degrees(cameras.fov(i))}`);
    if (cameras.sequences?.[cameras.sequence?.[i]]) facts.push(`sequence ${isolated(cameras.sequences[cameras.sequence[i]])}`);
    if (!cameras.placed(i)) facts.push("no position: not on the map");
    return facts.join(" · ");
  }

  /** A camera of the database that is shown without a query. */
  function camera() {
    const { scene: { database }, pointed: { row, key } } = state;
    const figure = element("figure");
    showImage(figure, "database", row, key, "database camera");
    $("nothing").replaceChildren(element("h2", { className: "key-in-full" }, key),
      element("p", { className: `facts${database.status[row] ? " warning" : ""}` }, factsOf(database, row)), element("div", { className: "images" }, figure));
    $("nothing").hidden = false;
    $("chosen").hidden = true;
  }

  function panel() {
    const { scene, query, row } = state;
    const { queries, database, selfPairs } = scene;
    $("nothing").hidden = true;
    $("chosen").hidden = false;
    $("query-key").textContent = $("query-key").title = row.key;
    const status = scene.statusNames[queries.status[query]];
    $("facts").textContent = factsOf(queries, query);
    $("facts").classList.toggle("warning", status !== "ok");

    const columns = new Set(row.matches.map((m) => m.column));
    const unknown = row.unknown.length + row.farUnknown;
    const tally = [[`${number(row.stored)} ${row.stored === 1 ? "match" : "matches"}`, `with ψ > ${scene.minValue}`]];
    if (row.stored > row.matches.length) tally.push([number(row.matches.length), "best of them in this page"]);
    if (scene.horizontal) {
      const overlapping = row.positives.filter((j) => columns.has(j)).length;
      const unclear = row.positives.filter((j) => isUnknown(query, j)).length;
      const others = row.positives.length - overlapping - unclear; // where the page has the best matches only, some may overlap
      const parts = [[overlapping, "overlap"], [others, row.stored === row.matches.length ? "do not" : "overlap less or not at all"], [unclear, "unknown"]];
      const counts = parts.filter(([count], at) => count || at === 0).map(([count, text]) => `${number(count)} ${text}`);
      tally.push([number(row.positives.length), `within ${WITHIN_M} m: ${counts.join(", ")}`]);
    }
    tally.push([number(unknown), `unknown${row.unknown.length ? `, ${number(row.unknown.length)} within ${row.near.toFixed(0)} m hatched` : ""}`]);
    const known = database.n - unknown - (selfPairs ? 1 : 0);
    const negatives = Math.max(0, known - row.stored);
    const excluded = scene.excluded ? `, or excluded from training: ${scene.excluded}` : "";
    if (row.stored === row.matches.length) tally.push([number(negatives), `true negative${negatives === 1 ? "" : "s"}${excluded}`]);
    $("tally").replaceChildren(...tally.map(([count, text]) => element("li", {}, element("b", {}, count), ` ${text}`)));

    showImage($("query-image"), "queries", query, row.key, "query");
    const listed = row.matches.slice(0, row.keys.length);
    $("rows").replaceChildren(...listed.map(({ column, value }, at) => {
      const swatch = element("span", { className: "swatch" });
      swatch.style.background = psiCss(value);
      const apart = distance(query, column);
      const line = element("tr", { tabIndex: -1 },
        element("td", {}, swatch, psiText(value)),
        element("td", { className: scene.horizontal && apart <= WITHIN_M ? "within" : "" }, metres(apart)),
        element("td", {}, degrees(turned(query, column))),
        element("td", { className: "key", title: row.keys[at] }, row.keys[at]));
      line.dataset.column = column;
      line.addEventListener("click", () => viewer.chooseMatch(at));
      return line;
    }));
    $("more").textContent = row.matches.length > listed.length ? `${number(row.matches.length - listed.length)} more with less overlap are not listed` : "";
    $("none").hidden = row.stored > 0;
    $("none").textContent = status === "ok" ? `No camera shares a view with it: all known pairs have ψ ≤ ${scene.minValue}.` : "Its similarities are unknown, which is not the same as zero.";
    $("matches").hidden = !listed.length;
    marked();
    requestAnimationFrame(() => {
      if (state.match > 0) matchChosen(); else document.querySelector("aside").scrollTop = 0;
    });
  }

  /** What is known of a pair that is not in the list. */
  function pointedAt({ row: column }) {
    const { scene, query, row } = state;
    const match = row.matches.find((m) => m.column === column);
    const psi = match ? `ψ ${psiText(match.value)}` : isUnknown(query, column) ? "ψ unknown"
      : row.matches.length < row.stored ? "ψ not in this page, or none stored" : `no ψ stored, so at most ${scene.minValue}`;
    return `: ${psi}, ${metres(distance(query, column))} away, turned by ${degrees(turned(query, column))}`;
  }

  function marked() {
    const { row, match, pointed } = state;
    [...$("rows").children].forEach((line, at) => line.setAttribute("aria-current", String(at === match)));
    $("pointed").hidden = !pointed;
    $("pointed").replaceChildren(...(pointed ? [element("bdi", {}, pointed.key), pointedAt(pointed)] : []));
    const { column = -1, value } = row.matches[match] ?? {};
    if (pointed) showImage($("match-image"), "database", pointed.row, pointed.key, "not in the list");
    else showImage($("match-image"), "database", column, row.keys[match] ?? "", match < 0 ? "match" : `match, ψ ${value.toFixed(3)}`);
  }

  function matchChosen() {
    marked();
    $("rows").children[state.match]?.scrollIntoView({ block: "nearest" });
  }

  function nothing() {
    const { about, queries } = state.scene;
    $("about").textContent = about;
    const ok = queries.status.reduce((sum, status) => sum + (status === 0), 0);
    $("nothing").replaceChildren(
      element("h2", {}, "No query chosen"),
      element("p", {}, ok ? "Click a camera on the map, search for a key, or press → for the first query."
        : queries.n ? "No query is ok, so nothing is known about any pair. Colour by status to see why." : "This collection has no queries."));
    $("nothing").hidden = false;
    $("chosen").hidden = true;
  }

  viewer.addPart({ opened: nothing, chosen: panel, matchChosen, pointedTo: camera, restyled() { if (state.row) panel(); } });
}
