// What a query and its match share of surface: images and depth maps, with what both see laid over them.
"use strict";
{
  const { Plot } = libraries;
  const { $, element, number, dark, rgb, psiText, legendEntry, state } = viewer;

  const SHARED = "#12b76a"; // what both frames see
  const REMARK = "drawn over images as if they were registered to the depth maps";
  const NONE = 0, BOTH = 2; // of a pixel, as in relabel/view/depth_frames.py

  const sides = [["query", "queries"], ["match", "database"]];
  const summary = element("p", { id: "surface-summary" });
  summary.setAttribute("aria-live", "polite");
  const strength = element("input", { type: "range", id: "strength", min: 0, max: 100, value: 40 });
  const figures = sides.map(([name]) => ["image", "depth"].map((kind) => element("figure", { id: `surface-${name}-${kind}` })));
  const legendBox = element("ul", { className: "legend inline" });
  legendBox.setAttribute("aria-label", "Legend of the shared surface");
  const readout = element("span", { id: "surface-readout" });
  document.querySelector("aside").before(element("div", { id: "surface", className: "stage" },
    element("div", { className: "tools" }, summary, element("label", {}, "overlay ", strength)),
    element("div", { className: "frames", tabIndex: 0 }, ...[0, 1].flatMap((kind) => figures.map((side) => side[kind]))),
    element("div", { className: "foot" }, legendBox, readout)));

  let busy = false, wanted = null, shownPair = null; // one request at a time: the newest pair is asked for when it is answered

  // --- pixels ----------------------------------------------------------------------------------------------------------

  const depthScale = (farthest) => {
    const scale = Plot.scale({ color: { type: "linear", scheme: "greys", domain: [0, 1] } });
    return (depth) => scale.apply(dark.matches ? 0.15 + 0.6 * (depth / farthest) : 0.15 + 0.6 * (depth / farthest)).match(/\d+/g).slice(0, 3).map(Number);
  };

  /** A canvas of one pixel for each of `seen`, coloured by a function of its number; null leaves it clear. */
  function pixels({ width, height }, colour) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const pen = canvas.getContext("2d"), image = pen.createImageData(width, height);
    for (let k = 0; k < width * height; k++) {
      const value = colour(k);
      if (value) image.data.set(value, 4 * k);
    }
    pen.putImageData(image, 0, 0);
    return canvas;
  }

  const overlay = (side) => pixels(side, (k) => (side.seen[k] === BOTH ? rgb(SHARED, Math.round(2.55 * strength.value)) : null));

  function depthImage(side, farthest) {
    const gray = Array.from({ length: 257 }, (_, k) => [...depthScale(1)(k / 256), 255]);
    return pixels(side, (k) => (side.seen[k] === NONE ? null : gray[Math.min(256, Math.round((256 * side.depth[k]) / farthest))]));
  }

  /** The image as its depth map has it: turned as its EXIF data asks only where that alone gives it the shape of the depth map. */
  async function colourImage(address, side) {
    const answer = await fetch(address);
    if (!answer.ok) return null;
    const blob = await answer.blob();
    const [turned, stored] = await Promise.all(["from-image", "none"].map((imageOrientation) => createImageBitmap(blob, { imageOrientation })));
    const stands = ({ width, height }) => height > width;
    return stands(side) === stands(turned) && stands(turned) !== stands(stored) ? turned : stored;
  }

  // --- figures ---------------------------------------------------------------------------------------------------------

  function place(figure, content, caption) {
    const shown = typeof content === "string" ? element("div", { className: "placeholder" }, content) : content;
    figure.replaceChildren(shown, element("figcaption", {}, caption));
  }

  function laidOver(base, side, label) {
    const canvas = Object.assign(document.createElement("canvas"), { width: base.width, height: base.height });
    canvas.setAttribute("role", "img");
    canvas.style.setProperty("--aspect", side.width / side.height);
    canvas.setAttribute("aria-label", label);
    const repaint = () => {
      const pen = canvas.getContext("2d");
      pen.clearRect(0, 0, canvas.width, canvas.height);
      pen.imageSmoothingEnabled = false;
      pen.drawImage(base, 0, 0);
      pen.drawImage(overlay(side), 0, 0, canvas.width, canvas.height);
    };
    repaint();
    canvas.repaint = repaint;
    canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => {
      const [u, v] = [Math.floor((offsetX / canvas.clientWidth) * side.width), Math.floor((offsetY / canvas.clientHeight) * side.height)];
      const k = v * side.width + u;
      readout.textContent = side.seen[k] ? `depth ${side.depth[k].toFixed(2)} m, ${side.seen[k] === BOTH ? "seen by both" : "seen here only"}` : "no depth";
    });
    canvas.addEventListener("pointerleave", () => { readout.textContent = REMARK; });
    return canvas;
  }

  function placeholders(text, other = text) {
    sides.forEach(([name], k) => figures[k].forEach((figure, kind) => place(figure, k ? other : text, `${name}: ${kind ? "depth map" : "image"}`)));
    shownPair = null;
    legendBox.replaceChildren();
    readout.textContent = "";
  }

  const sideOf = ({ arrays, shapes }, name) => arrays[`${name}.seen`] && {
    seen: arrays[`${name}.seen`], depth: arrays[`${name}.depth`], height: shapes[`${name}.seen`][0], width: shapes[`${name}.seen`][1],
  };

  async function show(answer, rows, pair) {
    const both = [sideOf(answer, "query"), sideOf(answer, "database")];
    const farthest = Math.max(0.001, ...both.filter(Boolean).map(({ depth }) => depth.reduce((a, b) => Math.max(a, b), 0)));
    const images = await Promise.all(both.map((side, k) => side && colourImage(viewer.source.image(state.collection, sides[k][1], rows[k]), side).catch(() => null)));
    if (pair !== wanted) return;
    const keys = [state.row.key, viewer.pair()?.key];
    both.forEach((side, k) => {
      const [name] = sides[k];
      if (!side) {
        figures[k].forEach((figure, kind) => place(figure, "no match", `${name}: ${kind ? "depth map" : "image"}`));
        return;
      }
      const counts = answer.value[k ? "database" : "query"];
      const share = counts ? `shared: ${percent(counts.points_shared, counts.points)} of its pixels with depth, ${percent(counts.voxels_shared, counts.voxels)} of its ${number(counts.voxels)} voxels` : "nothing to compare with";
      place(figures[k][0], images[k] ? laidOver(images[k], side, `${name} ${keys[k]}: image`) : "no image", `${name} ${keys[k]}`);
      place(figures[k][1], laidOver(depthImage(side, farthest), side, `${name} ${keys[k]}: depth map`), share);
    });
    legend(farthest);
    readout.textContent = REMARK;
    shownPair = pair;
    document.body.dataset.surface = keys.filter(Boolean).join(" ");
  }

  const percent = (part, all) => `${all ? ((100 * part) / all).toFixed(1) : "0.0"}%`;

  function legend(farthest) {
    const ramp = element("span", { className: "ramp" });
    ramp.style.background = `linear-gradient(to right, ${[0, 0.5, 1].map((share) => `rgb(${depthScale(1)(share)})`).join(", ")})`;
    legendBox.replaceChildren(legendEntry(SHARED, "seen by both", "square"), element("li", {}, "depth 0 ", ramp, ` ${farthest.toFixed(1)} m`), legendEntry("currentColor", "no depth", "hatched"));
  }

  /** In words, what the pair has in common; a warning where the depth maps are not those that were labelled. */
  function describe({ value }) {
    summary.classList.toggle("warning", value.agrees === false);
    summary.textContent = value.agrees === undefined ? "No match: nothing is shared."
      : value.agrees ? `ψ ${psiText(value.value)} (${value.measure}), cameras ${value.distance_m.toFixed(2)} m apart; the depth maps reproduce the stored ψ`
        : `The depth maps give ψ ${psiText(value.value)}, but ${psiText(value.stored)} is stored: these are not the depth maps that were labelled`;
  }

  // --- requests --------------------------------------------------------------------------------------------------------

  async function update() {
    if ($("surface").hidden || !state.scene) return;
    if (!state.contents.depth_maps) {
      summary.textContent = "";
      placeholders("no depth maps: start with \u2011\u2011root DIR, the folder of the dataset");
      return;
    }
    if (state.query < 0 || !state.row) {
      summary.textContent = "Choose a query: press →, search for a key, or click a camera.";
      placeholders("no query chosen");
      return;
    }
    const column = viewer.pair()?.column ?? -1;
    const pair = `${state.collection} ${state.query} ${column}`;
    if (pair === shownPair && pair === wanted) return;
    wanted = pair;
    if (busy) return;
    busy = true;
    const rows = [state.query, column];
    const slow = setTimeout(() => { summary.textContent = "Reading depth maps …"; }, 500);
    try {
      const answer = await viewer.source.surface(state.collection, ...rows);
      if (pair === wanted) {
        if (answer.missing) {
          summary.textContent = "";
          placeholders(answer.missing, column < 0 ? "no match" : answer.missing);
          document.body.dataset.surface = "missing";
        } else {
          describe(answer);
          await show(answer, rows, pair);
        }
      }
    } finally {
      clearTimeout(slow);
      busy = false;
    }
    if (pair !== wanted) update().catch(viewer.failed);
  }

  const changed = () => { update().catch(viewer.failed); };
  strength.addEventListener("input", () => { for (const canvas of document.querySelectorAll("#surface canvas")) canvas.repaint(); });

  viewer.addView({
    id: "surface", title: "Shared surface", list: true,
    offered: () => viewer.served && state.contents.collections.find(({ name }) => name === state.collection).surface,
    shown: changed, chosen: changed, matchChosen: changed,
    opened() { wanted = null; },
    restyled() { shownPair = wanted = null; changed(); },
    keys: viewer.WALKING_KEYS,
  });
}
