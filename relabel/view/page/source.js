// Where the labels come from: a server that is asked for them, or the page, into which they have been put.
"use strict";
{
  const { $ } = viewer;
  const MOST_LISTED = 200; // matches of a query; as in relabel/view/server.py
  const DTYPES = { F64: Float64Array, F32: Float32Array, I32: Int32Array, U8: Uint8Array };

  /** Named arrays and a JSON value, as relabel/view/columns.py packs them. */
  function unpack(buffer) {
    const length = Number(new DataView(buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
    const value = JSON.parse(header.__metadata__.json);
    delete header.__metadata__;
    const arrays = {}, shapes = {};
    for (const [name, { dtype, shape, data_offsets: [start, stop] }] of Object.entries(header)) {
      const type = DTYPES[dtype];
      shapes[name] = shape;
      arrays[name] = new type(buffer, 8 + length + start, (stop - start) / type.BYTES_PER_ELEMENT);
    }
    return { value, arrays, shapes };
  }

  class Server {
    async #get(path, parameters) {
      const answer = await fetch(`${path}?${new URLSearchParams(parameters)}`).catch(() => {
        throw new Error("The server does not answer: relabel view may have been ended. Start it again, and reload the page at its address.");
      });
      if (!answer.ok) throw new Error((await answer.text()).slice(0, 500) || answer.statusText);
      return answer;
    }
    async contents() { return (await this.#get("api/contents", {})).json(); }
    async scene(collection) { return unpack(await (await this.#get("api/scene", { collection })).arrayBuffer()); }
    /** The matches of a query, best first, its key, and the keys of as many of the best as are listed. */
    async row(collection, row) {
      const { arrays, value } = unpack(await (await this.#get("api/row", { collection, row })).arrayBuffer());
      return { ...arrays, ...value, stored: arrays.columns.length };
    }
    async keys(collection, side, rows) {
      return rows.length ? (await this.#get("api/keys", { collection, side, rows: rows.join(",") })).json() : [];
    }
    async search(collection, text) { return (await this.#get("api/search", { collection, text })).json(); }
    /** What a function of relabel/view/figures.py makes of a collection. */
    async figures(collection, name, progress = () => {}) {
      for (;;) {
        const answer = await (await this.#get("api/figures", { collection, name })).json();
        if (answer.result) return answer.result;
        progress(answer.progress);
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    }
    /** What relabel/view/matrix.py makes of some rows and columns. */
    async matrix(collection, rows, columns, progress = () => {}) {
      for (;;) {
        const answer = await this.#get("api/matrix", { collection, rows: rows.join(), columns: columns.join() });
        if (answer.headers.get("Content-Type") !== "application/json") return unpack(await answer.arrayBuffer());
        progress((await answer.json()).progress);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
    /** Depth maps of a query and of a camera of the database, unless that is -1; or why there are none, as `missing`. */
    async surface(collection, row, column) {
      const answer = await this.#get("api/surface", { collection, row, ...(column >= 0 ? { column } : {}) });
      return answer.headers.get("Content-Type") === "application/json" ? answer.json() : unpack(await answer.arrayBuffer());
    }
    image(collection, side, row) { return `image?${new URLSearchParams({ collection, side, row })}`; }
  }

  /** What an element holds as base64. */
  const bytes = (element) => Uint8Array.from(atob(element.textContent.trim()), (letter) => letter.charCodeAt(0));

  class Embedded {
    #contents = JSON.parse($("contents").textContent);
    #collections = new Map();
    #number(name) { return this.#contents.collections.findIndex((c) => c.name === name); }
    async #collection(name) {
      if (!this.#collections.has(name)) {
        const packed = bytes($(`collection-${this.#number(name)}`));
        const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
        this.#collections.set(name, unpack(await new Response(plain).arrayBuffer()));
      }
      return this.#collections.get(name);
    }
    async contents() { return this.#contents; }
    async scene(name) { return this.#collection(name); }
    async row(name, row) {
      const { arrays, value: { keys: { queries, database } } } = await this.#collection(name);
      const [start, stop] = [arrays.indptr[row], arrays.indptr[row + 1]];
      const columns = arrays.indices.subarray(start, stop);
      return {
        columns, values: arrays.data.subarray(start, stop), stored: arrays.stored[row],
        key: queries[row], keys: Array.from(columns.subarray(0, MOST_LISTED), (column) => database[column]),
      };
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
    /** The whole matrix, which is all that the page has of it: as it stands there, or of the pairs where cells are pairs. */
    async matrix(name, [, n], [, m]) {
      const { arrays, value } = await this.#collection(name);
      if (!value.matrix) {
        const { "queries.status": rows, "database.status": columns = rows } = arrays;
        const psi = new Float32Array(n * m);
        for (let i = 0; i < n; i++) {
          for (let j = 0; j < m; j++) if (rows[i] || columns[j] || (value.self_pairs && i === j)) psi[i * m + j] = NaN;
          for (let k = arrays.indptr[i]; k < arrays.indptr[i + 1]; k++) psi[i * m + arrays.indices[k]] = arrays.data[k];
        }
        return { value: { rows: [0, n], columns: [0, m], step: 1, shape: [n, m] }, arrays: { max: psi, mean: psi } };
      }
      return { value: value.matrix, arrays: { max: arrays["matrix.max"], mean: arrays["matrix.mean"] ?? arrays["matrix.max"] } };
    }
    async figures(collection, name) { return (await this.#collection(collection)).value.figures[name]; }
    #images = null;
    /** The address of a camera's image; null where it is not in the page. */
    image(collection, side, row) {
      if (!$("images")) return null;
      this.#images ??= { ...unpack(bytes($("images")).buffer).arrays, addresses: [] };
      const { jpeg, starts, addresses, ...arrays } = this.#images;
      const collections = `${this.#number(collection)}.`;
      const cameras = collections + (arrays[`${collections}${side}.rows`] ? side : "queries"); // of self pairs
      const at = arrays[`${cameras}.rows`].indexOf(row);
      if (at < 0) return null;
      const image = arrays[`${cameras}.images`][at];
      return addresses[image] ??= URL.createObjectURL(new Blob([jpeg.subarray(starts[image], starts[image + 1])], { type: "image/jpeg" }));
    }
  }

  viewer.served = !$("contents");
  viewer.source = viewer.served ? new Server() : new Embedded();
}
