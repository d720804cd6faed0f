"""relabel validate, verify, compare and doctor: checks of a file, its labels, two files, and this machine."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relabel.cli import help_text, options, terminal

if TYPE_CHECKING:
    from relabel.measures import Measure
    from relabel.verify.result import Verification


@help_text.command()
@options.label_file
@click.option(
    "--level",
    type=click.Choice(("header", "structure", "content")),
    default="content",
    show_default=True,
    help="Depth of the check: whether it is a label file; whether it is well formed; whether its content is unchanged "
    "and valid.",
)
@options.as_json
@click.pass_context
def validate_command(ctx: click.Context, file: Path, level: str, as_json: bool) -> None:
    """Check the label FILE against the format and list all errors; exit status 1 if there are any."""
    from relabel.labelfile import validate

    report = validate(file, level=level)
    terminal.echo_result(
        lambda: {"valid": report.valid, "findings": [finding.to_json() for finding in report.findings]},
        lambda: [
            *(f"{f.severity}: {f.path}: {f.message} ({f.level})" for f in report.findings),
            f"{file}: {'valid' if report.valid else 'not valid'} ({level})",
        ],
        as_json=as_json,
    )
    if not report.valid:
        ctx.exit(1)


@help_text.command()
@options.label_file
@options.optional_root
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    metavar="K",
    help="Pairs to recompute per collection.",
)
@options.seed
@options.mask
@options.occluders
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

    With --root the dataset is read again and every camera compared; without it, ψ is checked against the cameras that
    the file holds. Labels from depth maps need --root, and are also compared with the exact definition, of which the
    method is an estimate. Unless given, the mask and the occluders are looked up under --root and next to the file.
    """
    from relabel.verify.verify import verify

    result = verify(
        file,
        root,
        sample=sample,
        seed=seed,
        mask=mask,
        occluders=occluders,
        bar=partial(terminal.bar, hidden=no_progress),
    )
    terminal.echo_result(result.to_json, lambda: _verification_lines(result), as_json=as_json)
    if result.mismatches:
        ctx.exit(1)


def _verification_lines(result: Verification) -> Iterator[str]:
    from relabel.display import several

    yield from result.findings
    yield (
        f"{several(result.checked, 'pair')} recomputed, largest difference {result.max_abs_diff:.2g}, "
        f"{several(result.mismatches, 'mismatch', 'mismatches')}"
    )
    if (off := result.mean_abs_diff_definition) is not None:
        yield (
            f"{len(result.definition):,} of them differ from the exact definition by {off:.4f} on average "
            "(nearest neighbours)"
        )


@help_text.command()
@click.argument("a", metavar="A", shell_complete=options.files)
@click.argument("b", metavar="B", shell_complete=options.files)
@options.optional_measure
@options.as_json
@options.no_progress
def compare_command(a: str, b: str, measure: Measure | None, as_json: bool, no_progress: bool) -> None:
    """Differences between two label files, A and B, each FILE or FILE::COLLECTION.

    Collections are joined by name (a single one on each side whatever their names) and cameras by key, in any order.
    B is converted to the measure of A, or both to that of --measure.
    """
    from relabel.report.compare import compare, comparison_text

    comparison = compare(a, b, measure=measure, bar=partial(terminal.bar, unit="queries", hidden=no_progress))
    terminal.echo_result(comparison.to_json, lambda: comparison_text(comparison, a, b), as_json=as_json)


@help_text.command()
@options.as_json
def doctor_command(as_json: bool) -> None:
    """Versions, threads, kernel cache, GPU, missing system libraries, and how to get what is missing."""
    from relabel import doctor

    findings = doctor.examine()
    terminal.echo_result(lambda: findings, lambda: doctor.lines(findings), as_json=as_json)
