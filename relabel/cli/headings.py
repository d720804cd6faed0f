"""relabel headings."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from relabel.cli import help_text, options, terminal
from relabel.datasets import registry
from relabel.errors import OptionError

log = logging.getLogger(__name__)

# Spelled out because relabel.report loads scipy; a test holds them equal to it.
REASONS = ("constant", "jumping", "flipped", "alone", "against_travel")
DEFAULT_REASONS = ("constant", "jumping", "flipped")


def _reasons(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    del ctx, param
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    unknown = [name for name in names if name not in REASONS]
    if unknown or not names:
        raise click.BadParameter(f"{', '.join(unknown) or 'nothing'} is not a reason; choose from {', '.join(REASONS)}")
    return names


def _degrees(flag: str, name: str, default: float, text: str) -> options.Decorator[Any]:
    return options.number(flag, name, default, "DEG", text)


def _metres(flag: str, name: str, default: float, text: str) -> options.Decorator[Any]:
    return options.number(flag, name, default, "M", text)


@help_text.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="ROOT | QUERIES DATABASE")
@options.source
@options.cities
@options.columns
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="CSV", help="Mask file to write, for --mask.")
@options.plot
@options.dark
@click.option(
    "--reasons",
    default=",".join(DEFAULT_REASONS),
    show_default=True,
    callback=_reasons,
    metavar="NAME,…",
    help=f"Faults that put a camera into the mask: {', '.join(REASONS)}.",
)
@click.option(
    "--against-travel",
    "against_deg",
    type=float,
    metavar="DEG",
    help="Also mask cameras whose heading is this far off their direction of travel, or off view_direction.",
)
@_degrees("--jump", "jump_deg", 60.0, "Least change of heading, unexplained by the track, that counts as a jump.")
@_degrees("--flip", "flip_deg", 150.0, "Headings that differ by more count as turned by 180°.")
@_metres("--step", "step_m", 5.0, "Least distance between two positions that gives a direction of travel.")
@_metres("--gap", "gap_m", 50.0, "Consecutive images farther apart are not compared.")
@options.near
@_metres("--place", "place_m", 5.0, "Pairs this close count as at the same place.")
@options.as_json
@options.force
def headings_command(
    paths: tuple[Path, ...],
    source: str | None,
    cities: str | None,
    columns: str | None,
    output: Path | None,
    plot: Path | None,
    dark: bool,
    reasons: tuple[str, ...],
    against_deg: float | None,
    as_json: bool,
    force: bool,
    **limits: Any,
) -> None:
    """Look for headings that should not be trusted, and write a mask that leaves them out.

    ROOT is an MSLS tree. QUERIES and DATABASE are as for `relabel names` or `relabel table`: folders or lists of
    @ names, or tables; a single one is compared with itself. For other datasets use --source.

    Reports missing headings, stuck compasses, jumps that the track does not explain, compass against direction of
    travel, parts of a sequence that are turned by 180°, and the heading differences of nearby cameras. Checks that
    depend on the order of images need sequences.
    """
    from relabel.atomic import check_target
    from relabel.audit.headings.audit import audit
    from relabel.audit.headings.types import Thresholds
    from relabel.datasets.base import CameraSets
    from relabel.figures import check_figure
    from relabel.report.heading_audit import summary

    if output is not None:
        check_target(output, overwrite=force)
    if plot is not None:
        check_figure(plot, overwrite=force)
    if against_deg is not None:
        limits["against_deg"] = against_deg
        reasons = tuple(dict.fromkeys([*reasons, "against_travel"]))
    thresholds = Thresholds(**limits)
    audits = []
    if len(paths) > 2:
        raise OptionError(f"{len(paths)} paths were given; give an MSLS tree, or QUERIES and DATABASE")
    spec, selection = registry.select_paths(paths, dataset_name=source, cities=cities, columns=columns)
    if "fov" not in spec.readers:
        raise OptionError(f"{spec.name} is labelled by surface; there are no headings to check")
    for line in selection.skipped:
        log.warning("%s", line)
    for reader in selection.readers:
        cameras = reader.read()
        assert isinstance(cameras, CameraSets)
        for note in cameras.notes:
            log.info("%s: %s", reader.name, note)
        faults = cameras.params.get("heading_faults", {})
        audits.append(
            audit(
                cameras.query,
                cameras.database,
                name=reader.name,
                thresholds=thresholds,
                wrapped=faults.get("wrapped", 0),
                geographic=cameras.geographic,
            )
        )
    if output is not None:
        summary.write_mask(output, audits, reasons, overwrite=force)
    if plot is not None:
        from relabel.plot.headings import headings_figure

        headings_figure(plot, audits, reasons, overwrite=force, dark=dark)
    mask = None if output is None else str(output)
    sentence = summary.verdict(audits, reasons, command=spec.recorded_command, mask=mask)
    if as_json:
        terminal.echo_json(
            {"collections": [a.to_json(reasons) for a in audits], "reasons": reasons, "verdict": sentence}
        )
        return
    for collection_audit in audits:
        terminal.echo_lines([*summary.audit_text(collection_audit, reasons), ""])
    terminal.echo_lines([sentence])
