"""All commands by name: the section they are listed in, where they live, and one line of help.

The line stands here, or in the specification of a dataset, and not in the command, so that `relabel --help` loads no
command. The commands that label a dataset come from the registry of datasets.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import click

from relabel.cli.terminal import with_verbosity
from relabel.datasets import registry


class Entry(NamedTuple):
    """One command of the table."""

    section: str
    home: str
    """module:attribute of the click command"""
    short_help: str


LABEL = "Make labels"
LOOK = "Look inside a label file"
COMPOSE = "Make label files from others"
CHECK = "Check"
TRAIN = "Train and evaluate"

COMMANDS: dict[str, Entry] = {
    "sample": Entry(LABEL, "relabel.cli.sample:sample_command", "Write a small synthetic dataset to try things on."),
    "info": Entry(LOOK, "relabel.cli.inspect:info_command", "What a label file holds, one line a collection."),
    "ls": Entry(LOOK, "relabel.cli.inspect:ls_command", "Names of the collections, one a line."),
    "tree": Entry(LOOK, "relabel.cli.inspect:tree_command", "Every group, dataset and attribute of the file."),
    "stats": Entry(LOOK, "relabel.cli.inspect:stats_command", "Histogram of ψ, bands, queries without a positive."),
    "row": Entry(LOOK, "relabel.cli.inspect:row_command", "The matches of one query, best first."),
    "view": Entry(LOOK, "relabel.cli.view:view_command", "Map, matches and distributions in the browser."),
    "report": Entry(LOOK, "relabel.cli.view:report_command", "The same as one HTML page to pass on."),
    "shared": Entry(
        LOOK, "relabel.cli.shared:shared_command", "What two frames of depth share, as a cloud or an image."
    ),
    "dump": Entry(LOOK, "relabel.cli.inspect:dump_command", "All pairs of a collection as text."),
    "merge": Entry(COMPOSE, "relabel.cli.compose:merge_command", "Collections of several files in one."),
    "subset": Entry(
        COMPOSE, "relabel.cli.compose:subset_command", "Some of the collections, cameras or pairs of a file."
    ),
    "convert": Entry(COMPOSE, "relabel.cli.compose:convert_command", "The same labels in another measure."),
    "export": Entry(COMPOSE, "relabel.cli.exchange:export_command", "Labels in the formats of other programs."),
    "import": Entry(COMPOSE, "relabel.cli.exchange:import_command", "A label file of labels that somebody else made."),
    "publish": Entry(COMPOSE, "relabel.cli.publish:command", "A folder to upload: card, checksums, metadata."),
    "compare": Entry(CHECK, "relabel.cli.check:compare_command", "What is different between two label files."),
    "validate": Entry(CHECK, "relabel.cli.check:validate_command", "Check a label file against the format."),
    "verify": Entry(
        CHECK, "relabel.cli.check:verify_command", "Recompute a sample of a label file with a slow oracle."
    ),
    "audit": Entry(
        CHECK, "relabel.cli.audit:audit_command", "Check a dataset for guessed conventions and filler values."
    ),
    "headings": Entry(
        CHECK, "relabel.cli.headings:headings_command", "Which headings of a dataset should not be trusted."
    ),
    "fit": Entry(CHECK, "relabel.cli.fit:fit_command", "Recover the parameters behind somebody else's labels."),
    "train": Entry(TRAIN, "relabel.cli.train:train_command", "Train a descriptor model on graded labels."),
    "evaluate": Entry(
        TRAIN, "relabel.cli.evaluate:evaluate_command", "Recall@k, mAP and graded scores of place recognition."
    ),
    "doctor": Entry(
        CHECK, "relabel.cli.check:doctor_command", "Versions, threads, kernel cache, GPU, missing libraries."
    ),
}


def unknown_command(name: str, known: Iterable[str], ctx: click.Context) -> click.UsageError:
    """The error for a command that is not there: close ones where there are any, else all of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(repr(c) for c in close)}?" if close else f"choose from {', '.join(names)}"
    return click.UsageError(f"there is no command {name!r}; {hint}", ctx)


class SuggestingGroup(click.Group):
    """A group that answers an unknown command with those that are close."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"no_args_is_help": False, **kwargs})

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` starts with, its name, and the rest of `args`."""
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            raise unknown_command(args[0], known, ctx)
        return super().resolve_command(ctx, args)


class LazyGroup(SuggestingGroup):
    """A group whose commands are entries of a table, and the datasets; its help is written without loading any.

    Datasets of other distributions are looked for only where the list of all commands is wanted, or a command is none
    of relabel's own.
    """

    def __init__(self, *args: Any, table: Mapping[str, Entry], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, as the help lists them."""
        del ctx
        return list(self._summaries())

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` starts with, its name, and the rest of `args`."""
        if args and (command := self.get_command(ctx, args[0])) is not None:
            return args[0], command, args[1:]
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command; `-v` and `-q` are understood behind its name as well as before it."""
        del ctx
        if cmd_name in self.table:
            module, attribute = self.table[cmd_name].home.split(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return with_verbosity(command)
        spec = registry.find(cmd_name)
        if spec is None:
            return None
        from relabel.cli.labelling import labelling_command

        return with_verbosity(labelling_command(spec))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one block of help a section."""
        del ctx
        summaries = self._summaries()
        width = max(len(name) for name in summaries)
        for title in dict.fromkeys(section for section, _ in summaries.values()):
            lines = [(name.ljust(width), line) for name, (section, line) in summaries.items() if section == title]
            with formatter.section(title):
                formatter.write_dl(lines)

    def _summaries(self) -> dict[str, tuple[str, str]]:
        """Section and line of help of every command; the datasets stand at the end of the first section."""
        own = {name: (entry.section, entry.short_help) for name, entry in self.table.items()}
        first = {name: line for name, line in own.items() if line[0] == LABEL}
        labelling = {name: (LABEL, spec.summary) for name, spec in registry.datasets().items() if name not in own}
        return first | labelling | own
