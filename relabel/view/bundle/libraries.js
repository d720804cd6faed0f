// What the page of the viewer needs of its libraries, and nothing else.
export { Deck, OrbitView, OrthographicView, log } from "@deck.gl/core";
export { FillStyleExtension } from "@deck.gl/extensions";
export { BitmapLayer, PathLayer, ScatterplotLayer, SolidPolygonLayer } from "@deck.gl/layers";
export * as Plot from "@observablehq/plot";
