// Which collection, query and match are shown, and the views that show them.
"use strict";
{
  const { $, element, source } = viewer;
  const WITHIN_M = 25; // binary positives

  const state = {
    contents: null, collection: null, // what relabel/view/contents.py says, and the name of the collection
    scene: null, // the cameras of the collection
    query: -1, match: -1, // row of the query; number of the match in `row.matches`
    pointed: null, // row and key of a camera of the database that is shown though it is not in the list of matches
    row: null, // the matches of the query, best first, the keys of those that are listed, and what is near the query
  };
  let request = 0; // of the newest query, so that a late answer to an earlier one is dropped

  // --- views and other parts of the page -----------------------------------------------------------------------------

  const parts = [];
  const views = [];

  /**
   * Have a part of the page called when something changes: `opened()` when another collection is shown, `chosen({ move })`
   * when another query is, `matchChosen()`, `pointedTo()` when a camera of the database is shown without a query, and
   * `restyled()` when light becomes dark.
   */
  const addPart = (part) => { parts.push(part); };
  const tell = (what, ...values) => { for (const part of parts) part[what]?.(...values); };

  /**
   * Add a tab and its panel. Beside what a part has, a view has an `id` (of its panel, made here unless the markup has
   * it), a `title`, `shown()`, called when its tab is chosen and when another collection is opened below it, and may have
   * `offered()`, which says whether this collection has anything of the kind, `list`, whether the query and its matches
   * are listed beside it, and `keys`, functions by name of the key, and `hints`, pairs of keys and what they do.
   */
  function addView(view) {
    if (!$(view.id)) document.querySelector("aside").before(element("div", { id: view.id, tabIndex: 0, className: "view" }));
    const panel = $(view.id);
    const tab = element("button", { type: "button", id: `tab-${view.id}` }, view.title);
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", view.id);
    tab.addEventListener("click", () => showView(view.id));
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    $("tabs").append(tab);
    views.push({ ...view, panel, tab });
    addPart(view);
    select(views[0].id);
  }

  function select(id) {
    for (const { id: other, panel, tab } of views) {
      tab.setAttribute("aria-selected", String(other === id));
      panel.hidden = other !== id;
    }
    const { list = false, hints = [] } = currentView();
    document.querySelector("aside").hidden = !list;
    $("hints").replaceChildren(...hints.flatMap(([key, does]) => [" · ", element("kbd", {}, key), ` ${does}`]));
  }

  const currentView = () => views.find(({ panel }) => !panel.hidden);

  function showView(id) {
    select(id);
    if (state.scene) currentView().shown?.();
  }

  // --- a collection --------------------------------------------------------------------------------------------------

  function side(value, arrays, name) {
    const about = value.sides[name];
    const column = (field) => arrays[`${name}.${field}`];
    const [map, fov, radius] = ["map", "fov", "radius"].map(column);
    const at = column("at");
    return {
      name, n: about.count, at: at ?? map, dimensions: at ? 3 : 2, map, heading: column("heading"), ownHeading: column("true_heading") ?? column("heading"), facing: column("facing"), down: column("down"), status: column("status"),
      sequence: column("sequence"), sequences: value.sequences, missing: about.without_place,
      notOk: column("status").reduce((sum, status) => sum + (status > 0), 0),
      fov: (i) => fov?.[i] ?? value.fov_deg,
      radius: (i) => radius?.[i] ?? value.radius_m,
      placed: (i) => !Number.isNaN(map[2 * i]),
    };
  }

  function distance(i, j) {
    const { queries: a, database: b } = state.scene;
    let sum = 0;
    for (let axis = 0; axis < a.dimensions; axis++) {
      const apart = a.at[i * a.dimensions + axis] - b.at[j * b.dimensions + axis];
      sum += apart * apart;
    }
    return Math.sqrt(sum);
  }

  /** How much two headings differ, or the optical axes of two poses, degrees. */
  function turned(i, j) {
    const { queries: { facing: a, ownHeading: h }, database: { facing: b, ownHeading: k } } = state.scene;
    if (a && b) {
      const [x, y] = [a.subarray(3 * i, 3 * i + 3), b.subarray(3 * j, 3 * j + 3)];
      const cross = Math.hypot(x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]);
      return Math.atan2(cross, x[0] * y[0] + x[1] * y[1] + x[2] * y[2]) * 180 / Math.PI;
    }
    const apart = Math.abs(h[i] - k[j]);
    return Math.min(apart, 360 - apart);
  }

  /** Cameras of the database around a query: those within 25 m, the unknown ones, and the number of unknown ones farther away. */
  function neighbours(i, near) {
    const { queries, database, selfPairs, horizontal } = state.scene;
    const { at: a, dimensions } = queries, { at: b, n, notOk } = database;
    const found = { positives: [], unknown: [] };
    for (let j = 0; j < n; j++) {
      let square = 0;
      for (let axis = 0; axis < dimensions; axis++) square += (a[i * dimensions + axis] - b[j * dimensions + axis]) ** 2;
      if (!(square <= 1.01 * near * near) || (selfPairs && i === j)) continue; // of NaN as well
      const apart = distance(i, j);
      if (horizontal && apart <= WITHIN_M) found.positives.push(j);
      if (apart <= near && isUnknown(i, j)) found.unknown.push(j);
    }
    const unknown = queries.status[i] ? n - selfPairs : notOk;
    return { ...found, farUnknown: unknown - found.unknown.length };
  }

  const isUnknown = (i, j) => state.scene.queries.status[i] !== 0 || state.scene.database.status[j] !== 0;

  async function openCollection(name, key = "") {
    Object.assign(state, { collection: name, query: -1, match: -1, row: null, pointed: null, scene: null });
    request++;
    delete document.body.dataset.query;
    const main = document.querySelector("main");
    const { value, arrays } = await source.scene(name).catch((error) => {
      if (name === state.collection) main.hidden = true; // which shows another one
      throw error;
    });
    if (name !== state.collection) return;
    main.hidden = false;
    viewer.succeeded();
    const queries = side(value, arrays, "queries");
    const database = value.self_pairs ? queries : side(value, arrays, "database");
    const sides = value.self_pairs ? [queries] : [database, queries];
    const extent = [[Infinity, Infinity], [-Infinity, -Infinity]];
    for (const cameras of sides) {
      for (let at = 0; at < cameras.map.length; at++) {
        const axis = at % 2, value = cameras.map[at]; // both are NaN where one is, and NaN compares false
        if (value < extent[0][axis]) extent[0][axis] = value;
        if (value > extent[1][axis]) extent[1][axis] = value;
      }
    }
    state.scene = {
      queries, database, sides, extent, selfPairs: value.self_pairs, minValue: value.min_value_text, excluded: value.excluded, fovKnown: value.fov_known,
      statusNames: value.status_names, baseMap: value.base_map, about: value.about, horizontal: !value.in_space, inSpace: value.in_space, axes: value.axes, upright: value.upright, typicalRadius: queries.n ? queries.radius(0) : 50,
    };
    for (const view of views) view.tab.hidden = !(view.offered?.() ?? true);
    if (currentView().tab.hidden) select(views[0].id);
    tell("opened");
    currentView().shown?.();
    if (key) {
      const hit = (await source.search(name, key)).find((one) => one.key === key);
      if (hit) await choose(hit.row, { move: true });
    }
    document.body.dataset.ready = name;
  }

  // --- a query and its matches -----------------------------------------------------------------------------------------

  /** The camera of the database that is shown beside the query: its row as `column` and its `key`; null if none. */
  function pair() {
    const { row, match, pointed } = state;
    if (row?.matches[match]) return { ...row.matches[match], key: row.keys[match] };
    return row && pointed ? { column: pointed.row, key: pointed.key } : null;
  }

  /** Show the matches of a query, and the camera with this row of the database before the best; `move` brings the map there. */
  async function choose(query, { move = false, column = -1 } = {}) {
    const mine = ++request;
    const { collection, scene } = state;
    const { columns, values, stored, key, keys } = await source.row(collection, query);
    if (mine !== request) return;
    const matches = Array.from(columns, (match, at) => ({ column: match, value: values[at] }));
    const near = Math.max(100, 2 * scene.queries.radius(query)); // how far away unknown cameras are drawn
    const row = { key, keys, matches, stored, near, ...neighbours(query, near) };
    const wanted = matches.slice(0, keys.length).findIndex((m) => m.column === column);
    const pointed = column < 0 || wanted >= 0 ? null : { row: column, key: (await source.keys(collection, "database", [column]))[0] };
    if (mine !== request) return;
    viewer.succeeded();
    Object.assign(state, { query, row, pointed, match: pointed ? -1 : wanted >= 0 ? wanted : matches.length ? 0 : -1 });
    tell("chosen", { move });
    document.body.dataset.query = row.key; // what tests and links look at
    history.replaceState(null, "", `#${new URLSearchParams({ collection, query: row.key })}`);
  }

  function chooseMatch(at) {
    if (!state.row?.matches.length) return;
    state.pointed = null;
    state.match = Math.max(0, Math.min(state.row.keys.length - 1, at));
    tell("matchChosen");
  }

  /** Show a query on the map, and of its matches the one with this row of the database: where links of views lead. */
  function goTo(query, column = -1) {
    showView("place");
    choose(query, { move: true, column }).catch(viewer.failed);
  }

  /** Show a camera of the database on the map, without a query. */
  async function pointTo(row) {
    const mine = ++request;
    const { collection } = state;
    showView("place");
    const [key] = await source.keys(collection, "database", [row]);
    if (mine !== request) return;
    Object.assign(state, { query: -1, match: -1, row: null, pointed: { row, key } });
    delete document.body.dataset.query;
    tell("pointedTo");
    document.body.dataset.pointed = key; // what tests look at
    history.replaceState(null, "", `#${new URLSearchParams({ collection })}`);
  }

  const step = (by) => {
    const { query, scene: { queries: { n } } } = state;
    if (n) choose(query < 0 ? (by > 0 ? 0 : n - 1) : (query + by + n) % n, { move: true }).catch(viewer.failed);
  };
  /** Keys of views that show a query and its matches. */
  const WALKING_KEYS = {
    ArrowRight: () => step(1), ArrowLeft: () => step(-1), ArrowDown: () => chooseMatch(state.match + 1), ArrowUp: () => chooseMatch(state.match - 1),
  };

  viewer.dark.addEventListener("change", () => { if (state.scene) tell("restyled"); });
  Object.assign(viewer, {
    WITHIN_M, WALKING_KEYS, state, addPart, addView, showView, currentView, openCollection,
    distance, turned, isUnknown, pair, choose, chooseMatch, goTo, pointTo: (row) => pointTo(row).catch(viewer.failed),
  });
}
