"""relabel evaluate."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relabel.cli import help_text, options, terminal
from relabel.cli.terminal import bar
from relabel.datasets.msls.spec import SUBTASKS

if TYPE_CHECKING:
    from relabel.evaluation.descriptors import Descriptors
    from relabel.evaluation.ground_truth import EvaluationSet
    from relabel.evaluation.places import Place
    from relabel.training.model import DescriptorModel


def _ks(ctx: click.Context, param: click.Parameter, value: str) -> list[int]:
    del ctx, param
    try:
        return [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 1,5,10,20") from None


@help_text.command()
@click.argument("sources", nargs=-1, metavar="[FILE[::COLLECTION] | QUERIES DATABASE]", shell_complete=options.files)
@options.optional_root
@options.source
@options.cities
@click.option(
    "--subtask",
    type=click.Choice(SUBTASKS),
    help="Only the cameras of an MSLS subtask; needs --root.  [default: all cameras]",
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Predictions to evaluate, one line per query.",
)
@click.option(
    "--descriptors", type=click.Path(path_type=Path), metavar="DIR", help="Descriptors to evaluate, with their keys."
)
@click.option(
    "--checkpoint", type=click.Path(path_type=Path), metavar="RUN", help="Trained model to evaluate on images."
)
@options.optional_images
@options.image_path
@options.optional_image_size
@click.option("--positives-m", type=float, metavar="M", help="Greatest distance of a positive, metres.")
@click.option(
    "--positives-heading", type=float, metavar="DEG", help="Greatest heading difference of a positive, degrees."
)
@click.option("--positives-psi", type=float, metavar="PSI", help="Least ψ of a positive in FILE.")
@click.option(
    "-k",
    "ks",
    callback=_ks,
    default="1,5,10,20",
    show_default=True,
    metavar="K,…",
    help="Values of k for recall@k and mAP@k.",
)
@click.option(
    "--allow-unknown",
    is_flag=True,
    help="Skip predictions for unknown queries, and count unknown images as misses.",
)
@click.option("--per-query", type=click.Path(path_type=Path), metavar="CSV", help="Per-query table to write.")
@click.option(
    "--write-predictions",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Predictions to write, in the format of MSLS: the best 25, or as many as -k needs.",
)
@click.option(
    "--write-descriptors", type=click.Path(path_type=Path), metavar="DIR", help="Folder to write descriptors to."
)
@options.force
@options.device
@options.workers
@options.seed
@options.as_json
@options.no_progress
def evaluate_command(
    *,
    predictions: Path | None,
    descriptors: Path | None,
    checkpoint: Path | None,
    images: Path | None,
    image_path: str | None,
    size: tuple[int, int] | None,
    positives_m: float | None,
    positives_heading: float | None,
    positives_psi: float | None,
    ks: list[int],
    allow_unknown: bool,
    per_query: Path | None,
    write_predictions: Path | None,
    write_descriptors: Path | None,
    force: bool,
    device: str,
    workers: int,
    seed: int,
    as_json: bool,
    no_progress: bool,
    **cameras: Any,
) -> None:
    """Recall@k and mAP@k of place recognition, and how well its ranking follows graded labels.

    Queries and database are those of a label file; or, without labels, of an MSLS tree (--root, with --cities val for
    the validation set of the field) or of two folders or lists of images with @ names, or two tables. Several cities
    are searched as one database. Panoramas are left out.

    Give one of these to evaluate:

    \b
    --predictions  text, one line per query: its key, then those of the database
                   images, best first
    --descriptors  DIR with query.npy and database.npy, and the keys of their
                   rows, one per line, in query.txt and database.txt
    --checkpoint   of `relabel train`, on the images under --images

    A positive is within 25 m, or as --positives-m or --positives-psi define it; by default ψ ≥ 0.5 for surface labels.
    With a label file it also reports nDCG@k with ψ as gain, and the mean ψ of the first prediction; with
    descriptors, the rank correlation of their distance with ψ. Images are looked up in the layouts of the known
    datasets, and resized as in training.
    """  # noqa: D301  click wants the character itself
    from relabel.errors import OptionError
    from relabel.evaluation.descriptors import ImageOptions, check_one_a_line, describe_set
    from relabel.evaluation.descriptors import write_descriptors as save_descriptors
    from relabel.evaluation.evaluate import assess, evaluation_text, search, write_per_query
    from relabel.evaluation.ground_truth import Rule, default_rule, evaluation_set
    from relabel.evaluation.predictions import check_keys, match, read_predictions, shorter_than
    from relabel.evaluation.predictions import write_predictions as save_predictions
    from relabel.input_files import check_there
    from relabel.optional import check_installed

    log = logging.getLogger(__name__)
    sources = {"predictions": predictions, "descriptors": descriptors, "checkpoint": checkpoint}
    named = [name for name, path in sources.items() if path is not None]
    if len(named) != 1:
        what = " and ".join(f"--{name}" for name in named) or "nothing"
        raise OptionError(f"{what} to evaluate; give one of --predictions, --descriptors, --checkpoint")
    if predictions is not None and (write_predictions or write_descriptors):
        raise OptionError("--write-predictions and --write-descriptors need --descriptors or --checkpoint")
    if checkpoint is None and (images or image_path or size):
        raise OptionError("--images, --image-path and --size can only be used with --checkpoint, which reads images")
    if checkpoint is not None:
        if images is None:
            raise OptionError("--checkpoint needs --images, the top folder of the images")
        check_installed("torch", "--checkpoint")
        check_there(checkpoint, "checkpoint")
        check_there(images, "folder of images")
    if predictions is None and allow_unknown:
        raise OptionError("--allow-unknown can only be used with --predictions")
    places = _places(**cameras)
    rule = None
    if positives_m is not None or positives_psi is not None:
        rule = Rule(positives_m, positives_heading, positives_psi)
    elif positives_heading is not None:
        standard = default_rule(places)
        rule = Rule(standard.within_m, positives_heading, standard.psi)
    ground_truth = evaluation_set(places, rule)
    # Before hours of describing, not after them.
    for keys, side in ((ground_truth.query, "query"), (ground_truth.database, "database")):
        if write_descriptors is not None:
            check_one_a_line(keys, side)
        if write_predictions is not None:
            check_keys(keys, side)
    if predictions is not None:
        matched = match(read_predictions(predictions), ground_truth, allow_unknown=allow_unknown)
        evaluation = assess(ground_truth, matched.rows, ks)
        short = shorter_than(matched.lengths, evaluation.scores.counted, ks)
        for note in (*matched.notes, *([short] if short else [])):
            log.warning("%s: %s", predictions, note)
    else:
        if descriptors is not None:
            sides = _stored_descriptors(descriptors, ground_truth)
        else:
            assert checkpoint is not None
            assert images is not None
            model, size = _model(checkpoint, size)
            chosen = ImageOptions(images, size, image_path, device, workers)
            with bar("describing", sum(ground_truth.shape), unit="images", hidden=no_progress) as on_progress:
                sides = describe_set(model, ground_truth, chosen, on_progress=on_progress)
        if write_descriptors is not None:
            save_descriptors(write_descriptors, *sides, overwrite=force)
        values = sides[0].values, sides[1].values
        with bar("searching", len(ground_truth.query), unit="queries", hidden=no_progress) as on_progress:
            answers = search(ground_truth, *values, ks, device=device, on_progress=on_progress)
        if write_predictions is not None:  # first: they are worth having even where there is nothing to score
            query, database = ground_truth.query, ground_truth.database
            save_predictions(write_predictions, query, database, answers.indices, overwrite=force)
        evaluation = assess(
            ground_truth, answers.indices, ks, distances=answers.distances, descriptors=values, seed=seed
        )
    if per_query is not None:
        write_per_query(per_query, evaluation, overwrite=force)
    if as_json:
        terminal.echo_json(evaluation.to_json())
    else:
        terminal.echo_lines(evaluation_text(evaluation))


def _places(
    *, sources: tuple[str, ...], root: Path | None, source: str | None, cities: str | None, subtask: str | None
) -> list[Place]:
    """The places whose cameras the options name."""
    from relabel.errors import OptionError
    from relabel.evaluation import places
    from relabel.labelfile import open_collections

    if cities is not None and (sources or root is None):
        raise OptionError("--cities chooses cities of --root, without a label file; name a collection as FILE::NAME")
    if subtask is not None and root is None:
        raise OptionError("--subtask needs --root, the MSLS tree, which defines the cameras that take part")
    if len(sources) > 2 or (len(sources) == 2 and root is not None):
        raise OptionError("give a label file, or --root, or QUERIES and DATABASE")
    if source is not None and len(sources) == 1:
        raise OptionError(
            "--source can only be used with --root, or with QUERIES and DATABASE; a label file has its own cameras"
        )
    if len(sources) == 2:
        return places.of_paths([Path(path) for path in sources], dataset_name=source)
    if sources:
        chosen = places.of_labels(open_collections(sources[0]))
    elif root is not None:
        chosen = places.of_paths([root], dataset_name=source, cities=cities)
    else:
        raise OptionError("there is nothing to evaluate on; give a label file, or --root, or QUERIES and DATABASE")
    if subtask is not None and root is not None:
        chosen = places.in_subtask(chosen, root, subtask)
    return chosen


def _stored_descriptors(folder: Path, ground_truth: EvaluationSet) -> tuple[Descriptors, Descriptors]:
    """The descriptors of both sides of a set from a folder."""
    from relabel.evaluation.descriptors import Descriptors, aligned, read_descriptors

    query, database = (
        Descriptors(keys, aligned(read_descriptors(folder, side), keys, str(folder / side)))
        for side, keys in (("query", ground_truth.query), ("database", ground_truth.database))
    )
    return query, database


def _model(checkpoint: Path, size: tuple[int, int] | None) -> tuple[DescriptorModel, tuple[int, int]]:
    """The model of a checkpoint, and the size of images, which is that of training unless stated."""
    from relabel.training.checkpoint import load_checkpoint, load_model

    if size is None:
        width, height = load_checkpoint(checkpoint)["config"]["size"]
        size = int(width), int(height)
    return load_model(checkpoint), size
