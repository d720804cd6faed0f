"""relabel view and relabel report: label files in a browser."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relabel.cli import help_text, options, terminal
from relabel.errors import MissingPackageError, OptionError, RelabelError
from relabel.surface.params import METHODS

if TYPE_CHECKING:
    from relabel.labelfile import StoredCollection
    from relabel.view.base_map import Tiles
    from relabel.view.depth_frames import DepthFrames
    from relabel.view.image_files import ImageFiles


_compare = click.option(
    "--compare",
    metavar="FILE",
    shell_complete=options.files,
    help="A second label file, or FILE::COLLECTION, joined by key: where ψ differs.",
)


@help_text.command()
@options.address
@options.optional_images
@options.image_path
@options.optional_root
@_compare
@click.option("--follow-links", is_flag=True, help="Follow links that lead outside the folder.")
@click.option(
    "--tiles",
    metavar="URL",
    help="Draw a base map: URL of its tiles, with {z}, {x} and {y}; the page contacts no other host.",
)
@click.option(
    "--attribution", metavar="TEXT", help="Attribution of the tiles, shown on the map.  [default: their host]"
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Port.  [default: a free one]")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen on; one that others can reach requires the token in the printed URL.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address; open no browser.")
def view_command(
    address: str,
    images: Path | None,
    image_path: str | None,
    root: Path | None,
    compare: str | None,
    follow_links: bool,
    tiles: str | None,
    attribution: str | None,
    port: int,
    host: str,
    no_browser: bool,
) -> None:
    """Look at labels in the browser, until Ctrl-C.

    A map of the cameras and their fields of view; the matches of a query by ψ, next to the cameras within 25 m of it; ψ
    as a matrix and its distributions; the problems found by audit, headings and stats, each linked to its cameras.
    Only this machine can reach the page, and it needs no network unless --tiles is given.

    Cameras with poses are also shown in 3-D. For labels from depth maps, --root (the dataset that they were made from)
    gives images, depth maps and the surface that two frames share.

    Images under --images or --root are looked up by the path of the camera, else by its key, else in the layouts of
    the known datasets.
    """
    from relabel.labelfile import open_collections
    from relabel.view.contents import compared_with

    try:
        from relabel.view import server
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"relabel view needs the package {error.name}: pip install 'relabel-vpr[view]'; relabel report does not"
        ) from None
    _check_image_options(images, image_path, root, follow_links=follow_links)
    if attribution is not None and tiles is None:
        raise OptionError("--attribution can only be used with --tiles")
    collections = open_collections(address)
    found, frames = _images(collections, images, image_path, root, follow_links=follow_links)
    compared = None if compare is None else compared_with(address, compare)
    labels = server.Labels(collections, found, frames, compared, _tiles(collections, tiles, attribution))
    log = logging.getLogger(__name__)

    def ready(urls: Sequence[str]) -> None:
        if not server.is_loopback(host):
            log.warning("%s: anyone who can reach this address and has its token can see these labels", host)
        terminal.echo_lines(urls[:1])
        for url in urls[1:]:
            log.info("from other machines, if a firewall lets them: %s", url)
        terminal.flush()
        log.info("press Ctrl-C to stop")
        if not no_browser:
            import webbrowser

            webbrowser.open(urls[0])

    try:
        server.serve(labels, host=host, port=port, ready=ready)
    finally:
        labels.close()


def _tiles(collections: Sequence[StoredCollection], template: str | None, attribution: str | None) -> Tiles | None:
    """The tiles of a base map, if requested and a collection is on the earth."""
    from relabel.view.base_map import Tiles, check_on_earth

    if template is None:
        return None
    found = Tiles(template, attribution or "")
    faults = []
    for stored in collections:
        try:
            check_on_earth(stored.crs)
        except OptionError as error:
            faults.append(error)
    if len(faults) == len(collections):
        raise faults[0]
    return found


def _check_image_options(images: Path | None, image_path: str | None, root: Path | None, *, follow_links: bool) -> None:
    """Raise an OptionError if an option says how to find images and none says where."""
    if images is None and root is None:
        if follow_links:
            raise OptionError("--follow-links can only be used with --images or --root")
        if image_path:
            raise OptionError("--image-path can only be used with --images")


def _images(
    collections: Sequence[StoredCollection],
    images: Path | None,
    image_path: str | None,
    root: Path | None,
    *,
    follow_links: bool,
) -> tuple[ImageFiles | None, DepthFrames | None]:
    """Images below a folder, and the frames of labels from depth maps in their dataset, if there are any."""
    from relabel.labelfile import LabelFile
    from relabel.pipeline.records import frames_from_records, masks_beside
    from relabel.view.depth_frames import DepthFrames

    frames = None
    if root is not None and any(stored.method in METHODS for stored in collections):
        records = LabelFile(collections[0].path).provenance()
        frames = DepthFrames(
            lambda stored: frames_from_records(stored, records, root, masks=masks_beside(stored)),
            root,
            follow_links=follow_links,
        )
    if images is None and root is not None and not image_path:
        others = [stored for stored in collections if stored.method not in METHODS]
        return _image_files(others, root, None, follow_links=follow_links) if others else None, frames
    return _image_files(collections, images, image_path, follow_links=follow_links), frames


def _check_frames(collections: Sequence[StoredCollection], frames: DepthFrames, *, images: bool) -> None:
    """Warn of collections whose frames cannot be read; raise an error if there are no images at all."""
    labelled = [stored for stored in collections if stored.method in METHODS]
    faults = []
    for stored in labelled:
        try:
            frames.check(stored)
        except RelabelError as error:
            faults.append(error)
    if len(faults) == len(labelled) and not images:
        raise faults[0]
    for fault in faults:
        logging.getLogger(__name__).warning("no images of a collection: %s", fault)


def _image_files(
    collections: Sequence[StoredCollection], folder: Path | None, template: str | None, *, follow_links: bool
) -> ImageFiles | None:
    """The images below a folder, if there is one."""
    from relabel.view.image_files import ImageFiles

    if folder is None:
        if template:
            raise OptionError("--image-path can only be used with --images")
        return None
    return ImageFiles(collections, folder, template, follow_links=follow_links)


@help_text.command()
@options.address
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="HTML", help="HTML page to write (.html)."
)
@options.optional_images
@options.image_path
@options.optional_root
@_compare
@click.option("--follow-links", is_flag=True, help="Follow links that lead outside the folder.")
@options.force
@options.no_progress
def report_command(
    address: str,
    output: Path,
    images: Path | None,
    image_path: str | None,
    root: Path | None,
    compare: str | None,
    follow_links: bool,
    force: bool,
    no_progress: bool,
) -> None:
    """Write labels as one HTML page: what `relabel view` shows, in a file that opens without a network.

    It holds all cameras and, of each query, as many of its best pairs as fit into 20 MB; what is left out is reported.

    With --images or --root it also holds images, scaled down to 256 pixels: of queries spread over the map and of
    their best matches, up to 20 MB. Their licence is not that of the labels: check it before you share the page. Images
    are looked up as in `relabel view`.
    """
    from relabel.labelfile import open_collections
    from relabel.view.camera_images import CameraImages
    from relabel.view.contents import compared_with
    from relabel.view.standalone import PASSES, write_report

    if output.suffix.lower() not in (".html", ".htm"):
        raise OptionError(f"{output}: the page is written as HTML; give a name that ends in .html")
    _check_image_options(images, image_path, root, follow_links=follow_links)
    collections = open_collections(address)
    files, frames = _images(collections, images, image_path, root, follow_links=follow_links)
    if frames is not None:
        _check_frames(collections, frames, images=files is not None)
    found = None if files is None and frames is None else CameraImages(collections, files, frames)
    compared = None if compare is None else compared_with(address, compare)
    rows = sum(stored.shape[0] * PASSES for stored in collections)
    rows += sum(stored.shape[0] for stored in collections if compared and stored.name in compared.collections)
    with terminal.bar("reading", rows, unit="rows", hidden=no_progress) as progress:
        write_report(collections, output, images=found, compared=compared, overwrite=force, progress=progress)
    terminal.echo_lines([str(output)])
