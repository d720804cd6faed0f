"""relabel msls."""

from __future__ import annotations

from pathlib import Path

import click

from relabel.cli import options


@click.command()
@options.root
@options.output("msls.h5")
@click.option(
    "--cities",
    metavar="train|val|test|NAME,…",
    help="Cities to label, by official list or by name.  [default: all that have positions]",
)
@options.fov
@options.radius
@options.shape
@options.arc
@click.option(
    "--heading",
    type=click.Choice(["compass", "travel"]),
    default="compass",
    show_default=True,
    help="Where headings come from: the compass angle `ca`, or the direction of travel of each sequence.",
)
@options.measure
@options.min_value
@options.force
@options.resume
@options.threads
@options.executor
@options.dry_run
@options.as_json
@options.no_progress
def command(
    root: Path,
    output: Path,
    cities: str | None,
    fov_deg: float,
    radius_m: float,
    shape: str,
    arc: int,
    heading: str,
    measure: str,
    min_value: float,
    force: bool,
    resume: bool,
    threads: int | None,
    executor: str,
    dry_run: bool,
    as_json: bool,
    no_progress: bool,
) -> None:
    """Label MSLS by how much the fields of view of two cameras overlap.

    Only the metadata is read (raw.csv, postprocessed.csv, seq_info.csv); no picture needs to be there. Every city
    becomes a collection of its name.
    """
    from relabel.cli.labelling import run
    from relabel.datasets.msls_reader import readers
    from relabel.pipeline.parts import FovOptions, fov_parts

    chosen = FovOptions(fov_deg, radius_m, shape, arc, measure, min_value)  # type: ignore[arg-type]  # click checks
    found, skipped = readers(root, cities, heading=heading)  # type: ignore[arg-type]
    run(
        fov_parts(found, chosen),
        [f"{city.name}: passed over: {city.reason}" for city in skipped],
        output,
        force=force,
        resume=resume,
        threads=threads,
        executor=executor,
        dry_run=dry_run,
        as_json=as_json,
        no_progress=no_progress,
    )
