"""relabel fit: the parameters behind published labels."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relabel.cli import help_text, options, terminal

if TYPE_CHECKING:
    from relabel.fit.fit import Candidate, Fit

_NAMED = 4  # models that cannot be told apart
_SHOWN = 10  # candidates in the table; --json has all


@help_text.command()
@options.address
@options.optional_root
@click.option(
    "--pairs",
    type=click.IntRange(min=40),
    default=4000,
    show_default=True,
    metavar="K",
    help="Number of pairs to fit to, over all collections.",
)
@options.seed
@options.plot
@options.dark
@options.force
@options.as_json
@options.no_progress
def fit_command(
    address: str,
    root: Path | None,
    pairs: int,
    seed: int,
    plot: Path | None,
    dark: bool,
    force: bool,
    as_json: bool,
    no_progress: bool,
) -> None:
    """Recover θ, r, shape and measure behind published labels.

    A sample of the pairs, stored and absent, is compared with fields of view of all kinds by least squares. Positions
    and headings come from the file, or with --root from the MSLS tree that was labelled. All collections of FILE are
    fitted together; FILE::COLLECTION fits one.
    """
    from relabel.figures import check_figure
    from relabel.fit.fit import fit
    from relabel.labelfile import open_collections

    if plot is not None:
        check_figure(plot, overwrite=force)
    result = fit(
        open_collections(address),
        root,
        sample=pairs,
        seed=seed,
        bar=partial(terminal.bar, unit="models", hidden=no_progress),
    )
    if plot is not None:
        from relabel.report.fit_figure import fit_figure

        title = f"{result.best.name}: {_parameters(result.best)}, rms {result.best.rms:.2g}"
        compared = result.published, result.fitted, result.distance_m
        fit_figure(plot, *compared, title=title, overwrite=force, dark=dark)
    terminal.echo_result(result.to_json, lambda: _lines(result), as_json=as_json)


def _lines(fit: Fit) -> Iterator[str]:
    from relabel.display import several
    from relabel.report.text_table import table

    best = fit.best
    if fit.explained:
        yield f"The labels are {best.name} with {_parameters(best)}."
    else:
        yield (
            "No field-of-view model explains the labels: even the best leaves an rms of "
            f"{best.rms:.2g} ({best.name}, {_parameters(best)})."
        )
    yield (
        f"  residual: rms {best.rms:.2g}, largest {best.max_residual:.2g}, {100.0 * best.close_share:.1f} % of "
        f"{several(fit.stored + fit.absent, 'pair')} within 0.01 ({fit.stored:,} stored, {fit.absent:,} absent)"
    )
    if fit.same_values:
        yield f"  since all views are identical, {' and '.join(fit.same_values)} would have the same values"
    if fit.explained and fit.not_told_apart:
        names = [c.name for c in fit.not_told_apart]
        more = f"; and {len(names) - _NAMED} more (--json lists all)" if len(names) > _NAMED else ""
        yield f"  indistinguishable from: {'; '.join(names[:_NAMED])}{more}"
    if fit.explained and fit.runner_up is not None:
        other = fit.runner_up
        yield f"  the next best is {other.name} with {_parameters(other)}: rms {other.rms:.2g}"
    yield from _next(fit)
    yield ""
    rows = [["model", "θ", "r", "rms", "largest", "within 0.01"]]
    rows += [
        [c.name, *_angle_and_range(c), f"{c.rms:.2g}", f"{c.max_residual:.2g}", f"{100.0 * c.close_share:.1f} %"]
        for c in fit.candidates[:_SHOWN]
    ]
    yield from table(rows, right=(1, 2, 3, 4, 5))
    if len(fit.collections) > 1:
        yield ""
        parts = [["collection", "stored", "absent", "rms"]]
        parts += [[c.name, f"{c.stored:,}", f"{c.absent:,}", f"{c.rms:.2g}"] for c in fit.collections]
        yield from table(parts, right=(1, 2, 3))


def _next(fit: Fit) -> Iterator[str]:
    """What to do with the answer."""
    best = fit.best
    if not fit.explained:
        yield "  Labels from depth, binary classes or other headings give such a result; check --root and keys."
        return
    if best.cut:
        yield (
            "  Pairs farther apart than r have ψ 0 although their views overlap: a known bug of early exits, which "
            "relabel does not have."
        )
    if best.measure == "overlap-database":
        yield "  The share of the database camera's view is not a measure of the format; swap queries and database."
        return
    if best.fov_deg is not None and best.radius_m is not None and best.database_fov_deg is None and not best.cut:
        arc = "" if best.arc is None else f" --arc {best.arc}"
        yield (
            f"  relabel msls --fov {best.fov_deg:.6g} --radius {best.radius_m:.6g} --shape {best.shape}{arc} "
            f"--measure {best.measure} makes such labels;"
        )
    yield f"  relabel import … --measure {best.measure} records the measure of these labels."


def _parameters(c: Candidate) -> str:
    own = [text for text, value in (("θ", c.fov_deg), ("r", c.radius_m)) if value is None]
    fitted = []
    for text, value, sigma, unit in (
        ("θ = ", c.fov_deg, c.fov_sigma_deg, "°"),
        ("r = ", c.radius_m, c.radius_sigma_m, " m"),
    ):
        if value is not None:
            # Below a thousandth the uncertainty says nothing about labels.
            fitted.append(f"{text}{value:.3f}{f' ± {sigma:.2g}' if sigma is not None and sigma >= 1e-3 else ''}{unit}")
    if c.database_fov_deg is not None:
        fitted.append(f"and θ = {c.database_fov_deg:.3f}°, r = {c.database_radius_m:.3f} m for the database")
    return ", ".join([*fitted, *(f"{text} of each camera as in the file" for text in own)])


def _angle_and_range(c: Candidate) -> tuple[str, str]:
    angle = "-" if c.fov_deg is None else f"{c.fov_deg:.2f}°"
    reach = "-" if c.radius_m is None else f"{c.radius_m:.2f} m"
    if c.database_fov_deg is not None:
        angle, reach = f"{angle}, {c.database_fov_deg:.2f}°", f"{reach}, {c.database_radius_m:.2f} m"
    return angle, reach
