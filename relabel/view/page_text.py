"""The page as text: markup, style and scripts, linked where it is served and put into it where it is one file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

SCRIPTS = (
    *("base.js", "source.js", "state.js", "figures.js", "plots.js"),
    *("tiles.js", "map.js", "matches.js", "room.js", "surface.js", "matrix.js"),
    *("charts.js", "faults.js", "compare.js", "page.js"),
)
"""The page's own scripts in the order in which they run: what they call of each other, then the views in the order of
their tabs, and the start of the page."""

ASSETS = {
    "style.css": ("page/style.css", "text/css"),
    "libraries.min.js": ("bundle/libraries.min.js", "text/javascript"),
    **{name: (f"page/{name}", "text/javascript") for name in SCRIPTS},
}
"""What the page consists of beside its markup: where it lies in the package, and its media type."""

_STANDALONE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; connect-src data:"
)


def asset(name: str) -> str:
    """The text of one of `ASSETS`, or of the libraries' licences."""
    path = ASSETS[name][0] if name in ASSETS else f"bundle/{name}"
    return files("relabel.view").joinpath(path).read_text(encoding="utf-8")


def _markup(**parts: str) -> str:
    text = files("relabel.view").joinpath("page/index.html").read_text(encoding="utf-8")
    for name, part in parts.items():
        text = text.replace(f"<!-- {name} -->", part)
    return text


def served_page() -> str:
    """The page that requests its data from a server."""
    scripts = "\n".join(f'<script src="assets/{name}"></script>' for name in ASSETS if name.endswith(".js"))
    return _markup(head='<link rel="stylesheet" href="assets/style.css">', data="", scripts=scripts)


def standalone_page(contents: Mapping[str, Any], collections: Sequence[str], images: str = "") -> str:
    """The page with all of its data embedded; its own policy forbids network access.

    Parameters
    ----------
    contents:
        as `relabel.view.contents` makes them.
    collections:
        of each collection the packed columns, compressed by gzip, as base64.
    images:
        the packed images of all collections, as base64; empty for a page without.
    """
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_STANDALONE_POLICY}">'
    # No text of the file can end the element that it stands in.
    embedded = json.dumps(contents).replace("<", "\\u003c")
    data = [f'<script type="application/json" id="contents">{embedded}</script>']
    data += [f'<script type="text/plain" id="collection-{i}">{text}</script>' for i, text in enumerate(collections)]
    if images:
        data.append(f'<script type="text/plain" id="images">{images}</script>')
    licences = asset("LICENSES.txt").replace("--", "- -")
    scripts = [f"<!--\n{licences}\n-->"]
    scripts += [f"<script>{_script(asset(name))}</script>" for name in ASSETS if name.endswith(".js")]
    head = f"{policy}\n<style>{asset('style.css')}</style>"
    return _markup(head=head, data="\n".join(data), scripts="\n".join(scripts))


def _script(text: str) -> str:
    return text.replace("</script", "<\\/script")
