"""What helps a newcomer: help in groups with examples, `relabel help`, completion, suggestions."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from relabel.cli import help_text
from relabel.cli.app import app
from relabel.cli.commands import COMMANDS
from relabel.cli.examples import EXAMPLES
from relabel.datasets import registry
from tests.conftest import REPOSITORY

Runner = Callable[..., Result]


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command of relabel itself by the words behind `relabel`, those of groups too."""
    top = click.Context(app, info_name="relabel")
    for name in [*COMMANDS, *registry.built_in()]:
        command = app.get_command(top, name)
        assert command is not None
        if not isinstance(command, click.Group):
            yield name, command
            continue
        context = click.Context(command, info_name=name, parent=top)
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            yield f"{name} {inner}", found


COMMAND_LINES = dict(all_commands())
every_command = pytest.mark.parametrize("name", COMMAND_LINES)


@every_command
class TestEveryHelp:
    def test_groups_and_examples(self, run: Runner, name: str) -> None:
        """All options are there once, under a heading; no number is a FLOAT RANGE; examples stand at the end."""
        text = run(*name.split(), "--help").stdout
        assert "RANGE" not in text
        for option in COMMAND_LINES[name].params:
            if isinstance(option, click.Option):
                flag = max(option.opts, key=len)
                lines = [line for line in text.splitlines() if line.startswith("  -") and flag in line.split("  ")[1]]
                assert lines, flag
        _, _, end = text.partition("\nGeneral options:\n")
        assert "-v, --verbose" in end
        assert f"\nExamples:\n  {EXAMPLES[name][0]}\n" in end

    def test_fits_a_terminal(self, run: Runner, name: str) -> None:
        """Nothing is wider than 80 columns, the examples included, which click does not wrap."""
        lines = run(*name.split(), "--help", env={"COLUMNS": "80"}).stdout.splitlines()
        assert [line for line in lines if len(line) > 80] == []

    def test_examples_are_good_command_lines(self, name: str) -> None:
        """They name this command, and options and values that it has."""
        for example in EXAMPLES[name]:
            line = example.replace("\\\n", "").replace('eval "$(', "").replace(')"', "")
            words = shlex.split(line, comments=True)
            words = words[: next((i for i, word in enumerate(words) if word in "|>"), len(words))]
            assert words[: 1 + len(name.split())] == ["relabel", *name.split()]
            context, command = click.Context(app, info_name="relabel"), COMMAND_LINES[name]
            command.make_context(name, words[1 + len(name.split()) :], parent=context).close()


class TestGroups:
    """relabel, relabel sample, relabel audit"""

    @pytest.mark.parametrize("name", ["", "sample", "audit"])
    def test_examples(self, run: Runner, name: str) -> None:
        """They end the help, fit into 80 columns, and are lines that the commands take."""
        text = run(*name.split(), "--help", env={"COLUMNS": "80"}).stdout
        assert text.endswith("\nExamples:\n" + "".join(f"  {example}\n" for example in EXAMPLES[name]))
        assert max(map(len, text.splitlines())) <= 80
        for example in EXAMPLES[name]:
            words = shlex.split(example, comments=True)[1:]
            command = next(c for c in (" ".join(words[:2]), words[0]) if c in COMMAND_LINES)
            context = click.Context(app, info_name="relabel")
            COMMAND_LINES[command].make_context(command, words[len(command.split()) :], parent=context).close()

    def test_audit_does_not_promise_labels(self, run: Runner) -> None:
        commands = run("audit", "--help").stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
        assert len(commands) >= len(registry.built_in())
        assert [line for line in commands if "Check the input of `relabel " not in line] == []

    def test_summaries_are_whole(self, run: Runner) -> None:
        """click cuts what is too long for a line."""
        text = run("sample", "--help", env={"COLUMNS": "80"}).stdout
        assert "..." not in text.partition("Commands:")[2]


class TestLook:
    """Bold and colour"""

    @pytest.mark.parametrize(
        ("variables", "is_styled"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
    )
    def test_terminal(self, variables: dict[str, str], is_styled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """Headings are bold in a terminal, unless its user does not want that."""
        for name in ("NO_COLOR", "TERM"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        result = CliRunner().invoke(app, ["info", "--help"], color=True)
        assert ("\x1b[1mOptions" in result.stdout or "\x1b[1mOutput" in result.stdout) is is_styled
        assert ("\x1b[" in result.stdout) is is_styled

    def test_no_terminal(self, run: Runner) -> None:
        assert "\x1b" not in run("info", "--help").stdout
        assert run("inof").stderr.startswith("relabel: error: ")


class TestHelpCommand:
    """relabel help"""

    @pytest.mark.parametrize("words", [[], ["msls"], ["audit", "msls"], ["help"]])
    def test_is_the_help_of_the_command(self, run: Runner, words: list[str]) -> None:
        result = run("help", *words)
        assert (result.exit_code, result.stdout) == (0, run(*words, "--help").stdout)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["inof"], "did you mean 'info'?"),
            (["audit", "mlsl"], "did you mean 'msls'?"),
            (["msls", "x"], "'relabel msls' has no"),
        ],
    )
    def test_of_nothing(self, run: Runner, words: list[str], message: str) -> None:
        result = run("help", *words)
        assert result.exit_code == 2
        assert message in result.stderr


class TestSuggestions:
    @pytest.mark.parametrize(
        ("word", "message"),
        [
            ("lables", "labels are made by the command of a dataset: msls, pitts"),
            ("label", "labels are made by the command of a dataset: msls, pitts"),
            ("list", "'ls'"),
            ("keys", "'ls --side"),
            ("diff", "'compare'"),
            ("evalute", "'evaluate'"),
            ("version", "'--version'"),
            ("plot", "--plot of 'stats', 'row', 'shared', 'headings' and 'fit'"),
            ("histogram", "'stats'"),
        ],
    )
    def test_words_of_others(self, run: Runner, word: str, message: str) -> None:
        """What other programs call it, misspelt too."""
        result = run(word)
        assert result.exit_code == 2
        assert message in result.stderr

    @pytest.mark.parametrize("command", ["info", "tree", "validate", "verify", "publish -o out"])
    def test_a_collection_where_files_are_taken(self, run: Runner, command: str, labels: Path) -> None:
        """The command that makes a file of it is named."""
        address = f"{labels}::redkitchen/train"
        result = run(*command.split(), address)
        assert result.exit_code == 2
        assert f"takes a whole file; write the collection to a file of its own first: relabel subset {address}" in (
            result.stderr
        )
        assert "no such file" in run("info", f"{labels}x::a/b").stderr


def completions(words: str) -> list[str]:
    """What bash would be told for the last of these words."""
    return [line.partition(",")[2] for line in answers(words)]


def answers(words: str) -> list[str]:
    """As `completions`, each with its type before a comma."""
    environment = os.environ | {
        "_RELABEL_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    code = "from relabel.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


class TestCompletion:
    """relabel completion"""

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_script(self, run: Runner, shell: str) -> None:
        """The script asks by the variable that the program looks at."""
        script = run("completion", shell).stdout
        assert f"_RELABEL_COMPLETE={shell}_complete" in script

    @pytest.mark.parametrize(
        ("shell", "session"),
        [
            (
                "bash",
                "source script; COMP_WORDS=(relabel ms); COMP_CWORD=1; _relabel_completion relabel; echo $COMPREPLY",
            ),
            ("fish", "source script; complete -C 'relabel ms'; complete -C 'relabel info -q'"),
            # zsh completes only where somebody types: in a terminal of its own, to which TAB is sent.
            (
                "zsh",
                r"""
                zmodload zsh/zpty
                zpty z zsh -f -i
                zpty -w z 'autoload -Uz compinit; compinit -D -u; source ./script; echo REA""DY'
                zpty -r -m z out '*READY*'
                zpty -w -n z $'relabel ms\t'
                zpty -r -m z out '*relabel msls *' && print msls
                zpty -d z
                """,
            ),
        ],
        ids=["bash", "fish", "zsh"],
    )
    def test_in_the_shell(self, shell: str, session: str, run: Runner, tmp_path: Path) -> None:
        """The shell itself runs the script, and completes a command; fish also shows the whole of a description."""
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed")
        (tmp_path / "script").write_text(run("completion", shell).stdout)
        program = tmp_path / "relabel"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "from relabel.cli import main; main()" "$@"\n')
        program.chmod(0o755)
        environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)}
        flags = {"bash": ["--norc"], "fish": ["--no-config"], "zsh": ["-f"]}[shell]
        done = subprocess.run(
            [shell, *flags, "-c", session],
            cwd=tmp_path,
            env=environment | {"HOME": str(tmp_path), "TERM": "dumb"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.stdout.split()[0] == "msls", done.stderr
        if shell == "fish":
            assert done.stdout.splitlines()[-1] == "-q\tPrint less: no progress bars, no notes."

    def test_what_is_completed(self) -> None:
        """Commands, commands of groups, options, choices; and nothing, without a word, behind a wrong command."""
        assert completions("relabel ms") == ["msls"]
        assert completions("relabel audit ms") == ["msls"]
        assert completions("relabel stats --fac") == ["--facing"]
        assert completions("relabel msls --measure d") == ["dice"]
        assert completions("relabel nonsense --x") == []
        assert completions("relabel help audit ms") == ["msls"]
        assert completions("relabel help audi") == ["audit"]
        assert completions("relabel help msls x") == []
        assert completions("relabel train --backbone resnet1") == ["resnet18", "resnet152"]

    @pytest.mark.parametrize(
        "words",
        ["stats", "merge a.h5", "compare a.h5", "evaluate", "view --compare", "report --compare", "train --val"],
    )
    def test_files(self, words: str) -> None:
        """Where FILE::COLLECTION is expected, the shell completes the file; the type is before the comma."""
        assert answers(f"relabel {words} lab") == ["file,lab"]


def test_other_commands_are_dressed_too() -> None:
    """No command is made by click alone."""
    assert [name for name, command in COMMAND_LINES.items() if not isinstance(command, help_text.Command)] == []
