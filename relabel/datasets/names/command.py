"""The options of `relabel names`."""

from __future__ import annotations

from pathlib import Path

import click

from relabel.datasets import options
from relabel.datasets.registry import ReaderSelection
from relabel.errors import OptionError

OPTIONS = (
    options.queries,
    options.optional_database,
    options.self_pairs,
    click.option(
        "--join-msls",
        type=click.Path(path_type=Path),
        metavar="ROOT",
        help="MSLS tree to take headings from, by pano_id: copies of MSLS with @ names lack the compass angle.",
    ),
    options.collection_name,
)


def select(
    queries: Path, database: Path | None, *, self_pairs: bool, join_msls: Path | None, name: str | None
) -> ReaderSelection:
    """Label images whose names hold position and heading, by how much their fields of view overlap.

    QUERIES and DATABASE are each a folder of images (searched recursively; only names are read), a text file with one
    name per line, or a .npy array of names. Names are those of SF-XL and of VPR-datasets-downloader:
    @east@north@zone@letter@lat@lon@pano_id@tile@heading@…@.jpg. The collection is named after the folder that holds
    both lists, or after the single list. `relabel verify FILE --root DIR` takes the folder that holds all inputs.
    """
    from relabel.datasets.names.lists import reader

    if self_pairs and database is not None and database != queries:
        raise OptionError("--self-pairs pairs QUERIES with themselves; omit DATABASE")
    if database is None and not self_pairs:
        raise OptionError("there is no DATABASE; give one, or --self-pairs to pair QUERIES with themselves")
    return ReaderSelection([reader(queries, database, name=name, join_msls=join_msls)])
