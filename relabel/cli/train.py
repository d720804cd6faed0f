"""relabel train."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from relabel.cli import help_text, options, terminal
from relabel.cli.terminal import bar
from relabel.errors import MissingPackageError, OptionError
from relabel.exclusion import BANDS, chosen_bands
from relabel.input_files import check_there
from relabel.optional import check_installed
from relabel.training.config import LEARNING_RATES, OPTIMIZERS, PRECISIONS, SCHEDULES, TrainConfig
from relabel.training.loss_registry import LOSSES
from relabel.training.model_names import BACKBONES, POOLS, TIMM, TINY, TORCHVISION, check_backbone, check_packages

_DEV = "dev"  # where a trial run goes, beside the files of the run itself


def _numbers(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    """Numbers with commas between them, as many as the metavar of the option shows."""
    del ctx
    if value is None:
        return None
    count = len(str(param.metavar).split(","))
    try:
        numbers = tuple(float(part) for part in value.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise click.BadParameter(f"{value!r} is not {count} comma-separated numbers")
    return numbers


def _names(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    """Names of bands with commas between them."""
    del ctx, param
    names = tuple(name.strip() for name in value.split(","))
    try:
        chosen_bands(names)
    except OptionError:
        raise click.BadParameter(f"{value!r} has to be one or more of {','.join(BANDS)}") from None
    return names


def _choice(flag: str, known: Iterable[str], text: str) -> options.Decorator[Any]:
    """An option with these choices, the first of which is the default."""
    names = tuple(known)
    return click.option(flag, type=click.Choice(names), default=names[0], show_default=True, help=text)


def _field(flag: str) -> Any:
    """The default of the field of `TrainConfig` that an option sets."""
    return getattr(TrainConfig, flag.removeprefix("--").replace("-", "_"))


def _count(flag: str, text: str, *, default: int | None = None, least: int = 1) -> options.Decorator[Any]:
    return click.option(
        flag,
        type=click.IntRange(min=least),
        default=_field(flag) if default is None else default,
        show_default=True,
        metavar="N",
        help=text,
    )


def _number(flag: str, text: str) -> options.Decorator[Any]:
    default = _field(flag)
    return click.option(flag, type=float, default=default, show_default=default is not None, metavar="X", help=text)


def _defaults(values: Mapping[str, float]) -> str:
    """A default that depends on another option: that of its first choice, and those of others that differ."""
    first, *_ = values.values()
    others = [f"{name}: {value:g}" for name, value in values.items() if value != first]
    return f"[default: {'; '.join([f'{first:g}', *others])}]"


_MARGINS = {name: loss.margin for name, loss in LOSSES.items() if loss.margin is not None}


def _sentence(alternatives: Iterable[str]) -> str:
    *most, last = alternatives
    text = f"{', '.join(most)}, or {last}."
    return text[0].upper() + text[1:]


@contextmanager
def _other_backbones() -> Iterator[None]:
    """An error about a package ends with the backbone that does without."""
    try:
        yield
    except MissingPackageError as error:
        message = str(error)
        if "torchvision" in message or "timm" in message:
            message += f"; --backbone {TINY} needs neither torchvision nor timm"
        raise MissingPackageError(message) from None


@help_text.command()
@options.address
@options.collections
@options.images
@options.image_path
@options.output_folder
@click.option(
    "--backbone",
    default="resnet50",
    show_default=True,
    metavar="NAME",
    shell_complete=lambda _ctx, _param, incomplete: [name for name in BACKBONES if name.startswith(incomplete)],
    help=f"{', '.join((TINY, *TORCHVISION))} (torchvision), or {TIMM}NAME.",
)
@_choice("--pool", POOLS, "Pooling of feature maps into descriptors.")
@click.option(
    "--pretrained", is_flag=True, help="Start from torchvision's ImageNet weights, if they are on this machine."
)
@click.option("--weights", type=click.Path(path_type=Path), metavar="FILE", help="Start from these weights.")
@_choice("--loss", LOSSES, _sentence(loss.summary for loss in LOSSES.values()))
@_number("--margin", "Margin τ, a distance between descriptors.  " + _defaults(_MARGINS))
@_count("--batch-size", "Pairs per optimizer step.")
@_count(
    "--accumulate",
    "Number of forward passes to split a batch into, to save memory; the gradient is the same, except with layers "
    "such as batch normalisation.",
)
@_count("--epochs", "Number of epochs.")
@_count("--pairs-per-epoch", "Pairs per epoch.")
@_choice("--optimizer", OPTIMIZERS, "Optimizer.")
@_number("--lr", "Learning rate.  " + _defaults(LEARNING_RATES))
@_number("--momentum", "Momentum of sgd.")
@_number("--weight-decay", "Weight decay of matrices and convolutions.")
@_choice("--schedule", SCHEDULES, "Schedule of the learning rate.")
@_count("--lr-every", "Epochs between two changes of the rate by the schedule step.")
@_number("--lr-factor", "Factor of the rate at each change by the schedule step.")
@options.image_size
@_choice(
    "--precision", PRECISIONS, "Precision of forward passes; auto is bf16 on a GPU that supports it, else float32."
)
@click.option("--compile", is_flag=True, help="Compile the model with torch: slower to start, then faster steps.")
@click.option(
    "--bands",
    callback=_numbers,
    default=",".join(map(str, TrainConfig.bands)),
    show_default=True,
    metavar="A,B,C",
    help="Shares of pairs with ψ ≥ 0.5, with 0 < ψ < 0.5, and with ψ = 0.",
)
@click.option(
    "--hard-negatives",
    "hard_negatives_m",
    callback=_numbers,
    metavar="LO,HI",
    help="Draw pairs with ψ = 0 only from cameras LO to HI apart, metres.",
)
@options.exclusion
@click.option(
    "--exclude-from",
    callback=_names,
    default=",".join(TrainConfig.exclude_from),
    show_default=True,
    metavar="BAND,…",
    help="The bands from which --other-sequence, --min-frame-gap or --min-time-gap excludes pairs.",
)
@options.seed
@options.device
@options.training_threads
@options.workers
@click.option(
    "--val",
    "val_address",
    metavar="FILE[::COLLECTION]",
    shell_complete=options.files,
    help="Labels to evaluate on after each epoch, with images under --images as well; best.pt has the best recall@1.",
)
@options.strict
@click.option("--dev", is_flag=True, help="Trial run: one batch through every stage, written to DIR/dev.")
@_count("--checkpoint-steps", "Steps between checkpoints within an epoch; 0 for none.", default=500, least=0)
@click.option("--tensorboard", is_flag=True, help="Also write event files for TensorBoard.")
@options.resume
@options.force
@options.as_json
@options.no_progress
def train_command(
    address: str,
    collections: list[str] | None,
    images: Path,
    image_path: str | None,
    folder: Path,
    backbone: str,
    pool: str,
    pretrained: bool,
    weights: Path | None,
    device: str,
    threads: int | None,
    workers: int,
    val_address: str | None,
    strict: bool,
    dev: bool,
    checkpoint_steps: int,
    tensorboard: bool,
    resume: bool,
    force: bool,
    as_json: bool,
    no_progress: bool,
    **recipe: Any,
) -> None:
    """Train a descriptor model on graded labels.

    Pairs are drawn by bands of ψ from all collections of FILE, or from COLLECTION. The defaults are the recipe of the
    generalized contrastive loss: SGD, learning rate 0.1, divided by 10 every 250,000 pairs, batches of 32 pairs.

    Images are looked up under --images by key or column path, and in the layouts of MSLS, 7Scenes and Pittsburgh. One
    that cannot be read is reported, and its pairs are left out.

    DIR gets last.pt, config.json and log.jsonl, and with --val best.pt; an interrupted run resumes with the same
    command. Prints the path of the checkpoint.

    `torchrun --nproc-per-node N -m relabel train …` trains in N processes, each with its share of every batch.

    On a CPU, the same seed gives bit-identical weights on machines of the same kind, with the same versions of
    torch and Pillow and the same number of threads. On a GPU the last digits may differ between any two runs.
    """
    from relabel.labelfile import LabelFile, open_collections

    if collections is not None and "::" in address:
        raise click.UsageError(f"{address} names a collection already; give FILE, or leave --collections out")
    with _other_backbones():
        check_backbone(backbone, pretrained=pretrained)
        check_packages(backbone)
    if tensorboard:
        check_installed("tensorboard", "--tensorboard")
    config = TrainConfig(**recipe)
    if dev:
        config = dataclasses.replace(config, epochs=1, pairs_per_epoch=config.batch_size)
        folder, force, workers = folder / _DEV, True, 0
    if collections is None:
        stored = open_collections(address)
    else:
        labels = LabelFile(address)
        stored = [labels[name] for name in collections]
    validation = None if val_address is None else open_collections(val_address)
    check_there(images, "folder of images")
    if weights is not None:
        check_there(weights, "file of weights")

    # Loads torch, which takes seconds: not before what can be refused without it.
    from relabel.devices import seeded, torch_threads
    from relabel.training import Trainer, build_model

    with _other_backbones(), seeded(config.seed), torch_threads(threads):
        model = build_model(backbone, pool, pretrained=pretrained, weights=weights)  # type: ignore[arg-type]
    validate = None
    if validation is not None:
        from relabel.evaluation.descriptors import ImageOptions
        from relabel.evaluation.evaluate import recall_validation

        validate = recall_validation(validation, ImageOptions(images, config.size, image_path, device, workers))
    trainer = Trainer(
        config,
        model,
        stored,
        images,
        folder,
        image_path=image_path,
        device=device,
        workers=workers,
        threads=threads,
        strict=strict,
        checkpoint_steps=checkpoint_steps,
        tensorboard=tensorboard,
        validate=validate,
        bar=lambda what, total: bar(what, total, unit="pairs", hidden=no_progress),
    )
    result = trainer.run(resume=resume, overwrite=force)
    if not trainer.processes.is_first:
        return
    if as_json:
        fields = result._asdict() | {"checkpoint": str(result.checkpoint)}
        terminal.echo_json({name: None if value != value else value for name, value in fields.items()})  # noqa: PLR0124  NaN
    else:
        terminal.echo_lines([str(result.checkpoint)])
