// The page of `relabel view` and of `relabel report`: a map of cameras, the matches of a query, distributions.
//
// Everything that it knows comes from a source, which either asks the server or has all of it in the page.
// deck.gl draws the map, Observable Plot the charts.
"use strict";
{
  const { Deck, OrthographicView, FillStyleExtension, PathLayer, ScatterplotLayer, SolidPolygonLayer, Plot } = libraries;
  libraries.log.level = 0;

  const MOST_MOVING = 3000; // marks while the map moves: what software rendering stands
  const MOST_SECTORS = 20000; // above, cameras are dots
  const MOST_DOTS = 100000;
  const MOST_LISTED = 200; // matches that are listed at once
  const GLYPH_PX = 13; // how far a field of view reaches on the screen, where it is not drawn at its size
  const CROWDED = 1500; // cameras in sight, above which their fields of view are drawn smaller
  const CLICK_PX = 14;
  const HATCH_PX = 14; // of two stripes
  const PATTERN_UNIT = 512 / 40000000; // what deck.gl takes for a unit of patterns: a metre on its map of the world
  const WITHIN_M = 25; // binary positives
  const STATUS_COLOURS = ["#3b7dd8", "#9467bd", "#e07b00", "#c2255c", "#8a5a44", "#d62728", "#7a7a7a"];
  const SEQUENCE_COLOURS = ["#3b7dd8", "#e07b00", "#2a9d62", "#c2255c", "#7e57c2", "#8a5a44", "#d46bb3", "#6f7d17", "#1298a8", "#a8741a"];
  const DTYPES = { F64: Float64Array, F32: Float32Array, I32: Int32Array, U8: Uint8Array };

  const $ = (id) => document.getElementById(id);
  const number = (value) => value.toLocaleString("en");
  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  // --- sources -----------------------------------------------------------------------------------------------------

  /** Named arrays and a JSON value, as relabel/view/columns.py packs them. */
  function unpack(buffer) {
    const length = Number(new DataView(buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
    const value = JSON.parse(header.__metadata__.json);
    delete header.__metadata__;
    const arrays = {};
    for (const [name, { dtype, data_offsets: [start, stop] }] of Object.entries(header)) {
      const type = DTYPES[dtype];
      arrays[name] = new type(buffer, 8 + length + start, (stop - start) / type.BYTES_PER_ELEMENT);
    }
    return { value, arrays };
  }

  class Server {
    async #get(path, parameters) {
      const answer = await fetch(`${path}?${new URLSearchParams(parameters)}`);
      if (!answer.ok) throw new Error((await answer.text()).slice(0, 500) || answer.statusText);
      return answer;
    }
    async contents() { return (await this.#get("api/contents", {})).json(); }
    async scene(collection) { return unpack(await (await this.#get("api/scene", { collection })).arrayBuffer()); }
    async row(collection, row) {
      const { arrays } = unpack(await (await this.#get("api/row", { collection, row })).arrayBuffer());
      return { ...arrays, stored: arrays.columns.length };
    }
    async keys(collection, side, rows) {
      return rows.length ? (await this.#get("api/keys", { collection, side, rows: rows.join(",") })).json() : [];
    }
    async search(collection, text) { return (await this.#get("api/search", { collection, text })).json(); }
    async distributions(collection, progress) {
      for (;;) {
        const answer = await (await this.#get("api/distributions", { collection })).json();
        if (answer.result) return answer.result;
        progress(answer.progress);
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    }
    image(collection, side, row) { return `image?${new URLSearchParams({ collection, side, row })}`; }
  }

  class Embedded {
    #contents = JSON.parse($("contents").textContent);
    #collections = new Map();
    async #collection(name) {
      if (!this.#collections.has(name)) {
        const text = $(`collection-${this.#contents.collections.findIndex((c) => c.name === name)}`).textContent.trim();
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
        this.#collections.set(name, unpack(await new Response(plain).arrayBuffer()));
      }
      return this.#collections.get(name);
    }
    async contents() { return this.#contents; }
    async scene(name) { return this.#collection(name); }
    async row(name, row) {
      const { arrays } = await this.#collection(name);
      const [start, stop] = [arrays.indptr[row], arrays.indptr[row + 1]];
      return { columns: arrays.indices.subarray(start, stop), values: arrays.data.subarray(start, stop), stored: arrays.stored[row] };
    }
    async keys(name, side, rows) {
      const { value } = await this.#collection(name);
      return rows.map((row) => value.keys[side][row]);
    }
    async search(name, text) {
      const { queries } = (await this.#collection(name)).value.keys;
      const hits = [];
      for (let row = 0; row < queries.length && hits.length < 20; row++) {
        if (queries[row].includes(text)) hits.push({ row, key: queries[row] });
      }
      return hits;
    }
    async distributions(name) { return (await this.#collection(name)).value.distributions; }
    image() { return null; }
  }

  // --- state -------------------------------------------------------------------------------------------------------

  const source = $("contents") ? new Embedded() : new Server();
  let contents, collection, scene; // `scene` holds what is drawn of the collection
  let query = -1, row = null, match = -1; // row numbers; `row` has the matches of the query
  let viewState = { target: [0, 0, 0], zoom: 0 };
  let resting = null, inSight = [], chosenKeys = null;
  let request = 0; // of the newest query, so that a late answer to an earlier one is dropped

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const rgb = (css, alpha = 255) => [1, 3, 5].map((at) => parseInt(css.slice(at, at + 2), 16)).concat(alpha);
  /** Colour of ψ in [0, 1]: nearer to the background the less there is of it. */
  function psiCss(psi) {
    const scale = psiCss.scale ??= Plot.scale({ color: { type: "sequential", scheme: "ylgnbu", domain: [0, 1] } });
    return scale.apply(dark.matches ? 0.85 * (1 - psi) : 0.22 + 0.78 * psi);
  }
  const psiColour = (psi, alpha = 255) => {
    const css = psiCss(psi);
    return css.startsWith("#") ? rgb(css, alpha) : css.match(/\d+/g).slice(0, 3).map(Number).concat(alpha);
  };

  function side(value, arrays, name) {
    const about = value.sides[name];
    const column = (field) => arrays[`${name}.${field}`];
    const [at, map, fov, radius] = ["at", "map", "fov", "radius"].map(column);
    const n = about.count;
    return {
      name, n, at, dimensions: n ? at.length / n : 2,
      map, heading: column("heading"), facing: column("facing"), status: column("status"),
      sequence: column("sequence"), sequences: about.sequences, missing: about.without_place,
      fov: (i) => fov?.[i] ?? value.fov_deg,
      radius: (i) => radius?.[i] ?? value.radius_m,
      placed: (i) => !Number.isNaN(map[2 * i]),
    };
  }

  function distance(i, j) {
    const { queries: a, database: b } = scene;
    let sum = 0;
    for (let axis = 0; axis < a.dimensions; axis++) {
      const apart = a.at[i * a.dimensions + axis] - b.at[j * b.dimensions + axis];
      sum += apart * apart;
    }
    return Math.sqrt(sum);
  }

  /** How much two headings differ, or the optical axes of two poses, degrees. */
  function turned(i, j) {
    const { queries: { facing: a, heading: h }, database: { facing: b, heading: k } } = scene;
    if (a && b) {
      const [x, y] = [a.subarray(3 * i, 3 * i + 3), b.subarray(3 * j, 3 * j + 3)];
      const cross = Math.hypot(x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]);
      return Math.atan2(cross, x[0] * y[0] + x[1] * y[1] + x[2] * y[2]) * 180 / Math.PI;
    }
    const apart = Math.abs(h[i] - k[j]);
    return Math.min(apart, 360 - apart);
  }

  // --- the map -----------------------------------------------------------------------------------------------------

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

  /** Cameras in sight as [side, row] numbers, at most about `most` of them, evenly thinned; and how many there are. */
  function camerasInSight(most) {
    const [west, south, east, north] = bounds();
    const rows = scene.sides.map(({ n, map }) => {
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
    const thinned = (found) => Array.from({ length: Math.ceil(found.length / every) }, (_, i) => found[i * every]);
    return { total, rows: rows.map(thinned) };
  }

  function baseColour(cameras, i) {
    const mode = $("colour").value;
    if (mode === "psi" && query >= 0) return rgb(dark.matches ? "#8b97a5" : "#8a95a3", 90);
    if (mode === "sequence" && cameras.sequence) return rgb(SEQUENCE_COLOURS[cameras.sequence[i] % SEQUENCE_COLOURS.length], 170);
    if (mode !== "psi") return rgb(STATUS_COLOURS[cameras.status[i]] ?? "#7a7a7a", cameras.status[i] ? 220 : 90);
    return rgb(cameras.name === "queries" && scene.sides.length > 1 ? "#e07b00" : "#3b7dd8", 150);
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

  const isUnknown = (j) => scene.queries.status[query] !== 0 || scene.database.status[j] !== 0;

  function overlays() {
    if (query < 0 || !row) return [];
    const { queries, database } = scene;
    const ink = rgb(dark.matches ? "#ffffff" : "#15202b");
    const glyph = (i, factor) => Math.min(database.radius(i), (factor * GLYPH_PX) / scale());
    const full = $("full").checked;
    const shown = row.matches.filter((m) => database.placed(m.column)).slice(0, MOST_MOVING);
    const psi = shown.toReversed().map(({ column, value }) => ({
      polygon: sector(database, column, full ? database.radius(column) : glyph(column, 1.7)), value,
    }));
    const layers = [
      new SolidPolygonLayer({
        id: "unknown", data: row.unknown.filter((j) => database.placed(j)).slice(0, MOST_MOVING),
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
        id: "positives", data: row.positives.filter((j) => database.placed(j)).slice(0, MOST_MOVING),
        getPosition: (j) => place(database, j), radiusUnits: "pixels", getRadius: 6, filled: false, stroked: true,
        lineWidthUnits: "pixels", getLineWidth: 1.5, getLineColor: ink,
      }),
    ];
    const outlines = [];
    if (queries.placed(query)) {
      outlines.push({ path: sector(queries, query, queries.radius(query), true), colour: rgb("#e8590c"), width: 2.5 });
      layers.unshift(
        new SolidPolygonLayer({
          id: "field", data: [query], getPolygon: (i) => sector(queries, i, queries.radius(i), true), getFillColor: rgb("#e8590c", 45),
        }),
        new ScatterplotLayer({
          id: "within", data: [query], getPosition: (i) => place(queries, i), getRadius: WITHIN_M, filled: false, stroked: true,
          lineWidthUnits: "pixels", getLineWidth: 1, getLineColor: [...ink.slice(0, 3), 150], visible: scene.horizontal,
        }),
      );
      layers.push(new ScatterplotLayer({
        id: "query", data: [query], getPosition: (i) => place(queries, i), radiusUnits: "pixels", getRadius: 5,
        getFillColor: rgb("#e8590c"), stroked: true, lineWidthUnits: "pixels", getLineWidth: 1.5, getLineColor: [255, 255, 255],
      }));
    }
    const column = row.matches[match]?.column;
    if (column !== undefined && database.placed(column)) {
      outlines.push({ path: sector(database, column, database.radius(column), true), colour: ink, width: 2 });
    }
    layers.push(new PathLayer({
      id: "outlines", data: outlines.map((line) => ({ ...line, path: [...line.path, line.path[0]] })), getPath: (line) => line.path,
      getColor: (line) => line.colour, widthUnits: "pixels", getWidth: (line) => line.width, jointRounded: true,
    }));
    return layers;
  }

  function draw(moving = false) {
    if (!scene) return;
    if (moving || !inSight.rows) inSight = camerasInSight(moving ? MOST_MOVING : MOST_DOTS);
    const marks = scene.sides.flatMap((cameras, s) => inSight.rows[s].map((i) => ({ cameras, i })));
    if ($("colour").value === "status") marks.sort((a, b) => (a.cameras.status[a.i] > 0) - (b.cameras.status[b.i] > 0));
    const asSectors = marks.length <= MOST_SECTORS;
    const glyph = marks.length > CROWDED ? 0.6 * GLYPH_PX : GLYPH_PX;
    // Those of cameras that share nothing with the query would cover those that do.
    const full = $("full").checked && !moving && !($("colour").value === "psi" && query >= 0);
    const reach = ({ cameras, i }) => full ? cameras.radius(i) : Math.min(cameras.radius(i), glyph / scale());
    const fade = full ? 0.25 : 1;
    const colour = ({ cameras, i }) => { const c = baseColour(cameras, i); return [c[0], c[1], c[2], c[3] * fade]; };
    const base = asSectors
      ? new SolidPolygonLayer({
          id: "sectors", data: marks, getPolygon: (mark) => sector(mark.cameras, mark.i, reach(mark)), getFillColor: colour,
        })
      : new ScatterplotLayer({
          id: "dots", data: marks, getPosition: ({ cameras, i }) => place(cameras, i), radiusUnits: "pixels", getRadius: 1.5,
          getFillColor: colour,
        });
    deck.setProps({ viewState, layers: [base, ...overlays()] });
    describeSight(moving, marks.length);
    scaleBar();
  }

  function describeSight(moving, drawn) {
    const missing = scene.sides.reduce((sum, cameras) => sum + cameras.missing, 0);
    const parts = [drawn < inSight.total
      ? `${number(drawn)} of ${number(inSight.total)} cameras in sight drawn${moving ? " while the map moves" : ": zoom in for all"}`
      : `${number(inSight.total)} ${inSight.total === 1 ? "camera" : "cameras"} in sight`];
    if (missing) parts.push(`${number(missing)} without a position not on the map`);
    if (drawn > MOST_SECTORS) parts.push("drawn as dots");
    else if (!$("full").checked) parts.push("fields of view shortened");
    $("sight").textContent = parts.join(" · ");
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

  function move(next) {
    viewState = { ...next, transitionDuration: 0 };
    clearTimeout(resting);
    resting = setTimeout(rest, 180);
    draw(inSight.total > MOST_MOVING || !inSight.rows);
  }

  function show(points, atLeast) {
    const finite = points.filter((point) => point.every(Number.isFinite));
    if (!finite.length) return;
    const box = [0, 1].map((axis) => finite.reduce(([low, high], p) => [Math.min(low, p[axis]), Math.max(high, p[axis])], [Infinity, -Infinity]));
    const { clientWidth: width, clientHeight: height } = $("map");
    const [wide, tall] = box.map(([low, high]) => Math.max(high - low, atLeast) * 1.15);
    const zoom = Math.log2(Math.min(width / wide, height / tall));
    viewState = { target: [...box.map(([low, high]) => (low + high) / 2), 0], zoom, minZoom: -20, maxZoom: 14 };
    rest();
  }

  const showAll = () => show(scene.extent, 2 * scene.typicalRadius);

  function showQuery() {
    if (!scene.queries.placed(query)) return;
    const reach = Math.max(scene.queries.radius(query), scene.horizontal ? WITHIN_M : 0);
    const [x, y] = place(scene.queries, query);
    show([[x - reach, y - reach], [x + reach, y + reach], ...row.matches.slice(0, 500).map((m) => place(scene.database, m.column))], reach);
  }

  function clicked({ coordinate }) {
    if (!coordinate || !scene) return;
    const within = CLICK_PX / scale();
    let best = -1, least = within * within;
    const { map, n } = scene.queries;
    for (let i = 0; i < n; i++) {
      const square = (map[2 * i] - coordinate[0]) ** 2 + (map[2 * i + 1] - coordinate[1]) ** 2;
      if (square <= least && (square < least || best < 0)) [best, least] = [i, square];
    }
    if (best >= 0) choose(best);
  }

  const deck = new Deck({
    parent: $("map"), onError: (error) => failed(error), views: new OrthographicView({ flipY: false }), controller: { keyboard: false, doubleClickZoom: false },
    viewState, layers: [], onViewStateChange: ({ viewState: next }) => move(next), onClick: clicked,
    getCursor: ({ isDragging }) => (isDragging ? "grabbing" : "crosshair"), useDevicePixels: Math.min(2, devicePixelRatio),
  });

  // --- the query ---------------------------------------------------------------------------------------------------

  async function choose(chosen, { move: moves = false } = {}) {
    const mine = ++request;
    const [answer, keys] = await Promise.all([source.row(collection, chosen), source.keys(collection, "queries", [chosen])]);
    if (mine !== request) return;
    [query, match] = [chosen, -1];
    const { database } = scene;
    // Best first, equal values in the order of the database.
    const order = Array.from(answer.columns.keys()).sort((a, b) => answer.values[b] - answer.values[a] || answer.columns[a] - answer.columns[b]);
    const matches = order.map((at) => ({ column: answer.columns[at], value: answer.values[at] }));
    row = { matches, stored: answer.stored, unknown: [], positives: [], farUnknown: 0 };
    const near = Math.max(100, 2 * scene.queries.radius(chosen));
    const itself = (j) => scene.selfPairs && j === chosen;
    for (let j = 0; j < database.n; j++) {
      if (itself(j)) continue;
      const apart = distance(chosen, j);
      if (scene.horizontal && apart <= WITHIN_M) row.positives.push(j);
      if (isUnknown(j)) {
        if (apart <= near) row.unknown.push(j);
        else row.farUnknown++;
      }
    }
    chosenKeys = { query: keys[0], matches: await source.keys(collection, "database", matches.slice(0, MOST_LISTED).map((m) => m.column)) };
    if (mine !== request) return;
    if (matches.length) match = 0;
    panel(near);
    legend();
    if (moves) showQuery(); else draw();
    document.body.dataset.query = chosenKeys.query; // what tests and links look at
    history.replaceState(null, "", `#${new URLSearchParams({ collection, query: chosenKeys.query })}`);
  }

  /** ψ with four decimals, or its power of ten where these would be zeros. */
  const psiText = (value) => (value < 0.0001 ? value.toExponential(0).replace("-", "−") : value.toFixed(4));
  const degrees = (value) => (Number.isFinite(value) ? `${value.toFixed(0)}°` : "–");
  const metres = (value) => (Number.isFinite(value) ? `${value < 10 ? value.toFixed(2) : value.toFixed(1)} m` : "–");

  function showImage(box, side, at, key, caption) {
    const address = contents.images && at >= 0 ? source.image(collection, side, at) : null;
    const why = contents.images ? "no image" : source instanceof Server ? "no images: start with \u2011\u2011images DIR" : "images are not part of this page";
    const placeholder = () => element("div", { className: "placeholder" }, at < 0 ? "no match" : why);
    const image = address ? element("img", { src: address, alt: `${caption}: ${key}` }) : placeholder();
    if (address) image.addEventListener("error", () => image.replaceWith(placeholder()));
    box.replaceChildren(image, element("figcaption", { title: key }, caption));
  }

  function panel(near) {
    const { queries, database, selfPairs } = scene;
    $("nothing").hidden = true;
    $("chosen").hidden = false;
    $("query-key").textContent = $("query-key").title = chosenKeys.query;
    const status = scene.statusNames[queries.status[query]];
    const facts = [];
    if (status !== "ok") facts.push(`status ${status}: nothing is known about its pairs`);
    if (scene.horizontal && Number.isFinite(queries.heading[query])) facts.push(`heading ${degrees(queries.heading[query])}`);
    if (scene.fovKnown && Number.isFinite(queries.fov(query))) facts.push(`field of view ${degrees(queries.fov(query))}`);
    if (queries.sequences?.[queries.sequence?.[query]]) facts.push(`sequence ${queries.sequences[queries.sequence[query]]}`);
    if (!queries.placed(query)) facts.push("no position: not on the map");
    $("facts").textContent = facts.join(" · ");
    $("facts").classList.toggle("warning", status !== "ok");

    const columns = new Set(row.matches.map((m) => m.column));
    const both = row.positives.filter((j) => columns.has(j)).length;
    const alone = row.positives.filter((j) => !columns.has(j) && !isUnknown(j)).length;
    const unknown = row.unknown.length + row.farUnknown;
    const tally = [[`${number(row.stored)} ${row.stored === 1 ? "match" : "matches"}`, `with ψ > ${scene.minValue}`]];
    if (row.stored > row.matches.length) tally.push([number(row.matches.length), "best of them in this page"]);
    if (scene.horizontal) {
      tally.push([number(row.positives.length), `within ${WITHIN_M} m: ${number(both)} overlap${
        alone && row.stored === row.matches.length ? `, ${number(alone)} do not` : ""}`]);
    }
    tally.push([number(unknown), `unknown${row.unknown.length ? `, ${number(row.unknown.length)} within ${near.toFixed(0)} m hatched` : ""}`]);
    const known = database.n - unknown - (selfPairs ? 1 : 0);
    const negatives = Math.max(0, known - row.stored);
    if (row.stored === row.matches.length) tally.push([number(negatives), negatives === 1 ? "true negative" : "true negatives"]);
    $("tally").replaceChildren(...tally.map(([count, text]) => element("li", {}, element("b", {}, count), ` ${text}`)));

    showImage($("query-image"), "queries", query, chosenKeys.query, "query");
    const listed = row.matches.slice(0, MOST_LISTED);
    $("rows").replaceChildren(...listed.map(({ column, value }, at) => {
      const swatch = element("span", { className: "swatch" });
      swatch.style.background = psiCss(value);
      const apart = distance(query, column);
      const line = element("tr", { tabIndex: -1 },
        element("td", {}, swatch, psiText(value)),
        element("td", { className: scene.horizontal && apart <= WITHIN_M ? "within" : "" }, metres(apart)),
        element("td", {}, degrees(turned(query, column))),
        element("td", { className: "key", title: chosenKeys.matches[at] }, chosenKeys.matches[at]));
      line.dataset.column = column;
      line.addEventListener("click", () => chooseMatch(at));
      return line;
    }));
    $("more").textContent = row.matches.length > listed.length ? `${number(row.matches.length - listed.length)} more with less overlap are not listed` : "";
    $("none").hidden = row.stored > 0;
    $("none").textContent = status === "ok" ? `No camera shares a view with it: all known pairs have ψ ≤ ${scene.minValue}.` : "Its similarities are unknown, which is not the same as zero.";
    $("matches").hidden = !listed.length;
    marked();
  }

  function marked() {
    [...$("rows").children].forEach((line, at) => line.setAttribute("aria-current", String(at === match)));
    $("rows").children[match]?.scrollIntoView({ block: "nearest" });
    const key = chosenKeys.matches[match] ?? "";
    showImage($("match-image"), "database", row.matches[match]?.column ?? -1, key, match < 0 ? "match" : `match, ψ ${row.matches[match].value.toFixed(3)}`);
  }

  function chooseMatch(at) {
    if (!row?.matches.length) return;
    match = Math.max(0, Math.min(Math.min(row.matches.length, MOST_LISTED) - 1, at));
    marked();
    draw();
  }

  // --- legend and distributions --------------------------------------------------------------------------------------

  function legend() {
    const entry = (css, text, kind = "dot") => {
      const mark = element("span", { className: `mark ${kind}` });
      mark.style.setProperty("--mark", css);
      return element("li", {}, mark, text);
    };
    const mode = $("colour").value;
    const entries = [];
    if (mode === "status") {
      const counts = new Map();
      for (const cameras of scene.sides) for (const status of cameras.status) counts.set(status, (counts.get(status) ?? 0) + 1);
      for (const [status, count] of [...counts].sort((a, b) => b[1] - a[1])) entries.push(entry(STATUS_COLOURS[status], `${scene.statusNames[status]} (${number(count)})`));
    } else if (mode === "sequence") {
      const count = Math.max(0, ...scene.sides.map((cameras) => cameras.sequences?.length ?? 0));
      entries.push(element("li", {}, count ? `${number(count)} sequences${count > SEQUENCE_COLOURS.length ? "; colours repeat" : ""}` : "no column sequence in this file"));
    } else if (query < 0) {
      if (scene.sides.length > 1) entries.push(entry("#e07b00", "query"), entry("#3b7dd8", "database"));
      entries.push(element("li", {}, "choose a query for its ψ"));
    }
    if (query >= 0) {
      const ramp = element("span", { className: "ramp" });
      ramp.style.background = `linear-gradient(to right, ${[0, 0.25, 0.5, 0.75, 1].map(psiCss).join(", ")})`;
      entries.push(element("li", {}, "ψ 0 ", ramp, " 1"), entry("#e8590c", "query"));
      if (scene.horizontal) entries.push(entry("currentColor", `within ${WITHIN_M} m (binary positive)`, "ring"));
      if (row.unknown.length) entries.push(entry("currentColor", "unknown", "hatched"));
    }
    $("legend").replaceChildren(...entries);
  }

  let distributed = null; // the collection whose distributions are shown
  async function distributions() {
    const name = collection;
    if (distributed === name) return;
    const box = $("charts");
    const about = contents.collections.find((c) => c.name === name);
    if (about.pairs > contents.compute_at_once && distributed !== `asked ${name}` && source instanceof Server) {
      const button = element("button", { type: "button" }, `Read all ${number(about.pairs)} pairs`);
      button.addEventListener("click", () => { distributed = `asked ${name}`; distributions().catch(failed); });
      box.replaceChildren(element("p", {}, "The distributions need all pairs of the file. "), button);
      return;
    }
    const bar = element("progress", { max: 1, value: 0 });
    bar.setAttribute("aria-label", "reading pairs");
    box.replaceChildren(element("p", {}, "Reading all pairs … ", bar));
    const figures = await source.distributions(name, (share) => { bar.value = share; });
    if (name !== collection) return;
    distributed = name;
    charts(box, figures, about);
  }

  /** A chart that is one image to assistive technology, with a name of its own. */
  function chart(options) {
    const drawn = Plot.plot(options);
    for (const part of drawn.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
    drawn.setAttribute("role", "img");
    return drawn;
  }

  function charts(box, figures, about) {
    const style = { background: "transparent", fontSize: "12px", overflow: "visible" };
    const titled = (title, text, ...charts) => element("section", {}, element("h2", {}, title), element("p", {}, text), ...charts);
    const bands = figures.bands.map((band) => element("tr", {}, element("th", { scope: "row" }, band.name), element("td", {}, number(band.pairs)),
      element("td", {}, band.mean === null ? "–" : band.mean.toFixed(1)), element("td", {}, number(band.empty))));
    const table = element("table", { className: "figures" },
      element("thead", {}, element("tr", {}, ...["band", "pairs", "mean a query", "queries with none"].map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, ...bands));
    const sections = [];
    const bandSection = titled("Bands", `${number(figures.stored)} of ${number(figures.known)} known pairs are stored; all others have ψ ≤ ${scene.minValue}.`, table);
    if (!about.pairs) {
      sections.push(element("p", { className: "empty" }, "This collection has no pairs with a view in common, so there is nothing to draw."));
    } else {
      const width = 560, n = figures.histogram.length;
      const bins = figures.histogram.map((count, i) => ({ low: i / n, high: (i + 1) / n, count })).filter((bin) => bin.count);
      sections.push(titled("ψ of the stored pairs", "Number of pairs by ψ, on a logarithmic axis.", chart({
        width, height: 280, style, marginLeft: 64, ariaLabel: "histogram of ψ", x: { label: "ψ", domain: [0, 1] },
        y: { type: "log", label: "pairs", grid: true, tickFormat: "~s", domain: [0.8, 1.2 * Math.max(...figures.histogram)] },
        marks: [Plot.rect(bins, { x1: "low", x2: "high", y1: 0.8, y2: "count", fill: (bin) => psiCss((bin.low + bin.high) / 2), inset: 0.5,
          title: (bin) => `ψ ${bin.low.toFixed(2)} to ${bin.high.toFixed(2)}: ${number(bin.count)} pairs`, tip: false }), Plot.ruleX([0.5], { strokeDasharray: "4 3" })],
      })));
      const { distance_m: step, heading_deg: turn, pairs, mean } = figures.plane;
      const cells = pairs.flatMap((line, i) => line.map((count, j) => ({ x: i * step, y: j * turn, count, mean: mean[i][j] }))).filter((cell) => cell.count);
      const beyond = figures.plane.beyond ? ` ${number(figures.plane.beyond)} pairs are farther apart than is drawn.` : "";
      const without = figures.plane.without ? ` ${number(figures.plane.without)} lack a position or a heading.` : "";
      if (cells.length) {
        sections.push(titled("Distance and heading", `Mean ψ of the stored pairs. The box is what binary labels call the same place: ${WITHIN_M} m and 40°.${beyond}${without}`, chart({
          width, height: 340, style, marginLeft: 56, ariaLabel: "mean ψ by distance and difference of heading",
          x: { label: "distance, m", domain: [0, step * pairs.length] }, y: { label: "difference of heading, °", domain: [0, 180], ticks: [0, 40, 90, 135, 180] },
          marks: [
            Plot.rect(cells, { x1: "x", x2: (cell) => cell.x + step, y1: "y", y2: (cell) => cell.y + turn, fill: (cell) => psiCss(cell.mean),
              title: (cell) => `${cell.x} to ${cell.x + step} m, ${cell.y} to ${cell.y + turn}°: mean ψ ${cell.mean.toFixed(3)} of ${number(cell.count)} pairs` }),
            Plot.rect([0], { x1: 0, x2: WITHIN_M, y1: 0, y2: 40, fill: "none", stroke: "currentColor", strokeWidth: 2 }),
          ],
        }), Plot.legend({ color: { type: "linear", domain: [0, 0.2, 0.4, 0.6, 0.8, 1], range: [0, 0.2, 0.4, 0.6, 0.8, 1].map(psiCss), interpolate: "rgb" }, label: "mean ψ", style, width: 240 })));
      }
    }
    box.replaceChildren(...sections, bandSection);
  }

  // --- the page ----------------------------------------------------------------------------------------------------

  async function open(name, key = "") {
    collection = name;
    [query, row, match, scene] = [-1, null, -1, null];
    request++;
    delete document.body.dataset.query;
    $("nothing").hidden = false;
    $("chosen").hidden = true;
    const { value, arrays } = await source.scene(name);
    if (name !== collection) return;
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
    scene = {
      queries, database, sides, extent, selfPairs: value.self_pairs, minValue: value.min_value_text, fovKnown: value.fov_known, statusNames: value.status_names,
      horizontal: !value.in_space, typicalRadius: queries.n ? queries.radius(0) : 50,
    };
    for (const option of $("colour").options) option.disabled = option.value === "sequence" && !sides.some((cameras) => cameras.sequence);
    if ($("colour").selectedOptions[0].disabled) $("colour").value = "psi";
    $("about").textContent = value.about;
    const ok = queries.status.reduce((sum, status) => sum + (status === 0), 0);
    $("nothing").replaceChildren(
      element("h2", {}, "No query chosen"),
      element("p", {}, ok ? "Click a camera on the map, search for a key, or press → for the first query."
        : queries.n ? "No query is ok, so nothing is known about any pair. Colour by status to see why." : "This collection has no queries."));
    inSight = [];
    legend();
    showAll();
    if (!Number.isFinite(extent[0][0])) {
      deck.setProps({ layers: [] });
      $("sight").textContent = "no camera has a position: there is nothing to draw";
    }
    if (!$("charts").hidden) distributions().catch(failed);
    if (key) {
      const hit = (await source.search(name, key)).find((found) => found.key === key);
      if (hit) await choose(hit.row, { move: true });
    }
    document.body.dataset.ready = name;
  }

  function tab(name) {
    for (const [button, box] of [["tab-map", "place"], ["tab-charts", "charts"]]) {
      $(button).setAttribute("aria-selected", String(button === name));
      $(box).hidden = button !== name;
    }
    if (name === "tab-charts") distributions().catch(failed);
    else rest();
  }

  async function search() {
    const text = $("search").value.trim();
    const hits = text ? await source.search(collection, text) : [];
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
    tab("tab-map");
    choose(at, { move: true }).catch(failed);
  }

  function failed(error) {
    $("error").hidden = false;
    $("error").textContent = `${error.message || error}`;
  }

  const step = (by) => {
    const { n } = scene.queries;
    if (n) choose(query < 0 ? (by > 0 ? 0 : n - 1) : (query + by + n) % n, { move: true }).catch(failed);
  };
  const keys = {
    ArrowRight: () => step(1), ArrowLeft: () => step(-1), ArrowDown: () => chooseMatch(match + 1), ArrowUp: () => chooseMatch(match - 1),
    "/": () => $("search").focus(), "0": showAll, "+": () => move({ ...viewState, zoom: viewState.zoom + 0.5 }), "-": () => move({ ...viewState, zoom: viewState.zoom - 0.5 }),
    f: () => { $("full").checked = !$("full").checked; draw(); },
  };

  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input[type=search], select") || event.ctrlKey || event.metaKey || event.altKey || !scene || $("place").hidden) return;
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
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
  $("colour").addEventListener("change", () => { legend(); draw(); });
  $("full").addEventListener("change", () => draw());
  $("whole").addEventListener("click", () => showAll());
  $("collection").addEventListener("change", () => open($("collection").value).catch(failed));
  for (const name of ["tab-map", "tab-charts"]) $(name).addEventListener("click", () => tab(name));
  dark.addEventListener("change", () => { if (scene) { legend(); draw(); if (row) panel(100); distributed = null; } });
  addEventListener("resize", () => { if (scene) { clearTimeout(resting); resting = setTimeout(rest, 180); } });

  (async () => {
    contents = await source.contents();
    $("file").textContent = document.title = contents.file;
    $("collection").replaceChildren(...contents.collections.map(({ name }) => element("option", { value: name }, name)));
    $("collection").hidden = contents.collections.length < 2;
    $("notes").replaceChildren(...contents.notes.map((note) => element("p", {}, note)));
    const wanted = new URLSearchParams(location.hash.slice(1));
    const name = contents.collections.some((c) => c.name === wanted.get("collection")) ? wanted.get("collection") : contents.collections[0].name;
    $("collection").value = name;
    await open(name, wanted.get("query") ?? "");
  })().catch(failed);
}
