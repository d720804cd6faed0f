"""relabel status: how far a labelling job is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from relabel.cli import help_text, options, terminal

if TYPE_CHECKING:
    from relabel.pipeline.packing import JobStatus, State

_STATES: tuple[State, ...] = ("done", "computing", "waiting", "missing")
_SHOWN = 20  # parts that are not done


@help_text.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="FILE.parts")
@options.as_json
def status_command(folder: Path, as_json: bool) -> None:
    """Show how far a labelling job is, from its folder of parts, FILE.parts.

    A part is done; computing, if a run is writing it now; waiting, if a run that is still alive will compute it; or
    missing, if no run has claimed it.
    """
    show_status(folder, as_json=as_json)


def show_status(folder: Path, *, as_json: bool) -> None:
    """Print the progress of a job."""
    from relabel.pipeline.packing import status

    found = status(folder)
    terminal.echo_result(found.to_json, lambda: _lines(found), as_json=as_json)


def _lines(found: JobStatus) -> list[str]:
    from relabel.report.text_table import table

    names = list(dict.fromkeys(part.piece.collection for part in found.parts))
    cells = [["collection", "parts", *_STATES]]
    for name in names:
        states = [part.state for part in found.parts if part.piece.collection == name]
        cells.append([name, f"{len(states):,}", *(f"{states.count(state):,}" for state in _STATES)])
    lines = table(cells, right=range(1, len(cells[0])))
    lines += [f"run: {run}" for run in found.runs]
    unfinished = [part for part in found.parts if part.state != "done"]
    for part in unfinished[:_SHOWN]:
        by = "" if part.by is None else f" by process {part.by.process} on {part.by.host}"
        lines.append(f"{part.piece}: {part.state}{by}{f' ({part.fault})' if part.fault else ''}")
    if len(unfinished) > _SHOWN:
        lines.append(f"and {len(unfinished) - _SHOWN:,} more")
    if not unfinished:
        lines.append(f"all parts are done: relabel pack {found.folder} -o {found.folder.with_suffix('')}")
    return lines
