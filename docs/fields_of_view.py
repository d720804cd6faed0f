"""Draw docs/fields-of-view.svg, the figure of the README: a query of a synthetic city and the cameras around it.

    python docs/fields_of_view.py

The numbers in it are what `relabel` computes for the cameras that are drawn.
"""

from __future__ import annotations

import math
from pathlib import Path

import relabel

RADIUS_M, FOV_DEG, SCALE = 50.0, 90.0, 4.2  # the last in units of the figure a metre
WITHIN_M = 25.0
WIDTH, HEIGHT = 960, 540
ORIGIN = (285.0, 262.0)  # the query's place in the figure
INK, QUERY, COLOURS = "#222", "#1f6feb", ((0.5, "#1a9850"), (1e-6, "#f2a900"), (-1.0, "#9a9a9a"))

# A street seen from the query: name, metres east and north of it, heading.
CAMERAS = {
    "a": (0.5, 10.5, 60.0),
    "b": (22.0, 8.0, 48.0),
    "c": (32.0, 24.0, 96.0),
    "d": (-15.0, 7.0, 262.0),
    "e": (9.0, -15.0, 150.0),
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
    for (x, y, heading), value in zip(CAMERAS.values(), psi, strict=True):
        parts.append(view(x, y, heading, colour(value), 0.16))
    parts.append(view(0.0, 0.0, 58.0, QUERY, 0.22))
    parts += circle(WITHIN_M)
    # Above all fields of view, so that none of them covers a name.
    for (name, (x, y, heading)), value in zip(CAMERAS.items(), psi, strict=True):
        parts += camera(x, y, heading, colour(value), name)
    parts += camera(0.0, 0.0, 58.0, QUERY, "query")
    parts += scale_bar(20.0)
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


def place(east: float, north: float) -> tuple[float, float]:
    """A place on the street in the figure."""
    return ORIGIN[0] + SCALE * east, ORIGIN[1] - SCALE * north


def view(x: float, y: float, heading: float, paint: str, opacity: float) -> str:
    """A field of view."""
    ends = [math.radians(90.0 - heading + side * FOV_DEG / 2.0) for side in (1.0, -1.0)]
    corners = [(x, y), *((x + RADIUS_M * math.cos(a), y + RADIUS_M * math.sin(a)) for a in ends)]
    apex, left, right = ("{:.1f},{:.1f}".format(*place(*corner)) for corner in corners)
    r = RADIUS_M * SCALE
    path = f"M{apex} L{left} A{r:.1f},{r:.1f} 0 0 1 {right} Z"
    return f'<path d="{path}" fill="{paint}" fill-opacity="{opacity}" stroke="{paint}" stroke-width="1.5"/>'


def camera(x: float, y: float, heading: float, paint: str, name: str) -> list[str]:
    """A camera, with its name behind it."""
    behind = math.radians(270.0 - heading)
    away = 4.5 + 1.2 * (len(name) - 1) * abs(math.cos(behind))  # long names are wide
    cx, cy = place(x, y)
    tx, ty = place(x + away * math.cos(behind), y + away * math.sin(behind))
    style = f'text-anchor="middle" font-weight="bold" fill="{paint}" stroke="white" stroke-width="4"'
    return [
        f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="5" fill="{paint}"/>',
        f'<text x="{tx:.1f}" y="{ty + 6:.1f}" {style} stroke-linejoin="round" paint-order="stroke">{name}</text>',
    ]


def circle(radius_m: float) -> list[str]:
    """What binary labels call the same place, around the query."""
    x, y = place(0.0, -radius_m)
    line = f'r="{SCALE * radius_m:.1f}" fill="none" stroke="{INK}" stroke-dasharray="4 4"'
    return [
        f'<circle cx="{ORIGIN[0]}" cy="{ORIGIN[1]}" {line}/>',
        f'<text x="{x - 28:.1f}" y="{y + 18:.1f}" text-anchor="end" font-size="13">{radius_m:.0f} m</text>',
    ]


def scale_bar(metres: float) -> list[str]:
    """How long this many metres are."""
    x, y, long = 24.0, HEIGHT - 22.0, SCALE * metres
    return [
        f'<path d="M{x},{y - 5} v5 h{long:.1f} v-5" fill="none" stroke="{INK}" stroke-width="1.5"/>',
        f'<text x="{x + long / 2:.1f}" y="{y - 9:.1f}" text-anchor="middle" font-size="13">{metres:.0f} m</text>',
    ]


if __name__ == "__main__":
    main()
