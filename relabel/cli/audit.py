"""relabel audit: the checks that every labelling command makes first, without the labels."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, cast

import click

from relabel.cli import help_text, options, terminal
from relabel.cli.commands import SuggestingGroup
from relabel.cli.terminal import with_verbosity
from relabel.datasets import registry
from relabel.datasets.registry import DatasetSpec

log = logging.getLogger(__name__)


class AuditGroup(SuggestingGroup):
    """A group with one command for each dataset of the registry, made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all datasets, those of other distributions last."""
        del ctx
        return list(registry.datasets())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command that audits a dataset."""
        del ctx
        spec = registry.find(cmd_name)
        return None if spec is None else with_verbosity(_command(spec))


@click.group(cls=AuditGroup)
def audit_command() -> None:
    """Check the input of a labelling command without labelling it: conventions, filler values, depth against pose.

    After the name of the dataset come the arguments and options that its labelling command takes for its input. Every
    labelling command makes the same checks first. docs/audit.md lists all findings by code.
    """


def _command(spec: DatasetSpec) -> click.Command:
    module = spec.command_module()

    def command(mask: Path | None, strict: bool, allow: Collection[str], as_json: bool, **values: Any) -> None:
        from relabel.audit.audit import audit
        from relabel.audit.findings import refuse_warnings
        from relabel.datasets.mask import masked

        if len(spec.readers) > 1:
            module.label_kind(**values)  # type: ignore[attr-defined]
        selection = spec.select(**values)
        for line in selection.skipped:
            log.warning("%s", line)
        reports, collections = [], []
        for reader in masked(cast("Any", selection.readers), mask):
            sets = reader.read()
            report = audit(sets, thorough=True)
            reports.append((reader.name, report))
            collections.append({"name": reader.name, **report.to_json(), "reader_notes": list(sets.notes)})
            if not as_json:
                said = [f"  reader: {note}" for note in sets.notes]
                terminal.echo_lines([*report.lines(reader.name), *said, ""])
        if as_json:
            terminal.echo_json({"collections": collections})
        if strict:
            refuse_warnings(reports, allow=allow)

    decorators: list[Callable[[Any], Any]] = [
        *module.OPTIONS,
        options.mask,
        options.strict,
        options.allow,
        options.as_json,
    ]
    for decorator in reversed(decorators):
        command = decorator(command)
    text = (
        f"Check the input of `relabel {spec.name}`, which labels it.\n\n{inspect.cleandoc(module.select.__doc__ or '')}"
    )
    return help_text.command(name=spec.name, help=text, short_help=f"Check the input of `relabel {spec.name}`.")(
        command
    )
