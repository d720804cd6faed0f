// The room: cameras with poses in space, the paths of sequences, a query and its matches.
"use strict";
{
  const { Deck, OrbitView, PathLayer, ScatterplotLayer } = libraries;
  const { $, element, number, dark, rgb, psiColour, psiRamp, legendEntry, state } = viewer;

  const MOST_MOVING = 3000; // cameras that are drawn while the room turns: what software rendering stands
  const MOST_RESTING = 30000;
  const CLICK_PX = 14;
  const REST_MS = 180;
  const TURN_DEG = 10;
  const LINE = 0.4; // of the height of a pyramid
  const QUERY = "#e8590c";
  const SEQUENCE_COLOURS = ["#3b7dd8", "#e07b00", "#2a9d62", "#c2255c", "#7e57c2", "#8a5a44", "#d46bb3", "#6f7d17", "#1298a8", "#a8741a"];
  const ON_TOP = { depthCompare: "always", depthWriteEnabled: false }; // layers are drawn in their order

  const canvas = element("div", { id: "space", className: "canvas" });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "Cameras in the room; the arrow keys walk through the queries");
  const whole = element("button", { type: "button" }, "Whole room");
  const sight = element("span", { id: "room-sight" });
  sight.setAttribute("aria-live", "polite");
  const legendBox = element("ul", { className: "legend" });
  legendBox.setAttribute("aria-label", "Legend of the room");
  const grid = element("span", { className: "scale" });
  document.querySelector("aside").before(element("div", { id: "room", className: "stage" },
    element("div", { className: "tools" }, whole, element("span", { className: "soft" }, "drag to turn, Shift and drag to move, wheel to zoom")),
    canvas, legendBox, element("div", { className: "foot" }, sight, grid)));

  let viewState = null, resting = null, room = null; // what is drawn of the collection, made when the view is first shown

  // --- space: x and y are those of the map, z is up --------------------------------------------------------------------

  function turnedAxes(values, i, centre = [0, 0, 0]) {
    const { axes, upright } = state.scene;
    const [x, y, z] = axes.map((axis) => values[3 * i + axis]);
    return [x - centre[0], y - centre[1], upright * z - centre[2]];
  }

  function measured() {
    const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
    const sides = state.scene.sides.map((cameras) => {
      const rows = [];
      for (let i = 0; i < cameras.n; i++) {
        const at = turnedAxes(cameras.at, i);
        if (!at.every(Number.isFinite)) continue;
        rows.push(i);
        at.forEach((value, axis) => { low[axis] = Math.min(low[axis], value); high[axis] = Math.max(high[axis], value); });
      }
      return { cameras, rows };
    });
    const count = sides.reduce((sum, { rows }) => sum + rows.length, 0);
    const centre = count ? low.map((value, axis) => (value + high[axis]) / 2) : [0, 0, 0];
    const half = count ? high.map((value, axis) => value - centre[axis]) : [0.5, 0.5, 0.5];
    const size = Math.max(0.5, 2 * Math.hypot(...half));
    // The more cameras, the smaller they are drawn.
    return { sides, count, centre, half, size, height: 0.08 * size * Math.min(1, Math.max(0.2, Math.sqrt(200 / Math.max(1, count)))) };
  }

  const at = (cameras, i) => turnedAxes(cameras.at, i, room.centre);
  const ahead = (from, direction, by) => from.map((value, axis) => value + by * direction[axis]);

  function line({ cameras, i }) {
    const from = at(cameras, i);
    return [from, ahead(from, turnedAxes(cameras.facing, i), LINE * room.height)];
  }

  /** The pyramid of what a camera sees, as one line: the axes of an image are right, down, ahead. */
  function pyramid(cameras, i) {
    const apex = at(cameras, i), f = turnedAxes(cameras.facing, i), d = turnedAxes(cameras.down, i);
    const r = [d[1] * f[2] - d[2] * f[1], d[2] * f[0] - d[0] * f[2], d[0] * f[1] - d[1] * f[0]];
    const corner = (x, y) => apex.map((value, axis) => value + room.height * (f[axis] + 0.55 * x * r[axis] + 0.41 * y * d[axis]));
    const [a, b, c, e] = [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)];
    return [apex, a, b, c, e, a, apex, b, apex, c, apex, e];
  }

  /** Lines from frame to frame of each sequence; they break where a frame has no place. */
  function paths({ cameras, rows }) {
    if (!cameras.sequence) return [];
    const lines = new Map();
    let last = -2;
    for (const i of rows) {
      const sequence = cameras.sequence[i];
      const pieces = lines.get(sequence) ?? lines.set(sequence, []).get(sequence);
      if (last === i - 1 && pieces.length && cameras.sequence[last] === sequence) pieces.at(-1).push(at(cameras, i));
      else pieces.push([at(cameras, i)]);
      last = i;
    }
    return [...lines].flatMap(([sequence, pieces]) => pieces.filter((piece) => piece.length > 1).map((path) => ({ path, sequence })));
  }

  /** A grid at the height of the lowest camera, in steps of 1, 2 or 5 of a power of ten. */
  function floor() {
    const power = 10 ** Math.floor(Math.log10(room.size / 4));
    const step = power * [5, 2, 1].find((factor) => factor * power <= room.size / 4);
    const reach = [0, 1].map((axis) => step * (Math.floor(room.half[axis] / step) + 1));
    const lines = [];
    for (const axis of [0, 1]) {
      for (let value = -reach[axis]; value <= reach[axis] + step / 2; value += step) {
        const end = (sign) => { const point = [0, 0, -room.half[2]]; point[axis] = value; point[1 - axis] = sign * reach[1 - axis]; return point; };
        lines.push([end(-1), end(1)]);
      }
    }
    grid.textContent = `lines ${+step.toPrecision(1)} m apart`;
    return lines;
  }

  // --- drawing ---------------------------------------------------------------------------------------------------------

  const isOk = (cameras, i) => cameras.status[i] === 0;
  const unknown = ({ cameras, i }) => (state.query < 0 || cameras !== state.scene.database ? !isOk(cameras, i) : viewer.isUnknown(state.query, i));

  function colour({ cameras, i }) {
    if (state.query >= 0) return rgb(dark.matches ? "#8b97a5" : "#8a95a3", 130);
    if (cameras.sequence && state.scene.sides.length === 1 && cameras.sequences.length > 1) return rgb(SEQUENCE_COLOURS[cameras.sequence[i] % SEQUENCE_COLOURS.length], 220);
    return rgb(cameras.name === "queries" && state.scene.sides.length > 1 ? "#e07b00" : "#3b7dd8", 220);
  }

  function draw(moving = false) {
    if (!room || $("room").hidden) return;
    const every = Math.max(1, Math.ceil(room.count / (moving ? MOST_MOVING : MOST_RESTING)));
    const marks = room.sides.flatMap(({ cameras, rows }) => rows.filter((_, k) => k % every === 0).map((i) => ({ cameras, i })));
    const known = marks.filter((mark) => !unknown(mark)), others = marks.filter(unknown);
    const ink = rgb(dark.matches ? "#ffffff" : "#15202b");
    const layer = (type, id, data, properties) => new type({ id, data, parameters: ON_TOP, ...properties });
    const dots = (id, data, properties) => layer(ScatterplotLayer, id, data, { billboard: true, radiusUnits: "pixels", lineWidthUnits: "pixels", ...properties });
    const lines = (id, data, properties) => layer(PathLayer, id, data, { billboard: true, widthUnits: "pixels", getWidth: 1, ...properties });
    const mark = ({ cameras, i }) => at(cameras, i);
    const stamp = [state.query, dark.matches, room];
    const layers = [
      lines("floor", room.floor, { getPath: (path) => path, getColor: rgb(dark.matches ? "#313b46" : "#d8dde3") }),
      lines("paths", room.paths, { getPath: ({ path }) => path, getColor: rgb(dark.matches ? "#5d6975" : "#aab3bd"), getWidth: 1.5, jointRounded: true }),
      lines("directions", known, { getPath: line, getColor: colour, updateTriggers: { getColor: stamp } }),
      dots("cameras", known, { getPosition: mark, getRadius: room.count > 2000 ? 1.5 : 3, getFillColor: colour, updateTriggers: { getFillColor: stamp } }),
      dots("unknown", others, { getPosition: mark, getRadius: 4, filled: false, stroked: true, getLineWidth: 1.5, getLineColor: ink }),
    ];
    if (state.query >= 0 && state.row) {
      const { queries, database } = state.scene;
      const matches = state.row.matches.filter(({ column }) => room.placed[database.name].has(column)).slice(0, MOST_MOVING).toReversed();
      const pair = viewer.pair();
      layers.push(
        lines("match-lines", matches, { getPath: ({ column: i }) => line({ cameras: database, i }), getColor: ({ value }) => psiColour(value), getWidth: 2, updateTriggers: { getColor: stamp } }),
        dots("matches", matches, { getPosition: ({ column }) => at(database, column), getRadius: 3.5, getFillColor: ({ value }) => psiColour(value), updateTriggers: { getFillColor: stamp } }),
      );
      if (pair && room.placed[database.name].has(pair.column)) layers.push(lines("match", [pair.column], { getPath: (i) => pyramid(database, i), getColor: ink, getWidth: 2, updateTriggers: { getPath: stamp } }));
      if (room.placed[queries.name].has(state.query)) {
        layers.push(
          lines("query-pyramid", [state.query], { getPath: (i) => pyramid(queries, i), getColor: rgb(QUERY), getWidth: 2.5 }),
          dots("query", [state.query], { getPosition: (i) => at(queries, i), getRadius: 5, getFillColor: rgb(QUERY), stroked: true, getLineWidth: 1.5, getLineColor: [255, 255, 255] }),
        );
      }
    }
    deck.setProps({ viewState, layers });
    const missing = state.scene.sides.reduce((sum, cameras) => sum + cameras.n, 0) - room.count;
    const parts = [every > 1 ? `${number(marks.length)} of ${number(room.count)} cameras drawn${moving ? " while the room turns" : ""}` : `${number(room.count)} ${room.count === 1 ? "camera" : "cameras"}`];
    if (missing) parts.push(`${number(missing)} without a pose not in the room`);
    if (room.pathless) parts.push("no column sequence in this file: no paths");
    sight.textContent = room.count ? parts.join(" · ") : "no camera has a pose: there is nothing to draw";
  }

  function legend() {
    const { sides, queries } = state.scene;
    const entries = [];
    if (state.query >= 0) {
      entries.push(psiRamp(), legendEntry(QUERY, "query"), legendEntry("currentColor", "match that is chosen", "outlined"));
    } else {
      const sequences = sides.length === 1 ? queries.sequences?.length ?? 0 : 0;
      if (sides.length > 1) entries.push(legendEntry("#e07b00", "query"), legendEntry("#3b7dd8", "database"));
      else if (sequences > 1) entries.push(element("li", {}, `coloured by sequence, ${number(sequences)}${sequences > SEQUENCE_COLOURS.length ? "; colours repeat" : ""}`));
      entries.push(element("li", {}, "choose a query for its ψ"));
    }
    if (room.sides.some(({ cameras, rows }) => rows.some((i) => unknown({ cameras, i })))) entries.push(legendEntry("currentColor", "unknown", "ring"));
    legendBox.replaceChildren(...entries);
  }

  function showAll() {
    const { clientWidth: width, clientHeight: height } = canvas;
    viewState = { target: [0, 0, 0], rotationX: 35, rotationOrbit: 30, zoom: Math.log2(Math.min(width, height) / (1.05 * room.size)), minZoom: -10, maxZoom: 16, minRotationX: -90, maxRotationX: 90 };
    draw();
  }

  function move(next, still = false) {
    viewState = next;
    clearTimeout(resting);
    if (!still) resting = setTimeout(draw, REST_MS);
    draw(!still && room.count > MOST_MOVING);
  }

  /** Where a camera of the queries is drawn: pixels from the upper left corner of the room. */
  function onScreen(i) {
    return deck.getViewports()[0].project(at(state.scene.queries, i)).slice(0, 2);
  }

  function clicked(x, y) {
    if (!room) return;
    let best = -1, least = CLICK_PX ** 2;
    for (const i of room.placed.queries) {
      const [left, top] = onScreen(i);
      const square = (left - x) ** 2 + (top - y) ** 2;
      if (square < least) [best, least] = [i, square];
    }
    if (best >= 0) viewer.choose(best).catch(viewer.failed);
  }

  const deck = new Deck({
    parent: canvas, onError: (error) => viewer.failed(error), views: new OrbitView({ orbitAxis: "Z", near: 0.001, far: 1000 }), controller: { keyboard: false, doubleClickZoom: false },
    viewState: { target: [0, 0, 0], zoom: 0 }, layers: [], onViewStateChange: ({ viewState: next }) => { if (room) move(next); },
    onAfterRender: () => { if (room) document.body.dataset.room = state.collection; }, // what tests wait for
    getCursor: ({ isDragging }) => (isDragging ? "grabbing" : "crosshair"), useDevicePixels: Math.min(2, devicePixelRatio),
  });

  viewer.onClick(canvas, clicked);

  function shown() {
    if (room) { legend(); draw(); return; }
    room = measured();
    room.floor = floor();
    room.paths = room.sides.flatMap(paths);
    room.pathless = room.sides.every(({ cameras }) => !cameras.sequence);
    room.placed = Object.fromEntries(room.sides.map(({ cameras, rows }) => [cameras.name, new Set(rows)]));
    legend();
    showAll();
  }

  const turn = (by) => () => move({ ...viewState, rotationOrbit: viewState.rotationOrbit + by }, true);
  const tilt = (by) => () => move({ ...viewState, rotationX: Math.max(-90, Math.min(90, viewState.rotationX + by)) }, true);
  const zoom = (by) => () => move({ ...viewState, zoom: viewState.zoom + by }, true);
  whole.addEventListener("click", showAll);
  addEventListener("resize", () => { if (room) draw(); });

  viewer.onScreen = onScreen;
  viewer.addView({
    id: "room", title: "Room", list: true, hints: [["a d w s", "turn"], ["+ −", "zoom"], ["0", "whole room"]], offered: () => state.scene.inSpace, shown,
    opened() { room = null; },
    chosen() { if (room) { legend(); draw(); } },
    matchChosen: () => draw(),
    restyled() { if (room) { legend(); draw(); } },
    keys: { ...viewer.WALKING_KEYS, a: turn(-TURN_DEG), d: turn(TURN_DEG), w: tilt(TURN_DEG), s: tilt(-TURN_DEG), "+": zoom(0.5), "-": zoom(-0.5), "0": showAll },
  });
}
