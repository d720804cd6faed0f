"""All commands by name: the section they are listed in, where they live, and one line of help.

The line of help is here, or in the specification of a dataset, and not in the command, so that `relabel --help` loads
no command. The commands that label a dataset come from the registry of datasets.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from relabel.cli import help_text
from relabel.cli.terminal import with_verbosity
from relabel.datasets import registry

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


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
HELP = "Help"

COMMANDS: dict[str, Entry] = {
    "sample": Entry(LABEL, "relabel.cli.sample:sample_command", "Write a small synthetic dataset to try things on."),
    "info": Entry(LOOK, "relabel.cli.inspect:info_command", "What a label file holds, one line per collection."),
    "ls": Entry(LOOK, "relabel.cli.inspect:ls_command", "Names of the collections, one per line."),
    "tree": Entry(LOOK, "relabel.cli.inspect:tree_command", "Every group, dataset and attribute of the file."),
    "stats": Entry(LOOK, "relabel.cli.inspect:stats_command", "Histogram of ψ, bands, queries without a positive."),
    "row": Entry(LOOK, "relabel.cli.inspect:row_command", "The matches of one query, best first."),
    "view": Entry(LOOK, "relabel.cli.view:view_command", "Map, matches and distributions in the browser."),
    "report": Entry(LOOK, "relabel.cli.view:report_command", "The same as a single HTML page to share."),
    "shared": Entry(
        LOOK, "relabel.cli.shared:shared_command", "What two depth frames share, as a point cloud or an image."
    ),
    "dump": Entry(LOOK, "relabel.cli.inspect:dump_command", "All pairs of a collection as text."),
    "merge": Entry(COMPOSE, "relabel.cli.compose:merge_command", "Collections of several files in one."),
    "subset": Entry(
        COMPOSE, "relabel.cli.compose:subset_command", "Some of the collections, cameras or pairs of a file."
    ),
    "convert": Entry(COMPOSE, "relabel.cli.compose:convert_command", "The same labels in another measure."),
    "export": Entry(COMPOSE, "relabel.cli.exchange:export_command", "Labels in the formats of other programs."),
    "import": Entry(COMPOSE, "relabel.cli.exchange:import_command", "A label file from labels made by others."),
    "pack": Entry(COMPOSE, "relabel.cli.pack:pack_command", "One label file out of parts of a job, or of shards."),
    "unpack": Entry(COMPOSE, "relabel.cli.pack:unpack_command", "A folder of shards out of a label file."),
    "publish": Entry(COMPOSE, "relabel.cli.publish:command", "A folder to upload: card, checksums, metadata."),
    "compare": Entry(CHECK, "relabel.cli.check:compare_command", "Differences between two label files."),
    "status": Entry(CHECK, "relabel.cli.status:status_command", "How far a labelling job is, part by part."),
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
    "fit": Entry(CHECK, "relabel.cli.fit:fit_command", "Recover the parameters behind published labels."),
    "train": Entry(TRAIN, "relabel.cli.train:train_command", "Train a descriptor model on graded labels."),
    "evaluate": Entry(
        TRAIN, "relabel.cli.evaluate:evaluate_command", "Recall@k, mAP and graded scores of place recognition."
    ),
    "doctor": Entry(
        CHECK, "relabel.cli.check:doctor_command", "Versions, threads, kernel cache, GPU, missing libraries."
    ),
    "help": Entry(HELP, "relabel.cli.shell:help_command", "The help of a command."),
    "completion": Entry(HELP, "relabel.cli.shell:completion_command", "Completion for bash, zsh or fish."),
}

_OTHER_WORDS = {
    "label labels labelling": "labels are made by the command of a dataset: {datasets}",
    "list show open": "did you mean 'info', 'ls' or 'view'?",
    "keys": "'ls --side queries' lists keys",
    "check": "did you mean 'validate', 'verify' or 'audit'?",
    "diff": "did you mean 'compare'?",
    "join concat": "did you mean 'merge'?",
    "filter select": "did you mean 'subset'?",
    "split shard shards": "did you mean 'subset' or 'unpack'?",
    "html page": "did you mean 'report' or 'view'?",
    "eval test": "did you mean 'evaluate'?",
    "version": "did you mean '--version'?",
    "upload release": "did you mean 'publish'?",
    "demo example": "did you mean 'sample'?",
    "plot draw figure": "--plot of 'stats', 'row', 'shared', 'headings' and 'fit' draws figures",
    "histogram": "did you mean 'stats'?",
    "map browse gui": "did you mean 'view'?",
    "progress queue": "did you mean 'status'?",
    "matches": "did you mean 'row'?",
}
"""Names of commands here for common words of other programs."""


def unknown_command(name: str, known: Iterable[str], ctx: click.Context) -> click.UsageError:
    """The error for an unknown command: names its equivalent here, else similar ones, else all."""
    names = list(known)
    other_words = {word: hint for words, hint in _OTHER_WORDS.items() for word in words.split()}
    if ctx.parent is not None:  # the words are those of the top
        other_words = {}
    close = difflib.get_close_matches(name, [*names, *other_words], n=3, cutoff=0.6)
    if close and close[0] in other_words:
        datasets = ", ".join(registry.built_in())
        hint = other_words[close[0]].format(datasets=datasets)
    elif close := [c for c in close if c in names]:
        hint = f"did you mean {' or '.join(repr(c) for c in close)}?"
    else:
        hint = f"choose from {', '.join(names)}"
    return click.UsageError(f"there is no command {name!r}; {hint}", ctx)


class SuggestingGroup(click.Group):
    """A group that answers an unknown command with those that are close."""

    context_class = help_text.Context
    command_class = help_text.Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"no_args_is_help": False, **kwargs})

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, one a line."""
        super().format_epilog(ctx, formatter)
        help_text.write_examples(ctx, formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` starts with, its name, and the rest of `args`."""
        known = self.list_commands(ctx)
        if ctx.resilient_parsing and args and args[0] not in known:  # a shell completes a line that is not finished
            return None, None, []
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

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What a shell may complete a word to: options, and commands, of which none is loaded for it."""
        from click.shell_completion import CompletionItem

        commands = (
            CompletionItem(name, help=line)
            for name, (_, line) in self._summaries().items()
            if name.startswith(incomplete)
        )
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

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
        """Section and line of help of every command; the datasets are at the end of the first section."""
        own = {name: (entry.section, entry.short_help) for name, entry in self.table.items()}
        first = {name: line for name, line in own.items() if line[0] == LABEL}
        labelling = {name: (LABEL, spec.summary) for name, spec in registry.datasets().items() if name not in own}
        return first | labelling | own
