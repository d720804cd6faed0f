"""relabel publish."""

from __future__ import annotations

from pathlib import Path

import click

from relabel.cli import options, out


@click.command()
@options.label_file
@options.output_folder
@click.option("--title", default="", metavar="TEXT", help="One line.  [default: made from the collections]")
@click.option("--description", default="", metavar="TEXT", help="A few sentences.  [default: made from the counts]")
@click.option("--creator", "creators", multiple=True, metavar="NAME", help="Who made the labels; may be repeated.")
@click.option("--license", "licence", default="", metavar="SPDX|URL", help="Licence of the labels.")
@click.option("--url", default="", help="Web page of the published labels.")
@click.option(
    "--date", "day", default="", metavar="YYYY-MM-DD", help="Day of publication.  [default: none, or SOURCE_DATE_EPOCH]"
)
@click.option("--edition", default="1.0.0", show_default=True, metavar="X.Y.Z", help="Version of the published labels.")
@click.option("--parquet", is_flag=True, help="Add the pairs and cameras as Parquet tables, which Croissant can read.")
@options.force
@options.as_json
def command(
    file: Path,
    folder: Path,
    title: str,
    description: str,
    creators: tuple[str, ...],
    licence: str,
    url: str,
    day: str,
    edition: str,
    parquet: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Make a folder to upload from the label FILE.

    It holds the file itself, a README card, a histogram, Croissant metadata (croissant.json) and SHA256SUMS. A file
    that is not valid is refused. Nothing in the folder tells of this machine or its user.
    """
    from relabel.publish import About, publish

    about = About(title, description, creators, licence, url, day, edition)
    made = publish(file, folder, about, parquet=parquet, overwrite=force)
    if as_json:
        out.echo_json({"folder": str(made.folder), "files": list(made.files)})
    else:
        out.echo_lines(str(made.folder / name) for name in made.files)
