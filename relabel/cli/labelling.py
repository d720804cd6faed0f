"""The labelling commands: the options of a dataset, those that all of them share, and what they do."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import click
from click.core import ParameterSource

from relabel.cli import help_text, options, terminal
from relabel.cli.terminal import bar
from relabel.datasets.registry import DatasetSpec, LabelKind
from relabel.errors import OptionError
from relabel.exclusion import RULES, Exclusion

if TYPE_CHECKING:
    from relabel.pipeline.parts import Estimate, Part

log = logging.getLogger(__name__)

_JOB = (
    *("strict", "allow", "force", "resume", "threads", "memory_bytes", "executor", "share", "keep_parts"),
    *("dry_run", "as_json", "no_progress"),
)
"""Parameters of `options.JOB`: how a job is run, whatever is labelled."""


class KindOptions(Protocol):
    """The module that makes the options of one kind of label; it is imported only for datasets of that kind."""

    NAMES: tuple[str, ...]
    """parameters that its options fill, those that both kinds have among them"""

    @staticmethod
    def decorators(spec: DatasetSpec) -> tuple[options.Decorator[Any], ...]:
        """The options of a command, without those that both kinds have."""
        ...

    @staticmethod
    def parts_maker(values: dict[str, Any], excluded: Exclusion) -> Callable[[Sequence[Any]], Sequence[Part]]:
        """What makes one part for each reader; `values` are those of all `NAMES`, and are checked before any is read.

        `excluded` is recorded in the labels.
        """
        ...


def _kind_options(kind: LabelKind) -> KindOptions:
    return cast("KindOptions", importlib.import_module(f"relabel.cli.{kind}_options"))


def labelling_command(spec: DatasetSpec) -> click.Command:
    """The command that labels a dataset: its own options, those of its kinds of label, and those of every job."""
    module = spec.command_module()
    kinds = {kind: _kind_options(kind) for kind in spec.readers}

    def command(output: Path, mask: Path | None, **values: Any) -> None:
        from relabel.datasets.mask import masked

        job = {name: values.pop(name) for name in _JOB}
        excluded = Exclusion(**{name: values.pop(name) for name in RULES})
        overlap = {name: values.pop(name) for name in {name for kind in kinds.values() for name in kind.NAMES}}
        kind = next(iter(kinds))
        if len(kinds) > 1:
            kind = module.label_kind(**values)  # type: ignore[attr-defined]
            _refuse_other_kind(spec, kind, kinds)
        make_parts = kinds[kind].parts_maker({name: overlap[name] for name in kinds[kind].NAMES}, excluded)
        selection = spec.select(**values)
        readers: Sequence[Any] = masked(cast("Any", selection.readers), mask)
        run(make_parts(readers), selection.skipped, output, unit="queries" if kind == "fov" else "frames", **job)

    command.__doc__ = module.select.__doc__
    decorators: list[Callable[[Any], Any]] = [*module.OPTIONS, options.output(spec.default_output)]
    for kind in ("fov", "surface"):
        if kind in kinds:
            decorators += kinds[kind].decorators(spec)
    decorators += [options.measure, options.min_value, options.exclusion, options.mask, *options.JOB]
    for decorator in reversed(decorators):
        command = decorator(command)
    return help_text.command(name=spec.name)(command)


def _refuse_other_kind(spec: DatasetSpec, kind: LabelKind, kinds: dict[LabelKind, KindOptions]) -> None:
    """Raise an OptionError where an option was given that only the other kind of label takes."""
    context = click.get_current_context()
    others = {name for other in kinds if other != kind for name in kinds[other].NAMES} - set(kinds[kind].NAMES)
    for parameter in context.command.params:
        name = str(parameter.name)
        if name in others and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise OptionError(f"{parameter.opts[0]} {spec.other_kind[kind]}")


def run(
    parts: Sequence[Part],
    skipped: Iterable[str],
    output: Path,
    *,
    strict: bool,
    allow: Collection[str],
    force: bool,
    resume: bool,
    threads: int | None,
    memory_bytes: int | None,
    executor: str,
    share: tuple[int, int] | None,
    keep_parts: bool,
    dry_run: bool,
    as_json: bool,
    no_progress: bool,
    unit: str = "queries",
) -> None:
    """Label the parts, or report what that would take; print a summary of the file."""
    from relabel.audit.findings import refuse_warnings
    from relabel.pipeline.parts import estimates
    from relabel.pipeline.run import label

    for line in skipped:
        log.warning("%s", line)
    if dry_run:
        rows = estimates(parts, threads=threads)
        for row in rows:
            row.audit.log(row.name, allow=allow)
            for note in row.notes:
                log.info("%s", note)
        if strict:
            refuse_warnings([(row.name, row.audit) for row in rows], allow=allow)
        _show(rows, as_json=as_json)
        return
    result = label(
        parts,
        output,
        overwrite=force,
        resume=resume,
        executor=executor,
        threads=threads,
        memory_bytes=memory_bytes,
        bar=lambda name, total: bar(name, total, unit=unit, hidden=no_progress),
        strict=strict,
        allow=allow,
        share=share,
        keep_parts=keep_parts,
    )
    if share is not None:
        from relabel.cli.status import show_status

        show_status(result.path, as_json=as_json)
        return
    audits = [{"name": part.name, **part.audit.to_json()} for part in result.parts]
    show_written(result.path, as_json=as_json, audits=audits)


def show_written(path: Path, *, as_json: bool, audits: Sequence[dict[str, Any]] | None = None) -> None:
    """Report that a label file was written, and print its summary; JSON includes the findings of the audit."""
    from relabel.labelfile import LabelFile
    from relabel.report.info import describe, info_text

    files = [path] if path.is_file() else list(path.iterdir())
    shards = len(files) - 1
    what = "" if path.is_file() else f" in {shards:,} {'shard' if shards == 1 else 'shards'}"
    log.info("wrote %s (%s bytes%s)", path, format(sum(file.stat().st_size for file in files), ","), what)
    info = describe(LabelFile(path))
    for collection in info["collections"] if audits is None else ():
        if not collection["nnz"]:
            log.warning("%s: holds no pairs", collection["name"])
    if as_json:
        terminal.echo_json(info if audits is None else {**info, "audit": audits})
    else:
        terminal.echo_lines(info_text(info))


def _show(rows: Sequence[Estimate], *, as_json: bool) -> None:
    if as_json:
        terminal.echo_json({"collections": [row.to_json() for row in rows]})
        return
    from relabel.display import byte_size, duration
    from relabel.report.text_table import table

    head = ["collection", "queries", "database", "candidate pairs", "file, about", "memory, about"]
    with_depth = any(row.frames is not None for row in rows)
    head += [*(["depth maps"] if with_depth else []), "time, about"]
    cells = []
    for row in rows:
        counts = (row.labelled_queries, row.labelled_database, row.candidates)
        line = [row.name, *(format(count, ",") for count in counts)]
        line += [byte_size(row.output_bytes), byte_size(row.memory_bytes)]
        if with_depth:
            line += ["" if row.frames is None else format(row.frames, ",")]
        cells.append([*line, "" if row.seconds is None else duration(row.seconds)])
    if any(row.parts > 1 for row in rows):  # only large collections are cut
        head.append("parts")
        for line, row in zip(cells, rows, strict=True):
            line.append(format(row.parts, ","))
    terminal.echo_lines(table([head, *cells], right=range(1, len(head))))
