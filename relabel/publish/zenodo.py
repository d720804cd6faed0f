"""Metadata that Zenodo reads from ``.zenodo.json`` at the top of a repository (https://developers.zenodo.org)."""

from __future__ import annotations

import html
import json

from relabel.publish.about import About, is_url

ZENODO = ".zenodo.json"


def zenodo_metadata(about: About) -> str | None:
    """The text of the file; None where creators or licence are not known.

    Zenodo takes no record without creators, and gives one without a licence a licence of its own choice.

    Parameters
    ----------
    about:
        with title and description filled in.
    """
    if not about.creators or not about.license or is_url(about.license):
        return None
    value: dict[str, object] = {
        "upload_type": "dataset",
        "title": about.title,
        "description": html.escape(about.description, quote=False),  # shown as HTML
        "creators": [{"name": name} for name in about.creators],
        "access_right": "open",
        "license": about.license,
        "version": about.version,
        "keywords": ["visual place recognition", "image retrieval", "graded similarity labels"],
    }
    value |= {"publication_date": about.date} if about.date else {}
    value |= {"related_identifiers": [{"identifier": about.url, "relation": "isDescribedBy"}]} if about.url else {}
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
