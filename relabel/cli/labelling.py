"""What all labelling commands do once their parts are known."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relabel.cli import terminal
from relabel.cli.terminal import bar

if TYPE_CHECKING:
    from relabel.datasets.base import Reader, SceneReader
    from relabel.pipeline.estimates import Estimate
    from relabel.pipeline.fov_part import Part

log = logging.getLogger(__name__)


_JOB = ("force", "resume", "threads", "executor", "dry_run", "as_json", "no_progress")
"""Options of `options.JOB`: how a job is run, whatever is labelled."""


def label(
    readers: Sequence[Reader], output: Path, *, skipped: Sequence[str] = (), mask: Path | None, **given: Any
) -> None:
    """Label what the readers read by fields of view; `mask` and what follows are all of `fov_options.labelling`."""
    from relabel.datasets.mask import masked
    from relabel.pipeline.fov_part import FovOptions, fov_parts

    job = {name: given.pop(name) for name in _JOB}
    run(fov_parts(masked(readers, mask), FovOptions(**given)), skipped, output, **job)


def label_frames(
    readers: Sequence[SceneReader], output: Path, *, skipped: Sequence[str] = (), mask: Path | None, **given: Any
) -> None:
    """Label what the readers read by surface; `mask` and what follows are those of `labelling_surface`."""
    from relabel.datasets.mask import masked
    from relabel.pipeline.surface_part import SurfaceOptions, surface_parts

    job = {name: given.pop(name) for name in _JOB}
    run(surface_parts(masked(readers, mask), SurfaceOptions(**given)), skipped, output, unit="frames", **job)


def run(
    parts: Sequence[Part],
    skipped: Sequence[str],
    output: Path,
    *,
    force: bool,
    resume: bool,
    threads: int | None,
    executor: str,
    dry_run: bool,
    as_json: bool,
    no_progress: bool,
    unit: str = "queries",
) -> None:
    """Label the parts, or say what it would take; print a summary of the file."""
    from relabel.pipeline.estimates import estimates
    from relabel.pipeline.run import label

    for line in skipped:
        log.warning("%s", line)
    if dry_run:
        _show(estimates(parts, threads=threads), as_json=as_json)
        return
    result = label(
        parts,
        output,
        overwrite=force,
        resume=resume,
        executor=executor,
        threads=threads,
        bar=lambda name, total: bar(name, total, unit=unit, hidden=no_progress),
    )
    show_written(result.path, as_json=as_json)


def show_written(path: Path, *, as_json: bool) -> None:
    """Say that a label file was written, and print what it holds."""
    from relabel.labelfile import LabelFile
    from relabel.report.info import describe, info_text

    log.info("wrote %s (%s bytes)", path, format(path.stat().st_size, ","))
    info = describe(LabelFile(path))
    if as_json:
        terminal.echo_json(info)
    else:
        terminal.echo_lines(info_text(info))


def _show(rows: Sequence[Estimate], *, as_json: bool) -> None:
    if as_json:
        terminal.echo_json({"collections": [asdict(row) for row in rows]})
        return
    from relabel.pipeline.estimates import SceneEstimate
    from relabel.report.text_table import table

    head = ["collection", "queries", "database", "candidate pairs", "about bytes", "about memory"]
    scenes = any(isinstance(row, SceneEstimate) for row in rows)
    cells = []
    for row in rows:
        sizes = (row.labelled_queries, row.labelled_database, row.candidates, row.output_bytes, row.memory_bytes)
        line = [row.name, *(format(size, ",") for size in sizes)]
        if scenes:
            line += [format(row.frames, ","), f"{row.seconds:,.1f}"] if isinstance(row, SceneEstimate) else ["", ""]
        cells.append(line)
    if scenes:
        head += ["depth maps", "about seconds"]
    terminal.echo_lines(table([head, *cells], right=range(1, len(head))))
