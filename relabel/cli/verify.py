"""relabel verify."""

from __future__ import annotations

from pathlib import Path

import click

from relabel.cli import fov_options, options, out


@click.command()
@options.label_file
@options.optional_root
@click.option(
    "--sample", type=click.IntRange(min=1), default=1000, show_default=True, metavar="K", help="Pairs a collection."
)
@options.seed
@options.mask
@fov_options.occluders
@options.as_json
@options.no_progress
@click.pass_context
def command(
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
    from relabel.cli.progress import bar
    from relabel.pipeline.verify import verify

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
        out.echo_json(result.to_json())
    else:
        out.echo_lines(result.findings)
        counts = f"{result.checked:,} pairs recomputed", f"{result.mismatches:,} mismatches"
        out.echo_lines([f"{counts[0]}, largest difference {result.max_abs_diff:.2g}, {counts[1]}"])
        if (off := result.mean_abs_diff_definition) is not None:
            pairs = f"{len(result.definition):,} of them"
            out.echo_lines([f"{pairs} differ from the exact definition by {off:.4f} on average (nearest neighbours)"])
    if result.mismatches:
        ctx.exit(1)
