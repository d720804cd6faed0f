"""relabel validate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from relabel.cli import options, overlap_options, terminal

if TYPE_CHECKING:
    from relabel.measures import Measure


@click.command()
@options.label_file
@click.option(
    "--level",
    type=click.Choice(("header", "structure", "content")),
    default="content",
    show_default=True,
    help="How deep to look: is it a label file; is it well formed; are its values what they were.",
)
@options.as_json
@click.pass_context
def validate_command(ctx: click.Context, file: Path, level: str, as_json: bool) -> None:
    """Check the label FILE against the format and list all that is wrong; exit status 1 when there is any error."""
    from relabel.labelfile import validate

    report = validate(file, level=level)
    if as_json:
        terminal.echo_json({"valid": report.valid, "findings": [finding.to_json() for finding in report.findings]})
    else:
        terminal.echo_lines(f"{f.severity}: {f.path}: {f.message} ({f.level})" for f in report.findings)
        terminal.echo_lines([f"{file}: {'valid' if report.valid else 'not valid'} ({level})"])
    if not report.valid:
        ctx.exit(1)


@click.command()
@options.label_file
@options.optional_root
@click.option(
    "--sample", type=click.IntRange(min=1), default=1000, show_default=True, metavar="K", help="Pairs a collection."
)
@options.seed
@options.mask
@overlap_options.occluders
@options.as_json
@options.no_progress
@click.pass_context
def verify_command(
    ctx: click.Context,
    file: Path,
    root: Path | None,
    sample: int,
    seed: int,
    mask: Path | None,
    occluders: Path | None,
    as_json: bool,
    no_progress: bool,
) -> None:
    """Recompute a sample of pairs, stored and absent, with a slow oracle: shapely, or sets of voxels.

    With --root the data set is read again and every camera compared; without it, ψ is checked against the cameras that
    the file holds. Labels from depth maps need --root, and are also compared with the exact definition, of which the
    method is an estimate. A mask and occluders are looked for under --root and beside the file, unless they are given.
    """
    from relabel.cli.terminal import bar
    from relabel.verify.verify import verify

    result = verify(
        file,
        root,
        sample=sample,
        seed=seed,
        mask=mask,
        occluders=occluders,
        bar=lambda name, pairs: bar(name, pairs, unit="pairs", hidden=no_progress),
    )
    if as_json:
        terminal.echo_json(result.to_json())
    else:
        terminal.echo_lines(result.findings)
        counts = f"{result.checked:,} pairs recomputed", f"{result.mismatches:,} mismatches"
        terminal.echo_lines([f"{counts[0]}, largest difference {result.max_abs_diff:.2g}, {counts[1]}"])
        if (off := result.mean_abs_diff_definition) is not None:
            pairs = f"{len(result.definition):,} of them"
            terminal.echo_lines(
                [f"{pairs} differ from the exact definition by {off:.4f} on average (nearest neighbours)"]
            )
    if result.mismatches:
        ctx.exit(1)


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@options.optional_measure
@options.as_json
@options.no_progress
def compare_command(a: str, b: str, measure: Measure | None, as_json: bool, no_progress: bool) -> None:
    """What is different between two label files, A and B, each FILE or FILE::COLLECTION.

    Collections are joined by name (one against one whatever the names) and cameras by key, in any order. B is compared
    in the measure of A, or both in that of --measure.
    """
    from relabel.cli.terminal import bar
    from relabel.report.compare import compare, comparison_text

    found = compare(
        a, b, measure=measure, bar=lambda name, queries: bar(name, queries, unit="queries", hidden=no_progress)
    )
    if as_json:
        terminal.echo_json(found.to_json())
    else:
        terminal.echo_lines(comparison_text(found, a, b))


@click.command()
@options.as_json
def doctor_command(as_json: bool) -> None:
    """Versions, threads, kernel cache, GPU, missing system libraries, and how to get what is missing."""
    from relabel import doctor

    found = doctor.examine()
    if as_json:
        terminal.echo_json(found)
    else:
        terminal.echo_lines(doctor.lines(found))
