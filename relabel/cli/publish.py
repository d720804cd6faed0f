"""relabel publish."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from relabel.cli import help_text, options, terminal

log = logging.getLogger(__name__)

_WANTED = {
    "license": "--license",
    "creators": "--creator",
    "url": "--url",
    "date": "--date",
}
"""Facts that a label file lacks and users of published labels need, with the options that supply them."""


@help_text.command()
@options.label_file
@options.output_folder
@click.option("--title", default="", metavar="TEXT", help="One line.  [default: made from the collections]")
@click.option("--description", default="", metavar="TEXT", help="A few sentences.  [default: made from the counts]")
@click.option("--creator", "creators", multiple=True, metavar="NAME", help="Creator of the labels; repeatable.")
@click.option("--license", default="", metavar="SPDX|URL", help="Licence of the labels, such as CC-BY-4.0.")
@click.option("--url", default="", help="Web page of the published labels.")
@click.option(
    "--date", default="", metavar="YYYY-MM-DD", help="Date of publication.  [default: none, or SOURCE_DATE_EPOCH]"
)
@click.option(
    "--edition",
    "version",
    default="1.0.0",
    show_default=True,
    metavar="X.Y.Z",
    help="Version of the published labels.",
)
@click.option("--parquet", is_flag=True, help="Add the pairs and cameras as Parquet tables, which Croissant can read.")
@click.option(
    "--hub",
    is_flag=True,
    help="Make a folder that Hugging Face `datasets` can load directly (implies --parquet), and print the upload "
    "command.",
)
@click.option("--report", is_flag=True, help="Add report.html, the page of `relabel report`, without images.")
@click.option(
    "--report-images",
    "images",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="With --report: include scaled-down images from DIR in the page. Check their licence first.",
)
@options.image_path
@options.force
@options.as_json
def command(
    file: Path,
    folder: Path,
    parquet: bool,
    hub: bool,
    report: bool,
    images: Path | None,
    image_path: str | None,
    force: bool,
    as_json: bool,
    **about: Any,
) -> None:
    """Make a folder to upload from the label FILE.

    It holds the file itself, a README card, a histogram, Croissant metadata (croissant.json) and SHA256SUMS. An
    invalid file is refused. Nothing in the folder identifies this machine or its user, and nothing is uploaded.

    Images for --report-images are looked up by the path of the camera, else by its key, else in the layouts of the
    known datasets.
    """
    from relabel.publish import About, publish, upload_command

    described = About(**about)
    published = publish(
        file,
        folder,
        described,
        parquet=parquet or hub,
        report=report,
        images=images,
        image_path=image_path,
        overwrite=force,
    )
    upload = upload_command(published.folder, about["url"]) if hub else None
    if as_json:
        summary = {"folder": str(published.folder), "files": list(published.files)}
        terminal.echo_json(summary | ({"upload": upload} if upload else {}))
        return
    terminal.echo_lines(str(published.folder / name) for name in published.files)
    missing = [flag for name, flag in _WANTED.items() if not getattr(described, name)]
    if missing:
        log.info("the card lacks information for its readers; add it with: %s", ", ".join(missing))
    if upload:
        log.info("nothing has been uploaded; check README.md, then run: %s", upload)
