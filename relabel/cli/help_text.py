"""How the help of a command looks: options in groups, examples, headings in bold where a terminal has it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from relabel.cli.examples import EXAMPLES

OWN, GENERAL = "Options", "General options"

_GROUPS = {
    "Fields of view": "fov_deg radius_m shape arc heading_sigma_deg position_sigma_m max_heading_difference_deg "
    "max_height_difference_m occluders occluders_crs",
    "Surface": "method tolerance_m voxel_m stride nearest_m farthest_m",
    "Model": "backbone pool pretrained weights",
    "Loss and pairs": "loss margin bands hard_negatives_m batch_size pairs_per_epoch",
    "Optimisation": "epochs accumulate optimizer lr momentum weight_decay schedule lr_every lr_factor precision",
    "Labels": "measure min_value mask",
    "Checks of the input": "strict allow",
    "Output": "output folder plot as_json dry_run force",
    "Computation": "resume keep_parts share threads memory_bytes executor device workers seed no_progress",
}
"""Parameters of options by the heading that they are listed under, in this order, after those of the command itself."""

_GROUP_OF = {name: title for title, names in _GROUPS.items() for name in names.split()}


def styled(text: str, **style: Any) -> str:
    """A text in bold or colour, which `click.echo` drops where it goes to no terminal; NO_COLOR keeps it plain."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else click.style(text, **style)


class Formatter(click.HelpFormatter):
    """Headings in bold, names in colour."""

    def write_heading(self, heading: str) -> None:
        """The title of a section."""
        self.write(f"{'':>{self.current_indent}}{styled(f'{heading}:', bold=True)}\n")

    def write_dl(self, rows: Any, col_max: int = 30, col_spacing: int = 2) -> None:
        """Names with their descriptions."""
        super().write_dl([(styled(name, fg="cyan"), text) for name, text in rows], col_max, col_spacing)


def write_examples(ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """The examples of a command, if it has any."""
    examples = EXAMPLES.get(ctx.command_path.partition(" ")[2], ())
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


class Context(click.Context):
    """Writes help with `Formatter`."""

    formatter_class = Formatter


class Command(click.Command):
    """A command whose help has its options in groups and ends with examples."""

    context_class = Context

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for option in self.params:
            # Instead of FLOAT RANGE; the range itself is in the help anyway.
            if isinstance(option, click.Option) and option.metavar is None and not option.count:
                if isinstance(option.type, click.IntRange):
                    option.metavar = "N"
                elif isinstance(option.type, click.FloatRange):
                    option.metavar = "X"

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of the command, then those that other commands have as well."""
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in (OWN, *_GROUPS, GENERAL)}
        general = {"verbose", "quiet", *(option.name for option in (self.get_help_option(ctx),) if option)}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx) if isinstance(option, click.Option) else None
            if record is not None:
                name = str(option.name)
                sections[GENERAL if name in general else _GROUP_OF.get(name, OWN)].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, one per line."""
        super().format_epilog(ctx, formatter)
        write_examples(ctx, formatter)


def command(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """`click.command` that makes a `Command`."""
    return click.command(name, **{"cls": Command, **attributes})
