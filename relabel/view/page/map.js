// The map: cameras with their fields of view, a query, its matches, and what is near it.
"use strict";
{
  const { Deck, OrthographicView, FillStyleExtension, PathLayer, ScatterplotLayer, SolidPolygonLayer } = libraries;
  const { $, element, number, dark, rgb, psiColour, legendEntry: entry, psiRamp, state, WITHIN_M } = viewer;
  libraries.log.level = 0;

  const MOST_MOVING = 3000; // marks while the map moves: what software rendering stands
  const MOST_SECTORS = 20000; // above, cameras are dots
  const MOST_DOTS = 100000;
  const GLYPH_PX = 13; // how far a field of view reaches on the screen, where it is not drawn at its size
  const CROWDED = 1500; // cameras in sight, above which their fields of view are drawn smaller
  const CLICK_PX = 14;
  const REST_MS = 180;
  const HATCH_PX = 14; // of two stripes
  const PATTERN_UNIT = 512 / 40000000; // what deck.gl takes for a unit of patterns: a metre on its map of the world
  const STATUS_COLOURS = ["#3b7dd8", "#9467bd", "#e07b00", "#c2255c", "#8a5a44", "#d62728", "#7a7a7a"];
  const SEQUENCE_COLOURS = ["#3b7dd8", "#e07b00", "#2a9d62", "#c2255c", "#7e57c2", "#8a5a44", "#d46bb3", "#6f7d17", "#1298a8", "#a8741a"];

  let viewState = { target: [0, 0, 0], zoom: 0 };
  let resting = null, waiting = null, inSight = [];

  /** A field of view as a polygon; a circle where the heading is not known. */
  function sector(cameras, i, radius, fine = false) {
    const [x, y] = [cameras.map[2 * i], cameras.map[2 * i + 1]];
    const heading = cameras.heading[i];
    const whole = !Number.isFinite(heading) || cameras.fov(i) >= 360;
    const fov = whole ? 360 : cameras.fov(i);
    const points = whole ? [] : [[x, y]];
    const steps = Math.max(3, Math.ceil(fov / (fine ? 3 : 15)));
    const reach = Number.isFinite(heading) ? radius : radius * 0.45;
    for (let step = 0; step <= steps; step++) {
      const angle = ((90 - (whole ? 0 : heading) + fov * (0.5 - step / steps)) * Math.PI) / 180;
      points.push([x + reach * Math.cos(angle), y + reach * Math.sin(angle)]);
    }
    return points;
  }

  const scale = () => 2 ** viewState.zoom; // pixels a metre
  const place = (cameras, i) => [cameras.map[2 * i], cameras.map[2 * i + 1]];

  function bounds() {
    const { clientWidth: width, clientHeight: height } = $("map");
    const [half, up] = [(width / 2 + 20) / scale(), (height / 2 + 20) / scale()];
    const [x, y] = viewState.target;
    return [x - half, y - up, x + half, y + up];
  }

  /** Rows in sight of each side, at most about `most` of them, evenly thinned; and how many there are. */
  function camerasInSight(most) {
    const [west, south, east, north] = bounds();
    const rows = state.scene.sides.map(({ n, map }) => {
      const found = new Int32Array(n);
      let count = 0;
      for (let i = 0; i < n; i++) {
        const x = map[2 * i], y = map[2 * i + 1];
        if (x >= west && x <= east && y >= south && y <= north) found[count++] = i;
      }
      return found.subarray(0, count);
    });
    const total = rows.reduce((sum, found) => sum + found.length, 0);
    const every = Math.max(1, Math.ceil(total / most));
    return { total, rows: rows.map((found) => (every === 1 ? found : found.filter((_, at) => at % every === 0))) };
  }

  function baseColour(cameras, i) {
    const mode = $("colour").value;
    if (mode === "psi" && state.query >= 0) return rgb(dark.matches ? "#8b97a5" : "#8a95a3", 90);
    if (mode === "sequence" && cameras.sequence) return rgb(SEQUENCE_COLOURS[cameras.sequence[i] % SEQUENCE_COLOURS.length], 170);
    if (mode !== "psi") return rgb(STATUS_COLOURS[cameras.status[i]] ?? "#7a7a7a", cameras.status[i] ? 220 : 90);
    return rgb(cameras.name === "queries" && state.scene.sides.length > 1 ? "#e07b00" : "#3b7dd8", 150);
  }

  function hatching() {
    const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
    const pen = canvas.getContext("2d");
    pen.lineWidth = 12;
    for (let at = -64; at <= 128; at += 32) {
      pen.beginPath();
      pen.moveTo(at, 80);
      pen.lineTo(at + 96, -16);
      pen.stroke();
    }
    return canvas.toDataURL();
  }
  const HATCH = hatching();

  const marks = [];
  /** Have more on the map: `layers()`, and `legend()` with colour, text and kind of each entry. */
  viewer.addMarks = (more) => { marks.push(more); };
  viewer.redraw = () => { legend(); draw(); };

  /** A camera of the database that is no match. */
  function pointed() {
    const { database } = state.scene;
    const i = state.pointed?.row;
    if (i === undefined || !database.placed(i)) return [];
    const ink = rgb(dark.matches ? "#ffffff" : "#15202b");
    const path = sector(database, i, database.radius(i), true);
    return [
      new PathLayer({ id: "pointed", data: [[...path, path[0]]], getPath: (line) => line, getColor: ink, widthUnits: "pixels", getWidth: 2, jointRounded: true }),
      new ScatterplotLayer({ id: "pointed at", data: [i], getPosition: (j) => place(database, j), radiusUnits: "pixels", getRadius: 4, getFillColor: ink }),
    ];
  }

  function overlays() {
    if (state.query < 0 || !state.row) return [];
    const { queries, database } = state.scene;
    const ink = rgb(dark.matches ? "#ffffff" : "#15202b");
    const glyph = (i, factor) => Math.min(database.radius(i), (factor * GLYPH_PX) / scale());
    const full = $("full").checked;
    const shown = state.row.matches.filter((m) => database.placed(m.column)).slice(0, MOST_MOVING);
    const psi = shown.toReversed().map(({ column, value }) => ({
      polygon: sector(database, column, full ? database.radius(column) : glyph(column, 1.7)), value,
    }));
    const layers = [
      new SolidPolygonLayer({
        id: "unknown", data: state.row.unknown.filter((j) => database.placed(j)).slice(0, MOST_MOVING),
        getPolygon: (j) => sector(database, j, glyph(j, 1.7)),
        getFillColor: rgb(dark.matches ? "#c9d1da" : "#4a5560"),
        fillPatternAtlas: HATCH, fillPatternMapping: { hatch: { x: 0, y: 0, width: 64, height: 64, mask: true } },
        getFillPattern: () => "hatch", getFillPatternScale: HATCH_PX / 64 / scale() / PATTERN_UNIT, getFillPatternOffset: [0, 0],
        extensions: [new FillStyleExtension({ pattern: true })],
        updateTriggers: { getPolygon: [viewState.zoom, full], getFillPatternScale: viewState.zoom },
      }),
      new SolidPolygonLayer({
        id: "matches", data: psi, getPolygon: (m) => m.polygon, getFillColor: (m) => psiColour(m.value, full ? 90 : 235),
      }),
      new ScatterplotLayer({
        id: "positives", data: state.row.positives.filter((j) => database.placed(j)).slice(0, MOST_MOVING),
        getPosition: (j) => place(database, j), radiusUnits: "pixels", getRadius: 6, filled: false, stroked: true,
        lineWidthUnits: "pixels", getLineWidth: 1.5, getLineColor: ink,
      }),
    ];
    const outlines = [];
    if (queries.placed(state.query)) {
      outlines.push({ path: sector(queries, state.query, queries.radius(state.query), true), colour: rgb("#e8590c"), width: 2.5 });
      layers.unshift(
        new SolidPolygonLayer({
          id: "field", data: [state.query], getPolygon: (i) => sector(queries, i, queries.radius(i), true), getFillColor: rgb("#e8590c", 45),
        }),
        new ScatterplotLayer({
          id: "within", data: [state.query], getPosition: (i) => place(queries, i), getRadius: WITHIN_M, filled: false, stroked: true,
          lineWidthUnits: "pixels", getLineWidth: 1, getLineColor: [...ink.slice(0, 3), 150], visible: state.scene.horizontal,
        }),
      );
      layers.push(new ScatterplotLayer({
        id: "query", data: [state.query], getPosition: (i) => place(queries, i), radiusUnits: "pixels", getRadius: 5,
        getFillColor: rgb("#e8590c"), stroked: true, lineWidthUnits: "pixels", getLineWidth: 1.5, getLineColor: [255, 255, 255],
      }));
    }
    const column = state.row.matches[state.match]?.column;
    if (column !== undefined && database.placed(column)) {
      outlines.push({ path: sector(database, column, database.radius(column), true), colour: ink, width: 2 });
    }
    layers.push(new PathLayer({
      id: "outlines", data: outlines.map((line) => ({ ...line, path: [...line.path, line.path[0]] })), getPath: (line) => line.path,
      getColor: (line) => line.colour, widthUnits: "pixels", getWidth: (line) => line.width, jointRounded: true,
    }));
    return layers;
  }

  /** The cameras in sight as one layer, and how many they are; the same one again while nothing of it has changed. */
  function base(moving) {
    const mode = $("colour").value;
    // Full fields of cameras that share nothing with the query would cover those that do.
    const full = $("full").checked && !moving && !(mode === "psi" && state.query >= 0);
    const drawn = [inSight, viewState.zoom, mode, full, dark.matches, state.query >= 0];
    if (base.drawn?.every((value, at) => value === drawn[at])) return base.made;
    base.drawn = drawn;
    const marks = state.scene.sides.flatMap((cameras, s) => Array.from(inSight.rows[s], (i) => ({ cameras, i })));
    const count = marks.length;
    const standsOut = ({ cameras, i }) => mode === "status" && cameras.status[i] > 0;
    if (mode === "status") marks.sort((a, b) => standsOut(a) - standsOut(b));
    const colours = new Uint8Array(4 * count);
    marks.forEach(({ cameras, i }, at) => {
      const [red, green, blue, alpha] = baseColour(cameras, i);
      colours.set([red, green, blue, full ? alpha / 4 : alpha], 4 * at);
    });
    let layer;
    if (count <= MOST_SECTORS) {
      const glyph = count > CROWDED ? 0.6 * GLYPH_PX : GLYPH_PX;
      const reach = ({ cameras, i }) => full ? cameras.radius(i) : Math.min(cameras.radius(i), glyph / scale());
      layer = new SolidPolygonLayer({
        id: "sectors", data: marks, getPolygon: (mark) => sector(mark.cameras, mark.i, reach(mark)),
        getFillColor: (_, { index }) => colours.subarray(4 * index, 4 * index + 4),
      });
    } else {
      const places = new Float32Array(2 * count);
      marks.forEach(({ cameras, i }, at) => { [places[2 * at], places[2 * at + 1]] = [cameras.map[2 * i], cameras.map[2 * i + 1]]; });
      layer = new ScatterplotLayer({
        id: "dots", radiusUnits: "pixels", getRadius: 1.5,
        data: { length: count, attributes: { getPosition: { value: places, size: 2 }, getFillColor: { value: colours, size: 4 } } },
      });
    }
    base.made = { layer, count };
    return base.made;
  }

  function draw(moving = false) {
    if (!state.scene || $("place").hidden) return;
    if (!Number.isFinite(state.scene.extent[0][0])) {
      deck.setProps({ layers: [] });
      $("sight").textContent = "no camera has a position: there is nothing to draw";
      return;
    }
    if (moving || !inSight.rows) inSight = camerasInSight(moving ? MOST_MOVING : MOST_DOTS);
    const { layer, count } = base(moving);
    deck.setProps({ viewState, layers: [...viewer.tileLayers(bounds(), scale(), !moving), layer, ...overlays(), ...pointed(), ...marks.flatMap((more) => more.layers())] });
    describeSight(moving, count);
    scaleBar();
  }

  function describeSight(moving, drawn) {
    const missing = state.scene.sides.reduce((sum, cameras) => sum + cameras.missing, 0);
    const parts = [drawn < inSight.total
      ? `${number(drawn)} of ${number(inSight.total)} cameras in sight drawn${moving ? " while the map moves" : ": zoom in for all"}`
      : `${number(inSight.total)} ${inSight.total === 1 ? "camera" : "cameras"} in sight`];
    if (missing) parts.push(`${number(missing)} without a position not on the map`);
    if (drawn > MOST_SECTORS) parts.push("drawn as dots");
    else if (!$("full").checked) parts.push("fields of view shortened");
    $("sight").textContent = [...parts, ...viewer.tileNotes()].join(" · ");
  }

  function scaleBar() {
    const metres = 110 / scale();
    const power = 10 ** Math.floor(Math.log10(metres));
    const length = power * [5, 2, 1].find((step) => step * power <= metres);
    $("scale-bar").style.width = `${length * scale()}px`;
    $("scale-text").textContent = length >= 1000 ? `${number(length / 1000)} km` : `${number(+length.toPrecision(1))} m`;
  }

  function rest() {
    resting = null;
    inSight = [];
    draw();
  }

  /** Draw all once the map has stood still for a while, and what was drawn of it last is seen. */
  function restSoon() {
    clearTimeout(resting);
    const mine = resting = setTimeout(() => requestAnimationFrame(() => { if (resting === mine) rest(); }), REST_MS);
  }

  function shown() {
    if (waiting) waiting(); else rest();
  }

  function move(next) {
    viewState = { ...next, transitionDuration: 0 };
    restSoon();
    draw(inSight.total > MOST_MOVING || !inSight.rows);
  }

  /** Move to where these points fill the map; as soon as it has a size, where another view is shown. */
  function show(points, atLeast) {
    const finite = points.filter((point) => point.every(Number.isFinite));
    waiting = $("place").hidden ? () => show(points, atLeast) : null;
    if (waiting) return;
    if (!finite.length) { draw(); return; }
    const box = [0, 1].map((axis) => finite.reduce(([low, high], p) => [Math.min(low, p[axis]), Math.max(high, p[axis])], [Infinity, -Infinity]));
    const { clientWidth: width, clientHeight: height } = $("map");
    const [wide, tall] = box.map(([low, high]) => Math.max(high - low, atLeast) * 1.15);
    const zoom = Math.log2(Math.min(width / wide, height / tall));
    inSight = [];
    move({ target: [...box.map(([low, high]) => (low + high) / 2), 0], zoom, minZoom: -20, maxZoom: 14 });
  }

  const showAll = () => show(state.scene.extent, 2 * state.scene.typicalRadius);

  function showQuery() {
    if (!state.scene.queries.placed(state.query)) return;
    const reach = Math.max(state.scene.queries.radius(state.query), state.scene.horizontal ? WITHIN_M : 0);
    const [x, y] = place(state.scene.queries, state.query);
    const shown = state.pointed ? [state.pointed.row] : state.row.matches.slice(0, 500).map((m) => m.column);
    show([[x - reach, y - reach], [x + reach, y + reach], ...shown.map((column) => place(state.scene.database, column))], reach);
  }

  function showPointed() {
    const { database } = state.scene;
    const [x, y] = place(database, state.pointed.row);
    const reach = database.radius(state.pointed.row);
    show([[x - reach, y - reach], [x + reach, y + reach]], reach);
  }

  function clicked(x, y) {
    if (!state.scene) return;
    const [east, north] = deck.getViewports()[0].unproject([x, y]);
    const within = CLICK_PX / scale();
    let best = -1, least = within * within;
    const { map, n } = state.scene.queries;
    for (let i = 0; i < n; i++) {
      const square = (map[2 * i] - east) ** 2 + (map[2 * i + 1] - north) ** 2;
      if (square <= least && (square < least || best < 0)) [best, least] = [i, square];
    }
    if (best >= 0) viewer.choose(best).catch(viewer.failed);
  }

  const deck = new Deck({
    parent: $("map"), onError: (error) => viewer.failed(error), views: new OrthographicView({ flipY: false }), controller: { keyboard: false, doubleClickZoom: false },
    viewState, layers: [], onViewStateChange: ({ viewState: next }) => move(next),
    getCursor: ({ isDragging }) => (isDragging ? "grabbing" : "crosshair"), useDevicePixels: Math.min(2, devicePixelRatio),
  });

  viewer.onClick($("map"), clicked);

  function legend() {
    const mode = $("colour").value;
    const entries = [];
    if (mode === "status") {
      const counts = new Map();
      for (const cameras of state.scene.sides) for (const status of cameras.status) counts.set(status, (counts.get(status) ?? 0) + 1);
      for (const [status, count] of [...counts].sort((a, b) => b[1] - a[1])) entries.push(entry(STATUS_COLOURS[status], `${state.scene.statusNames[status]} (${number(count)})`));
    } else if (mode === "sequence") {
      const count = state.scene.queries.sequences?.length ?? 0;
      entries.push(element("li", {}, count ? `${number(count)} ${count === 1 ? "sequence" : "sequences"}${count > SEQUENCE_COLOURS.length ? "; colours repeat" : ""}` : "no column sequence in this file"));
    } else if (state.query < 0) {
      if (state.scene.sides.length > 1) entries.push(entry("#e07b00", "query"), entry("#3b7dd8", "database"));
      if (state.scene.queries.n) entries.push(element("li", {}, "choose a query for its ψ"));
    }
    if (state.query >= 0) {
      entries.push(psiRamp(), entry("#e8590c", "query"));
      if (state.scene.horizontal) entries.push(entry("currentColor", `within ${WITHIN_M} m (binary positive)`, "ring"));
      if (state.row.unknown.length) entries.push(entry("currentColor", "unknown", "hatched"));
    }
    entries.push(...marks.flatMap((more) => more.legend()).map((one) => entry(...one)));
    $("legend").replaceChildren(...entries);
  }

  viewer.addView({
    id: "place", title: "Map", list: true, hints: [["f", "full fields of view"], ["0", "whole map"]], shown,
    opened() {
      for (const option of $("colour").options) option.disabled = option.value === "sequence" && !state.scene.sides.some((cameras) => cameras.sequence);
      if ($("colour").selectedOptions[0].disabled) $("colour").value = "psi";
      inSight = [];
      legend();
      waiting = showAll;
    },
    chosen({ move: moves }) {
      legend();
      if (moves) showQuery(); else draw();
    },
    matchChosen: () => draw(),
    pointedTo() { legend(); showPointed(); },
    restyled() { legend(); draw(); },
    keys: {
      ...viewer.WALKING_KEYS,
      "0": showAll, "+": () => move({ ...viewState, zoom: viewState.zoom + 0.5 }), "-": () => move({ ...viewState, zoom: viewState.zoom - 0.5 }),
      n: () => viewer.stepCase(1), p: () => viewer.stepCase(-1),
      f() { $("full").checked = !$("full").checked; draw(); },
    },
  });
  $("colour").addEventListener("change", () => { legend(); draw(); });
  $("full").addEventListener("change", () => draw());
  $("whole").addEventListener("click", () => showAll());
  addEventListener("resize", () => { if (state.scene) restSoon(); });
}
