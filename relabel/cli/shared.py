"""relabel shared."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from relabel.cli import options, terminal


@click.command()
@options.address
@click.argument("query")
@click.argument("database")
@options.root
@click.option(
    "--export-ply",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the points of both frames, coloured by who sees them, as a PLY file. It needs Open3D.",
)
@options.plot
@options.force
@options.as_json
def command(
    address: str,
    query: str,
    database: str,
    root: Path,
    export_ply: Path | None,
    plot: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """What the frames QUERY and DATABASE share, of labels that come from depth maps.

    The depth maps are read again from --root. In the cloud and in the picture what both frames see is green, what only
    QUERY sees orange, and what only DATABASE sees blue.
    """
    from relabel.labelfile import LabelFile, open_address
    from relabel.pipeline.records import frames_from_records
    from relabel.report import figures, shared_surface, shared_views

    stored = open_address(address)
    shared_surface.check_surface(stored)
    # What cannot be written is said before anything is computed.
    if export_ply is not None:
        shared_views.check_ply(export_ply, overwrite=force)
    if plot is not None:
        figures.check_figure(plot, overwrite=force)
    frame_sets = frames_from_records(
        stored, LabelFile(stored.path).provenance(), root, masks=_masks(stored.path, stored.params)
    )
    found = shared_surface.shared(stored, frame_sets.query, frame_sets.database, query, database)
    log = logging.getLogger(__name__)
    if not found.agrees:
        log.warning(
            "the depth maps under %s give ψ %.6f, not the %.6f that is stored: they are not those that were labelled",
            root,
            found.value,
            found.stored,
        )
    if export_ply is not None:
        shared_views.write_ply(export_ply, found, overwrite=force)
        log.info("wrote %s", export_ply)
    if plot is not None:
        shared_views.shared_figure(plot, found, overwrite=force)
        log.info("wrote %s", plot)
    if as_json:
        terminal.echo_json(found.to_json())
    else:
        terminal.echo_lines(shared_surface.shared_text(found))


def _masks(path: object, params: object) -> tuple[Path, ...]:
    """Where the mask of a collection may be besides its root: beside the label file."""
    mask = params.get("mask") if isinstance(params, dict) else None
    return (Path(str(path)).parent / str(mask["name"]),) if isinstance(mask, dict) else ()
