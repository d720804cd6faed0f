"""relabel export, relabel import."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relabel.cli import help_text, options, terminal
from relabel.cli.terminal import bar
from relabel.exchange import registry

if TYPE_CHECKING:
    from relabel.exchange.registry import KeyRule
    from relabel.measures import Measure

_EXPORT, _IMPORT = registry.export_formats(), registry.import_formats()


def _table(summaries: dict[str, str]) -> str:
    """Names and summaries as a block of help that click does not wrap again; other names follow the one they are of."""
    rows = []
    for name, text in summaries.items():
        rows += [
            (name, text),
            *((other, f"the same as {name}") for other, of in registry.ALIASES.items() if of == name),
        ]
    width = max(len(name) for name, _ in rows) + 2
    lines = (
        textwrap.fill(text, 77, initial_indent=name.ljust(width), subsequent_indent=" " * width, break_on_hyphens=False)
        for name, text in rows
    )
    return "\b\n" + "\n".join(lines)


def _names(specs: Iterable[str]) -> list[str]:
    """Those of the formats, and the other names that some have."""
    names = list(specs)
    return [*names, *(other for other, name in registry.ALIASES.items() if name in names)]


def _for(option: str) -> str:
    """The formats that take an option, for its help."""
    return f"({', '.join(name for name, spec in _EXPORT.items() if option in spec.export_options)})"


_EXPORT_HELP = f"""Write labels in the format of another program.

{_table({name: spec.export_summary for name, spec in _EXPORT.items()})}

Images are named by the column path where there is one, else by the key; for gcl, msls-idx and labels of MSLS as MSLS
names them. Names that no image loader could open cause a warning.

Prints the files written; what the format cannot express is reported on stderr. Without a COLLECTION, all of the
file are written, with their names in the names of the files.
"""

_IMPORT_HELP = f"""Make a label file from labels made by others.

INPUT is a file of one of the formats below.

A value means nothing without its measure, and no other format reliably records it. So --measure has no default:
state what the values are, or unknown if their makers do not; unknown values cannot be converted.

{_table({name: spec.import_summary for name, spec in _IMPORT.items()})}
"""

_PATH = click.Path(path_type=Path)


@help_text.command(help=_EXPORT_HELP)
@options.address
@click.option(
    "--to", "form", type=click.Choice(_names(_EXPORT)), metavar="FORMAT", required=True, help="Format to write."
)
@options.output_folder
@click.option(
    "--threshold",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    metavar="PSI",
    help="The least ψ of a positive.  [default: 0.5; pairs: all stored pairs]",
)
@options.optional_measure
@options.image_path
@click.option("--drop-unknown", is_flag=True, help=f"Leave out cameras that are not ok. {_for('drop_unknown')}")
@click.option("--drop-panoramas", is_flag=True, help=f"Leave out panoramas only. {_for('drop_panoramas')}")
@click.option(
    "--within",
    "within_m",
    type=float,
    metavar="M",
    help=f"Positives are cameras within this distance, whatever their ψ. {_for('within_m')}",
)
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Only the N best.  [default: all]")
@click.option(
    "--query",
    "queries",
    multiple=True,
    metavar="KEY",
    help=f"Write the matches of this query; repeatable. {_for('queries')}",
)
@click.option("--gzip", is_flag=True, help=f"Compress dense matrices: far smaller, slower to read. {_for('gzip')}")
@click.option(
    "--max-bytes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Largest size allowed for a dense file.  [default: the free disk space]",
)
@options.seed
@options.force
@click.pass_context
def export_command(
    ctx: click.Context, /, address: str, form: str, folder: Path, measure: Measure | None, force: bool, **chosen: Any
) -> None:
    """Run `relabel export`; `chosen` are the options of formats."""
    from relabel.exchange.exporting import check_options, export
    from relabel.labelfile import open_collections
    from relabel.similarity import SimilaritySource

    if ctx.get_parameter_source("seed") is click.core.ParameterSource.DEFAULT:
        del chosen["seed"]
    chosen["queries"] = chosen["queries"] or None
    check_options(form, chosen)
    sources: dict[str, SimilaritySource] = {
        stored.name: stored if measure is None else stored.in_measure(measure) for stored in open_collections(address)
    }
    result = export(sources, form, folder, overwrite=force, **chosen)
    for note in result.notes:
        logging.getLogger(__name__).warning("%s", note)
    terminal.echo_lines(str(path) for path in result.files)


@help_text.command(help=_IMPORT_HELP)
@click.argument("form", type=click.Choice(_names(_IMPORT)), metavar="FORMAT")
@click.argument("input", type=_PATH, metavar="INPUT")
@options.output(None)
@options.stated_measure
@click.option(
    "--queries",
    type=_PATH,
    metavar="FILE",
    help="The queries: an index (.json), a table, or text with one key per line.",
)
@click.option("--database", type=_PATH, metavar="FILE", help="The database cameras, as --queries.")
@options.optional_root
@click.option("--city", metavar="NAME", help="The city of --root.  [default: the name of INPUT]")
@click.option(
    "--key-from",
    "keys",
    type=click.Choice(["stem", "path"]),
    help="Part of an image's path in an index that is the key.  [default: the keys stored by an export, else stem; "
    "condensed: path]",
)
@click.option("--dataset", metavar="NAME", help="Dataset of a dense file.  [default: fov]")
@options.self_pairs
@options.collection_name
@options.stated_min_value
@options.force
@options.as_json
@options.no_progress
def import_command(
    form: str,
    input: Path,  # noqa: A002
    output: Path,
    queries: Path | None,
    database: Path | None,
    root: Path | None,
    city: str | None,
    keys: KeyRule | None,
    force: bool,
    as_json: bool,
    no_progress: bool,
    **chosen: Any,
) -> None:
    """Run `relabel import`; `chosen` are the further arguments of `relabel.exchange.importing.load`."""
    from relabel.cli.labelling import show_written
    from relabel.exchange.camera_files import CameraFiles
    from relabel.exchange.importing import load
    from relabel.labelfile import check_output

    check_output(output, overwrite=force)
    imported = load(form, input, cameras=CameraFiles(queries, database, root, city, keys), **chosen)
    for note in imported.notes:
        logging.getLogger(__name__).warning("%s", note)
    with bar(imported.name, imported.source.collection.shape[0], unit="rows", hidden=no_progress) as advance:
        imported.write(output, overwrite=force, progress=advance)
    show_written(output, as_json=as_json)
