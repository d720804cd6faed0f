// ψ as an image: rows and columns in the order of the file, from relabel/view/matrix.py.
"use strict";
{
  const { Plot } = libraries;
  const { $, element, number, psiText, psiColour, psiRamp, rgb, legendEntry, state } = viewer;

  const LEAST = 4; // rows or columns in sight
  const REST_MS = 200;
  const ZOOM = 1.5;
  const DRAG_PX = 4;
  const MARGINS = { top: 34, right: 20, bottom: 16, left: 64 };
  const MOST_RULES = 60; // lines where sequences begin
  const MOST_CELL = 60; // pixels of a pair
  const THIN = 140; // pixels of the shorter side, at the least

  const kind = element("select", { id: "matrix-kind" }, element("option", { value: "max" }, "largest ψ"), element("option", { value: "mean" }, "mean ψ"));
  const nearer = element("button", { type: "button", title: "nearer" }, "+");
  const farther = element("button", { type: "button", title: "farther" }, "−");
  const whole = element("button", { type: "button" }, "Whole matrix");
  const box = element("div", { className: "canvas", id: "matrix-box" });
  const legendBox = element("ul", { className: "legend inline" });
  legendBox.setAttribute("aria-label", "Legend of the matrix");
  const readout = element("span", { id: "matrix-readout" });
  readout.setAttribute("aria-live", "polite");
  const cells = element("span", { className: "soft", id: "matrix-cells" });
  document.querySelector("aside").before(element("div", { id: "matrix", className: "stage" },
    element("div", { className: "tools" }, element("label", {}, "Cells show the ", kind), nearer, farther, whole, cells),
    box, element("div", { className: "foot" }, legendBox, readout)));

  let region = null; // rows and columns in sight
  let images = []; // of the whole and of the region, as the source made them: { rows, columns, step, shape, max, mean, urls }
  let plot = null, size = null, resting = null, request = 0;
  const asked = new Set(); // large collections whose pairs may be read

  const nothing = () => (viewer.dark.matches ? "#12171d" : "#ffffff"); // the colour of no overlap, that of the page
  const full = () => ({ rows: [0, state.scene.queries.n], columns: [0, state.scene.database.n] });
  const span = ([first, end]) => end - first;
  const same = (a, b) => a.rows.join() === b.rows.join() && a.columns.join() === b.columns.join();

  // --- drawing ---------------------------------------------------------------------------------------------------------

  /** The address of an image of one kind of cells; clear where nothing is known. */
  function address(image) {
    const name = kind.value + viewer.dark.matches;
    if (!image.urls[name]) {
      const [height, width] = image.shape;
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const pen = canvas.getContext("2d"), data = pen.createImageData(width, height);
      const palette = Array.from({ length: 257 }, (_, k) => psiColour(k / 256));
      image[kind.value].forEach((value, k) => { if (!Number.isNaN(value)) data.data.set(value ? palette[Math.round(256 * value)] : rgb(nothing()), 4 * k); });
      pen.putImageData(data, 0, 0);
      image.urls[name] = canvas.toDataURL();
    }
    return image.urls[name];
  }

  const svg = (text) => () => { const group = document.createElementNS("http://www.w3.org/2000/svg", "g"); group.innerHTML = text; return group; };
  const HATCH = svg('<defs><pattern id="matrix-hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="1.5" height="6" fill="currentColor" opacity="0.35"/></pattern></defs>');

  /** Where sequences begin among these cameras, in sight. */
  function beginnings(cameras, [first, end]) {
    const starts = [];
    if (!cameras.sequence) return starts;
    for (let i = Math.max(1, Math.ceil(first)); i < end && starts.length <= MOST_RULES; i++) if (cameras.sequence[i] !== cameras.sequence[i - 1]) starts.push(i);
    return starts.length > MOST_RULES ? [] : starts;
  }

  function draw() {
    if (!images.length || !region) return;
    const { queries, database } = state.scene;
    const { top, right, bottom, left } = MARGINS;
    legend(); // before the room that it leaves is measured
    const room = [box.clientWidth - left - right, box.clientHeight - top - bottom];
    const scale = Math.min(MOST_CELL, room[0] / span(region.columns), room[1] / span(region.rows));
    size = [Math.max(THIN, scale * span(region.columns)), Math.max(THIN, scale * span(region.rows))];
    const marks = [HATCH, Plot.rect([0], { x1: region.columns[0], x2: region.columns[1], y1: region.rows[0], y2: region.rows[1], fill: "url(#matrix-hatch)" })];
    for (const image of images) {
      const across = image.shape[1] * image.step, down = image.shape[0] * image.step;
      marks.push(Plot.image([0], {
        x: image.columns[0] + across / 2, y: image.rows[0] + down / 2, width: (across * size[0]) / span(region.columns), height: (down * size[1]) / span(region.rows),
        src: address(image), preserveAspectRatio: "none", imageRendering: "pixelated", clip: true,
      }));
    }
    marks.push(Plot.ruleY(beginnings(queries, region.rows), { strokeOpacity: 0.22 }), Plot.ruleX(beginnings(database, region.columns), { strokeOpacity: 0.22 }), Plot.frame());
    const pair = viewer.pair();
    if (state.query >= 0) {
      const line = { y1: state.query, y2: state.query + 1, fill: "none", stroke: "#e8590c", strokeWidth: 1.5, clip: true };
      marks.push(Plot.rect([0], { ...line, x1: 0, x2: database.n }));
      if (pair) marks.push(Plot.rect([0], { ...line, x1: pair.column, x2: pair.column + 1, strokeWidth: 3 }));
    }
    const whole = (value) => (Number.isInteger(value) ? number(value) : "");
    plot = Plot.plot({
      width: left + size[0] + right, height: top + size[1] + bottom, marginTop: top, marginRight: right, marginBottom: bottom, marginLeft: left,
      style: { background: "transparent", fontSize: "12px" },
      x: { domain: region.columns, axis: "top", label: state.scene.selfPairs ? "the same as database →" : "database →", tickFormat: whole },
      y: { domain: region.rows, reverse: true, label: "↓ queries, in the order of the file", tickFormat: whole }, marks,
    });
    for (const part of plot.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", "ψ of queries and database cameras");
    box.replaceChildren(plot);
    const { step } = images.at(-1);
    cells.textContent = step > 1 ? `each cell is ${number(step)} × ${number(step)} pairs${viewer.served ? "; zoom in for single ones" : ""}` : "each cell is one pair";
    kind.disabled = images.every((image) => image.step === 1);
  }

  function legend() {
    const entries = [psiRamp(), legendEntry(nothing(), `ψ ≤ ${state.scene.minValue}`, "square"), legendEntry("currentColor", state.scene.selfPairs ? "unknown, or a camera with itself" : "unknown", "hatched")];
    if (state.scene.sides.some((cameras, k) => beginnings(cameras, k === state.scene.sides.length - 1 ? region.rows : region.columns).length)) entries.push(legendEntry("currentColor", "a sequence begins", "line"));
    if (state.query >= 0) entries.push(legendEntry("#e8590c", "query and match", "outlined"));
    legendBox.replaceChildren(...entries);
  }

  // --- what is asked for -----------------------------------------------------------------------------------------------

  async function fetched(wanted, progress) {
    const { arrays, value } = await viewer.source.matrix(state.collection, wanted.rows, wanted.columns, progress);
    return { ...value, ...arrays, urls: {} };
  }

  async function load() {
    const mine = ++request;
    const { collection } = state;
    const about = state.contents.collections.find(({ name }) => name === collection);
    if (!state.scene.queries.n || !state.scene.database.n) {
      box.replaceChildren(element("p", { className: "empty" }, "This collection has no queries or no database, so there is no matrix."));
      return;
    }
    if (about.pairs > state.contents.compute_at_once && viewer.served && !asked.has(collection)) {
      const button = element("button", { type: "button" }, `Read all ${number(about.pairs)} pairs`);
      button.addEventListener("click", () => { asked.add(collection); load().catch(viewer.failed); });
      box.replaceChildren(element("p", { className: "empty" }, "The matrix needs all pairs of the file. ", button));
      return;
    }
    const bar = element("progress", { max: 1, value: 0 });
    bar.setAttribute("aria-label", "reading pairs");
    box.replaceChildren(element("p", { className: "empty" }, "Reading all pairs … ", bar));
    const image = await fetched(full(), (share) => { bar.value = share; }).catch((error) => {
      if (mine === request) box.replaceChildren(element("p", { className: "empty" }, error.message));
      throw error;
    });
    if (mine !== request) return;
    viewer.succeeded();
    images = [image];
    region = full();
    include();
    draw();
    document.body.dataset.matrix = collection;
  }

  /** Ask for the region in sight in more detail, where there is any. */
  async function detail() {
    const mine = ++request;
    const wanted = { rows: region.rows.map(Math.round), columns: region.columns.map(Math.round) };
    if (!viewer.served || images[0].step === 1 || same(wanted, full())) return;
    const image = await fetched(wanted);
    if (mine !== request) return;
    images = [images[0], image];
    draw();
    document.body.dataset.matrixStep = image.step;
  }

  function look(next) {
    const within = ([first, end], count) => {
      const length = Math.min(count, Math.max(Math.min(LEAST, count), end - first));
      const start = Math.max(0, Math.min(count - length, first));
      return [start, start + length];
    };
    region = { rows: within(next.rows, state.scene.queries.n), columns: within(next.columns, state.scene.database.n) };
    if (same(region, full())) images.length = 1;
    draw();
    clearTimeout(resting);
    resting = setTimeout(() => detail().catch(viewer.failed), REST_MS);
  }

  /** Zoom about a pair of numbers, else about the chosen pair or the middle. */
  function zoom(factor, about = null) {
    if (!images.length) return;
    const pair = viewer.pair();
    const [y, x] = about ?? (pair ? [state.query + 0.5, pair.column + 0.5] : [region.rows, region.columns].map(([a, b]) => (a + b) / 2));
    const around = ([first, end], centre) => [centre - (centre - first) / factor, centre + (end - centre) / factor];
    look({ rows: around(region.rows, y), columns: around(region.columns, x) });
  }

  /** Bring the chosen pair into sight. */
  function include() {
    if (!images.length || state.query < 0) return;
    const moved = ([first, end], at) => (at < Math.floor(first) || at + 1 > Math.ceil(end) ? [at + 0.5 - (end - first) / 2, at + 0.5 + (end - first) / 2] : [first, end]);
    const next = { rows: moved(region.rows, state.query), columns: viewer.pair() ? moved(region.columns, viewer.pair().column) : region.columns };
    if (!same(next, region)) look(next);
  }

  // --- the pointer -----------------------------------------------------------------------------------------------------

  /** The row and column below the pointer, with fractions; null outside. */
  function below({ clientX, clientY }) {
    if (!plot?.isConnected) return null;
    const { left, top } = plot.getBoundingClientRect();
    const [x, y] = [(clientX - left - MARGINS.left) / size[0], (clientY - top - MARGINS.top) / size[1]];
    if (x < 0 || x >= 1 || y < 0 || y >= 1) return null;
    return [region.rows[0] + y * span(region.rows), region.columns[0] + x * span(region.columns)];
  }

  function valueAt(row, column) {
    const image = images.findLast(({ rows, columns }) => row >= rows[0] && row < rows[1] && column >= columns[0] && column < columns[1]);
    const cell = Math.floor((row - image.rows[0]) / image.step) * image.shape[1] + Math.floor((column - image.columns[0]) / image.step);
    return { image, value: image[kind.value][cell], step: image.step };
  }

  /** The pair with the largest ψ of a cell; of a cell without any, the one below the pointer. */
  async function strongest(row, column) {
    const { image, step } = valueAt(row, column);
    if (step === 1) return [row, column];
    const within = (at, [first, end]) => { const start = first + Math.floor((at - first) / step) * step; return [start, Math.min(end, start + step)]; };
    const [rows, columns] = [within(row, image.rows), within(column, image.columns)];
    let best = [row, column], most = 0;
    const offer = (i, j, value) => { if (value > most) [best, most] = [[i, j], value]; };
    if (viewer.served) {
      const { value: { step: finer, shape: [, width] }, arrays: { max } } = await viewer.source.matrix(state.collection, rows, columns);
      max.forEach((value, k) => offer(rows[0] + Math.floor(k / width) * finer, columns[0] + (k % width) * finer, value));
    } else {
      for (let i = rows[0]; i < rows[1]; i++) {
        const found = await viewer.source.row(state.collection, i);
        found.columns.forEach((j, k) => { if (j >= columns[0] && j < columns[1]) offer(i, j, found.values[k]); });
      }
    }
    return best;
  }

  function describe(event) {
    const at = below(event);
    if (!at) { readout.textContent = ""; return; }
    const [row, column] = at.map(Math.floor);
    const { value, step } = valueAt(row, column);
    const text = Number.isNaN(value) ? (state.scene.selfPairs && row === column && step === 1 ? "the camera itself" : "unknown")
      : value === 0 ? `ψ ≤ ${state.scene.minValue}` : `ψ ${psiText(value)}`;
    readout.textContent = `row ${number(row)}, column ${number(column)}: ${step > 1 ? `${kind.value === "max" ? "largest" : "mean"} of ${step} × ${step} pairs: ` : ""}${text}`;
  }

  let drag = null;
  box.addEventListener("pointerdown", (event) => {
    const at = event.button === 0 && below(event);
    if (at) drag = { event, at, region, moved: false };
  });
  box.addEventListener("pointermove", (event) => {
    describe(event);
    if (!drag) return;
    const [dx, dy] = [event.clientX - drag.event.clientX, event.clientY - drag.event.clientY];
    if (!drag.moved && Math.hypot(dx, dy) < DRAG_PX) return;
    if (!drag.moved) box.setPointerCapture(event.pointerId);
    drag.moved = true;
    const shift = ([first, end], by) => [first - by, end - by];
    look({ rows: shift(drag.region.rows, (dy / size[1]) * span(drag.region.rows)), columns: shift(drag.region.columns, (dx / size[0]) * span(drag.region.columns)) });
  });
  box.addEventListener("pointerup", () => {
    if (drag && !drag.moved) {
      strongest(...drag.at.map(Math.floor)).then(([row, column]) => viewer.choose(row, state.scene.selfPairs && row === column ? {} : { column })).catch(viewer.failed);
    }
    drag = null;
  });
  box.addEventListener("pointercancel", () => { drag = null; });
  box.addEventListener("pointerleave", () => { readout.textContent = ""; });
  box.addEventListener("wheel", (event) => {
    const at = below(event);
    if (!at) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? ZOOM : 1 / ZOOM, at);
  }, { passive: false });

  const showAll = () => { if (images.length) look(full()); };
  kind.addEventListener("change", draw);
  nearer.addEventListener("click", () => zoom(ZOOM));
  farther.addEventListener("click", () => zoom(1 / ZOOM));
  whole.addEventListener("click", showAll);
  addEventListener("resize", () => { if (!$("matrix").hidden) draw(); });

  viewer.addView({
    id: "matrix", title: "Matrix", list: true, hints: [["+ −", "zoom"], ["0", "whole matrix"]],
    shown() { if (images.length) draw(); else load().catch(viewer.failed); },
    opened() { request++; images = []; region = null; delete document.body.dataset.matrix; },
    chosen() { if (!$("matrix").hidden) { include(); draw(); } },
    matchChosen() { if (!$("matrix").hidden) { include(); draw(); } },
    restyled() { if (!$("matrix").hidden) draw(); },
    keys: { ...viewer.WALKING_KEYS, "+": () => zoom(ZOOM), "-": () => zoom(1 / ZOOM), "0": showAll },
  });
}
