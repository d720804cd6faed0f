// A base map below the cameras, where the command names a server of tiles; relabel/view/base_map.py says where they lie.
"use strict";
{
  const { BitmapLayer } = libraries;
  const { $, number, state } = viewer;
  const SIDE_PX = 256; // of a tile at its own size
  const DEEPEST = 19;
  const MOST_SHOWN = 80, MOST_KEPT = 400;

  const images = new Map(); // by address: null while one is loading, undefined where it cannot be had
  let failures = 0;

  function polynomial([a, b], x, y) {
    const sums = [0, 0];
    let term = 0;
    for (let i = 0; i < 4; i++) {
      for (let j = 0; j < 4 - i; j++, term++) {
        const power = x ** i * y ** j;
        sums[0] += a[term] * power;
        sums[1] += b[term] * power;
      }
    }
    return sums;
  }

  function waiting(more) {
    $("attribution").dataset.waiting = Number($("attribution").dataset.waiting ?? 0) + more; // what tests look at
  }

  async function load(address) {
    images.set(address, null);
    waiting(1);
    try {
      const answer = await fetch(address, { referrerPolicy: "origin", credentials: "omit" });
      if (!answer.ok) throw new Error(answer.statusText);
      images.set(address, await createImageBitmap(await answer.blob()));
    } catch {
      images.set(address, undefined);
      failures++;
    }
    for (const old of [...images.keys()].slice(0, Math.max(0, images.size - MOST_KEPT))) images.delete(old);
    waiting(-1);
    viewer.redraw();
  }

  /** Layers of the tiles that lie in these bounds of the map; `scale` is pixels a metre, `fetches` whether to ask for more. */
  function tileLayers([west, south, east, north], scale, fetches) {
    const { tiles } = state.contents, place = state.scene.baseMap;
    if (!tiles || !place || place.missing) return [];
    const { reach, middle, size, to_world: toWorld, to_map: toMap } = place;
    const inside = (metres) => Math.max(-1, Math.min(1, metres / reach));
    const corners = [[west, south], [west, north], [east, south], [east, north]].map(([x, y]) => {
      const [u, v] = polynomial(toWorld, inside(x), inside(y));
      return [middle[0] + size * u, middle[1] + size * v];
    });
    const metres = reach / size; // of the whole world, about, at this place
    let zoom = Math.max(0, Math.min(DEEPEST, Math.round(Math.log2((scale * metres) / SIDE_PX))));
    let spans;
    for (; ; zoom--) {
      spans = [0, 1].map((axis) => [Math.min(...corners.map((c) => c[axis])), Math.max(...corners.map((c) => c[axis]))].map((at) => Math.floor(at * 2 ** zoom)));
      if (zoom === 0 || spans.reduce((product, [low, high]) => product * (high - low + 1), 1) <= MOST_SHOWN) break;
    }
    const layers = [];
    const side = 2 ** zoom;
    const dark = viewer.dark.matches;
    for (let x = spans[0][0]; x <= spans[0][1]; x++) {
      for (let y = Math.max(0, spans[1][0]); y <= Math.min(side - 1, spans[1][1]); y++) {
        const column = ((x % side) + side) % side; // over the antimeridian
        const address = tiles.template.replace("{z}", zoom).replace("{x}", column).replace("{y}", y);
        if (!images.has(address) && fetches) load(address);
        const image = images.get(address);
        if (!image) continue;
        const corner = (right, down) => polynomial(toMap, ((x + right) / side - middle[0]) / size, ((y + down) / side - middle[1]) / size).map((at) => at * reach);
        layers.push(new BitmapLayer({
          id: `tile ${zoom}/${column}/${y}`, image, bounds: [corner(0, 1), corner(0, 0), corner(1, 0), corner(1, 1)],
          desaturate: 0.5, opacity: dark ? 0.45 : 0.75, // the cameras are what is looked at
        }));
      }
    }
    return layers;
  }

  /** What is said of the base map below the map. */
  const tileNotes = () => [state.scene.baseMap?.missing && `no base map: ${state.scene.baseMap.missing}`,
    failures && `${number(failures)} ${failures === 1 ? "tile" : "tiles"} of the base map cannot be had`].filter(Boolean);

  viewer.addPart({
    opened() {
      $("attribution").hidden = !state.contents.tiles || Boolean(state.scene.baseMap?.missing);
      $("attribution").textContent = state.contents.tiles?.attribution ?? "";
    },
  });
  Object.assign(viewer, { tileLayers, tileNotes });
}
