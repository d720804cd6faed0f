// What every script of the page uses. Each puts what others may call into `viewer`; SCRIPTS in page_text.py names their order.
"use strict";
const viewer = {};
{
  const { Plot } = libraries;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  const $ = (id) => document.getElementById(id);
  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  const number = (value) => value.toLocaleString("en");
  /** ψ with four decimals, or its power of ten where these would be zeros. */
  const psiText = (value) => (value < 0.0001 ? value.toExponential(0).replace("-", "−") : value.toFixed(4));
  const degrees = (value) => (Number.isFinite(value) ? `${value.toFixed(0)}°` : "–");
  const metres = (value) => (Number.isFinite(value) ? `${value < 10 ? value.toFixed(2) : value.toFixed(1)} m` : "–");

  const colours = new Map();
  /** A colour written as #rrggbb as four numbers; the same array every time. */
  function rgb(css, alpha = 255) {
    const name = css + alpha;
    if (!colours.has(name)) colours.set(name, [1, 3, 5].map((at) => parseInt(css.slice(at, at + 2), 16)).concat(alpha));
    return colours.get(name);
  }
  /** Colour of ψ in [0, 1]: nearer to the background the less there is of it. */
  function psiCss(psi) {
    const scale = psiCss.scale ??= Plot.scale({ color: { type: "sequential", scheme: "ylgnbu", domain: [0, 1] } });
    return scale.apply(dark.matches ? 0.85 * (1 - psi) : 0.22 + 0.78 * psi);
  }
  const psiColour = (psi, alpha = 255) => {
    const css = psiCss(psi);
    return css.startsWith("#") ? rgb(css, alpha) : css.match(/\d+/g).slice(0, 3).map(Number).concat(alpha);
  };

  /** A line of a legend; `kind` is a class of the mark: dot, square, ring, outlined or hatched. */
  function legendEntry(css, text, kind = "dot") {
    const mark = element("span", { className: `mark ${kind}` });
    mark.style.setProperty("--mark", css);
    return element("li", {}, mark, text);
  }

  /** The line of a legend that shows the colours of ψ. */
  function psiRamp() {
    const ramp = element("span", { className: "ramp" });
    ramp.style.background = `linear-gradient(to right, ${[0, 0.25, 0.5, 0.75, 1].map(psiCss).join(", ")})`;
    return element("li", {}, "ψ 0 ", ramp, " 1");
  }

  /** Call `clicked` with the place of every click in a drawing, in pixels from its upper left corner; a drag is no click.
   * However long the button is down, and however fast the next click follows: deck.gl's own clicks are lost on a slow machine. */
  function onClick(drawing, clicked) {
    const DRAG_PX = 5;
    let pressed = null;
    drawing.addEventListener("pointerdown", (event) => { pressed = event; }, { capture: true });
    drawing.addEventListener("click", (event) => {
      if (!pressed || Math.hypot(event.clientX - pressed.clientX, event.clientY - pressed.clientY) > DRAG_PX) return;
      const { left, top } = drawing.getBoundingClientRect();
      clicked(event.clientX - left, event.clientY - top);
    });
  }

  function failed(error) {
    $("error").hidden = false;
    $("error").textContent = `${error.message || error}`;
  }
  /** What could not be done before can be done now. */
  const succeeded = () => { $("error").hidden = true; };

  /** A key, or another text of the file, that turns round nothing of what stands beside it, whichever way it is written. */
  const isolated = (text) => `\u2068${text}\u2069`;

  Object.assign(viewer, { $, element, number, psiText, degrees, metres, dark, rgb, psiCss, psiColour, legendEntry, psiRamp, onClick, failed, succeeded, isolated });
}
