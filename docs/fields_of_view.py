"""Draw docs/fields-of-view.svg, the figure of the README: a query of a synthetic city and the cameras around it.

    python docs/fields_of_view.py

The numbers in it are what `relabel` computes for the cameras that are drawn.
"""

from __future__ import annotations

import math
from pathlib import Path

import relabel

RADIUS_M, FOV_DEG, SCALE = 50.0, 90.0, 4.2
WIDTH, HEIGHT = 960, 540
ORIGIN = (250.0, 290.0)  # the query's place in the figure
INK, QUERY, COLOURS = "#222", "#1f6feb", ((0.5, "#1a9850"), (1e-6, "#f2a900"), (-1.0, "#9a9a9a"))

# A street seen from the query: name, metres east and north of it, heading.
CAMERAS = {
    "a": (4.0, 9.0, 62.0),
    "b": (22.0, 8.0, 48.0),
    "c": (32.0, 24.0, 96.0),
    "d": (-8.0, 3.0, 262.0),
    "e": (9.0, -9.0, 150.0),
}


def main() -> None:
    """Write the figure beside this script."""
    query = relabel.Cameras(key=["query"], position=[(0.0, 0.0)], heading_deg=[58.0])
    database = relabel.Cameras(
        key=list(CAMERAS),
        position=[(x, y) for x, y, _ in CAMERAS.values()],
        heading_deg=[heading for _, _, heading in CAMERAS.values()],
    )
    psi = relabel.fov.overlap(query, database, fov_deg=FOV_DEG, radius_m=RADIUS_M).matrix.toarray()[0]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">',
        f'<g font-family="sans-serif" font-size="17" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for (name, (x, y, heading)), value in zip(CAMERAS.items(), psi, strict=True):
        parts += view(x, y, heading, colour(value), 0.16, name)
    parts += view(0.0, 0.0, 58.0, QUERY, 0.22, "query")
    parts.append('<g transform="translate(690, 90)">')
    parts.append('<text font-weight="bold">overlap ψ with the query</text>')
    for line, ((name, (x, y, heading)), value) in enumerate(zip(CAMERAS.items(), psi, strict=True)):
        top = 34 + 46 * line
        where = f"{math.hypot(x, y):.0f} m away, turned by {abs((heading - 58.0 + 180.0) % 360.0 - 180.0):.0f}°"
        parts += [
            f'<text y="{top}" font-weight="bold" fill="{colour(value)}">{name}</text>',
            f'<rect x="22" y="{top - 13}" width="{max(150 * value, 1.5):.1f}" height="15" fill="{colour(value)}"/>',
            f'<text x="{30 + 150 * value:.1f}" y="{top}">{value:.2f}</text>',
            f'<text x="22" y="{top + 17}" font-size="13" fill="#666">{where}</text>',
        ]
    top = 34 + 46 * len(CAMERAS) + 18
    for line, text in enumerate(("Within 25 m are a, b, d and e;", "two of them share no view.")):
        parts.append(f'<text y="{top + 20 * line}" font-size="15">{text}</text>')
    parts += ["</g>", "</g>", "</svg>"]
    Path(__file__).with_name("fields-of-view.svg").write_text("\n".join(parts) + "\n")


def colour(value: float) -> str:
    """Positive, soft negative, or nothing in common."""
    return next(name for least, name in COLOURS if value >= least)


def view(x: float, y: float, heading: float, paint: str, opacity: float, name: str) -> list[str]:
    """A field of view and its camera."""

    def place(east: float, north: float) -> str:
        return f"{ORIGIN[0] + SCALE * east:.1f},{ORIGIN[1] - SCALE * north:.1f}"

    ends = [math.radians(90.0 - heading + side * FOV_DEG / 2.0) for side in (1.0, -1.0)]
    left, right = (place(x + RADIUS_M * math.cos(a), y + RADIUS_M * math.sin(a)) for a in ends)
    r = RADIUS_M * SCALE
    path = f"M{place(x, y)} L{left} A{r:.1f},{r:.1f} 0 0 1 {right} Z"
    cx, cy = place(x, y).split(",")
    back = math.radians(90.0 - heading + 180.0)
    tx, ty = place(x + 5.5 * math.cos(back), y + 5.5 * math.sin(back)).split(",")
    return [
        f'<path d="{path}" fill="{paint}" fill-opacity="{opacity}" stroke="{paint}" stroke-width="1.5"/>',
        f'<circle cx="{cx}" cy="{cy}" r="5" fill="{paint}"/>',
        f'<text x="{tx}" y="{float(ty) + 6:.1f}" text-anchor="middle" font-weight="bold" fill="{paint}">{name}</text>',
    ]


if __name__ == "__main__":
    main()
