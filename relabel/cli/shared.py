"""relabel shared: what two depth frames have in common."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from relabel.cli import help_text, options, terminal


@help_text.command()
@options.address
@click.argument("query")
@click.argument("database")
@options.root
@click.option(
    "--export-ply",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the points of both frames, coloured by which frames see them, to a PLY file; needs Open3D.",
)
@options.plot
@options.dark
@options.force
@options.as_json
def shared_command(
    address: str,
    query: str,
    database: str,
    root: Path,
    export_ply: Path | None,
    plot: Path | None,
    dark: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Show what the frames QUERY and DATABASE share, for labels from depth maps.

    The depth maps are read again from --root. In point cloud and figure, green is seen by both frames,
    orange only by QUERY, and blue only by DATABASE.
    """
    from relabel.figures import check_figure
    from relabel.labelfile import LabelFile, open_address
    from relabel.pipeline.records import frames_from_records, masks_beside
    from relabel.report import shared_surface, shared_views

    # What cannot be written is said before anything is read.
    if export_ply is not None:
        shared_views.check_ply(export_ply, overwrite=force)
    if plot is not None:
        check_figure(plot, overwrite=force)
    stored = open_address(address)
    shared_surface.check_surface(stored)
    frames = frames_from_records(stored, LabelFile(stored.path).provenance(), root, masks=masks_beside(stored))
    pair = shared_surface.shared(stored, frames.query, frames.database, query, database)
    log = logging.getLogger(__name__)
    if not pair.agrees:
        log.warning(
            "the depth maps under %s give ψ %.6f, not the stored %.6f: they are not the ones that were labelled",
            root,
            pair.value,
            pair.stored,
        )
    if export_ply is not None:
        shared_views.write_ply(export_ply, pair, overwrite=force)
        log.info("wrote %s", export_ply)
    if plot is not None:
        shared_views.shared_figure(plot, pair, overwrite=force, dark=dark)
        log.info("wrote %s", plot)
    terminal.echo_result(pair.to_json, lambda: shared_surface.shared_text(pair), as_json=as_json)
