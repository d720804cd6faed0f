"""relabel help and relabel completion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from relabel.cli import help_text, terminal

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

VARIABLE = "_RELABEL_COMPLETE"
"""Environment variable in which the completion script of a shell passes its request."""


def _commands(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The commands behind those that `relabel help` has on its line so far."""
    root = ctx.find_root()
    group: click.Command | None = root.command
    for name in ctx.params.get(str(param.name)) or ():
        group = group.get_command(root, name) if isinstance(group, click.Group) else None
    return group.shell_complete(root, incomplete) if isinstance(group, click.Group) else []


@help_text.command()
@click.argument("names", nargs=-1, metavar="[COMMAND]…", shell_complete=_commands)
@click.pass_context
def help_command(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Show the help of COMMAND, as `relabel COMMAND --help` does, or the list of all commands."""
    shown = ctx.find_root()
    for name in names:
        group = shown.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"'{shown.command_path}' has no commands of its own, and so no {name!r}", shown)
        _, command, _ = group.resolve_command(shown, [name])
        if command is None:
            raise click.UsageError(f"there is no command {name!r}", shown)
        shown = command.context_class(command, info_name=name, parent=shown)
    click.echo(shown.get_help())


@help_text.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print a script that lets SHELL complete commands, options and paths of relabel."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click cannot complete in {shell}")
    root = ctx.find_root()
    script = kind(root.command, {}, "relabel", VARIABLE)
    # Not `source`, which asks which version of bash is installed here.
    text = (kind.source_template % script.source_vars()).strip()
    # Descriptions have commas, too, behind the one that ends the type of a completion.
    terminal.echo_lines([text.replace('string split "," $completion', 'string split --max 1 "," $completion')])
