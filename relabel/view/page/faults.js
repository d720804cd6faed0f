// Faults: what relabel/view/faults.py lists, and the way from each to its cameras and pairs on the map.
"use strict";
{
  const { ScatterplotLayer } = libraries;
  const { $, element, number, rgb, isolated, state } = viewer;
  const FIRST = 6, MORE = 60; // cases of a fault that are named at first, and when more are wanted
  const MARK = "#d6336c";

  let walk = null; // the fault whose cases are shown on the map, and the number of the case

  const cameras = (side) => (side === "queries" ? state.scene.queries : state.scene.database);

  // --- on the map ----------------------------------------------------------------------------------------------------

  function go(fault, at) {
    walk = { fault, at, keys: "" };
    const [side, row, column] = fault.cases[at];
    if (side === "queries") viewer.goTo(row, column);
    else viewer.pointTo(row);
  }

  const step = (by) => { if (walk) go(walk.fault, (walk.at + by + walk.fault.cases.length) % walk.fault.cases.length); };

  /** What is walked through, above the map; nothing once another camera than the case was chosen. */
  async function banner() {
    if (walk) {
      const [side, row, column] = walk.fault.cases[walk.at];
      if (side === "queries" ? state.query !== row : state.pointed?.row !== row || state.query >= 0) walk = null;
      else {
        const mine = walk;
        const names = await keysOf([mine.fault.cases[mine.at]]);
        if (walk !== mine) return;
        mine.keys = names[0];
        const { fault, at } = mine;
        const place = column < 0 && !cameras(side).placed(row) ? " · no position, so it is not on the map" : "";
        $("case-text").replaceChildren(element("code", {}, fault.code), ` ${number(at + 1)} of ${number(fault.cases.length)}: `,
          element("span", { className: "key", title: mine.keys }, mine.keys), place);
      }
    }
    $("case").hidden = !walk;
  }

  const MARKS = {
    layers() {
      if (!walk) return [];
      const { fault, at } = walk;
      // All pairs together would cover the map.
      const marks = (fault.of === "pairs" ? [fault.cases[at]] : fault.cases).flatMap(([side, row, column]) => [[cameras(side), row], ...(column < 0 ? [] : [[state.scene.database, column]])]);
      return [new ScatterplotLayer({
        id: "cases", data: marks.filter(([of, i]) => of.placed(i)), getPosition: ([of, i]) => [of.map[2 * i], of.map[2 * i + 1]],
        radiusUnits: "pixels", getRadius: 9, filled: false, stroked: true, lineWidthUnits: "pixels", getLineWidth: 2, getLineColor: rgb(MARK, 200),
      })];
    },
    legend: () => (walk ? [[MARK, walk.fault.code, "ring"]] : []),
  };

  // --- the list ------------------------------------------------------------------------------------------------------

  /** What cases are called: the key of a camera, or the two of a pair. */
  async function keysOf(cases) {
    const { collection } = state;
    const ask = async (side, rows) => {
      const wanted = [...new Set(rows)];
      const keys = [];
      for (let at = 0; at < wanted.length; at += 500) keys.push(...await viewer.source.keys(collection, side, wanted.slice(at, at + 500)));
      return new Map(wanted.map((row, at) => [row, keys[at]]));
    };
    const known = {
      queries: await ask("queries", cases.filter(([side]) => side === "queries").map(([, row]) => row)),
      database: await ask("database", cases.flatMap(([side, row, column]) => [...(side === "database" ? [row] : []), ...(column < 0 ? [] : [column])])),
    };
    return cases.map(([side, row, column]) => (column < 0 ? known[side].get(row) : `${isolated(known[side].get(row))} → ${isolated(known.database.get(column))}`));
  }

  function link(fault, at, key) {
    const button = element("button", { type: "button", className: "key", title: key }, key);
    button.addEventListener("click", () => go(fault, at));
    return element("li", {}, button);
  }

  async function listed(list, fault, from, count) {
    const cases = fault.cases.slice(from, from + count);
    const keys = await keysOf(cases);
    const rest = fault.cases.length - from - cases.length;
    list.querySelector(".more")?.remove();
    list.append(...cases.map((_, i) => link(fault, from + i, keys[i])));
    if (from) list.children[from].firstChild.focus();
    if (rest > 0) {
      const button = element("button", { type: "button" }, `show ${number(Math.min(rest, MORE))} more`);
      button.addEventListener("click", () => listed(list, fault, from + cases.length, MORE).catch(viewer.failed));
      list.append(element("li", { className: "more" }, button));
    }
  }

  /** A text with what stands between backticks as code. */
  const worded = (text) => text.split("`").map((part, i) => (i % 2 ? element("code", {}, part) : part));

  function card(fault) {
    const list = element("ul", { className: "cases" });
    list.setAttribute("aria-label", `cases of ${fault.code}`);
    const parts = [
      element("h2", {}, element("span", { className: `severity ${fault.severity}` }, fault.severity), " ", element("code", {}, fault.code), ` ${number(fault.count)} ${fault.count === 1 ? fault.of.slice(0, -1) : fault.of}`),
      element("p", {}, ...worded(`${fault.text}.`)),
    ];
    const why = [fault.cause, fault.remedy].filter(Boolean).join("; ");
    if (why) parts.push(element("p", { className: "why" }, ...worded(`${why[0].toUpperCase()}${why.slice(1)}.`)));
    if (fault.recorded) parts.push(element("p", { className: "why" }, "Recorded when the labels were made."));
    if (fault.cases.length < fault.count) {
      parts.push(element("p", { className: "why" }, fault.cases.length ? `The first ${number(fault.cases.length)} are listed.` : "Which they are is not recorded."));
    }
    if (fault.cases.length) parts.push(list);
    return { fault, list, box: element("article", { className: "fault" }, ...parts) };
  }

  function show({ faults }) {
    const cards = faults.map(card);
    const warnings = faults.filter((fault) => fault.severity === "warning").length;
    const counted = (count, one) => `${number(count)} ${one}${count === 1 ? "" : "s"}`;
    $("faults").replaceChildren(
      element("p", { className: "summary" }, faults.length
        ? `${counted(warnings, "warning")}, ${counted(faults.length - warnings, "note")}: what relabel audit, relabel headings and relabel stats find in this collection. With a warning, labels may be wrong; notes are for information. A click on a case shows it on the map.`
        : "relabel audit, relabel headings and relabel stats find nothing in this collection."),
      ...cards.map(({ box }) => box));
    (async () => { for (const { fault, list } of cards) if (fault.cases.length) await listed(list, fault, 0, FIRST); })().catch(viewer.failed);
  }

  viewer.addView({
    id: "faults", title: "Faults",
    shown: () => viewer.fill($("faults"), "faults", "Faults", show).catch(viewer.failed),
    opened() { walk = null; banner(); },
    chosen() { banner().catch(viewer.failed); },
    pointedTo() { banner().catch(viewer.failed); },
  });
  viewer.addMarks(MARKS);
  $("case-before").addEventListener("click", () => step(-1));
  $("case-after").addEventListener("click", () => step(1));
  $("case-back").addEventListener("click", () => viewer.showView("faults"));
  $("case-end").addEventListener("click", () => { walk = null; banner(); viewer.redraw(); });
  viewer.stepCase = step;
}
