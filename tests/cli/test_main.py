"""Test the command line as a whole: its help, its errors, its exit statuses."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from consent import cli
from consent.cli import check
from consent.cli.main import COMMANDS, INTERRUPTED, PIPE_CLOSED, main, parser
from consent.errors import ConfigurationError
from consent.version import __version__

NOT_COMMANDS = {"database", "dates", "__init__", "main", "opened", "tokens", "progress"}


def python(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `python` with these words in a process of its own."""
    # Only fixed words of these tests are run.
    return subprocess.run([sys.executable, *words], cwd=cwd, capture_output=True, text=True, check=False)


def helps(named: str) -> dict[str, str | None]:
    """Return the help of every command as the parser made for `named` shows it."""
    action = next(one for one in parser([named])._actions if isinstance(one, argparse._SubParsersAction))
    return {one.dest: one.help for one in action._choices_actions}


def test_every_module_is_a_command() -> None:
    """Each file of the folder but the named ones is a command that can be run."""
    files = {path.stem for path in Path(next(iter(cli.__path__))).glob("*.py")}
    assert files - NOT_COMMANDS == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_keeps_its_help_when_it_is_loaded(name: str) -> None:
    """The overview reads the same whether or not a command's module has been imported."""
    assert helps(name) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`consent COMMAND --help` prints its usage and succeeds."""
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: consent {name} ")


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`consent --help` names every command."""
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n    {name}" in out for name in COMMANDS)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """`consent --version` prints the distribution and its version."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"asgi-consent {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [["frob"], ["check", "--frob"], ["check", "more"], ["policy"], ["policy", "frob"], ["export"], ["--frob"]],
    ids=" ".join,
)
def test_wrong_use_is_one_line_and_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Words that mean nothing end with status 2, one line on standard error, and nothing on standard output."""
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("consent: ")
    assert captured.err.count("\n") == 1
    assert "--help" in captured.err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["check", "--frob"], "consent check"),
        (["check", "more"], "consent check"),
        (["policy", "new"], "consent policy new"),
        (["policy", "list", "more"], "consent policy list"),
        (["--frob", "check"], "consent"),
        (["frob"], "consent"),
    ],
    ids=str,
)
def test_wrong_use_names_the_help_of_its_command(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line ends with the help of what the wrong word was given to."""
    assert main(words) == 2
    assert capsys.readouterr().err.endswith(f". See: {named} --help\n")


@pytest.mark.parametrize(
    ("option", "words"), [("--since", ["export", "--out", "x"]), ("--effective", ["policy", "new", "x"])]
)
def test_a_date_that_is_none(option: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The line names the option, what was written, and what a date looks like."""
    assert main([*words, option, "soon"]) == 2
    assert capsys.readouterr().err.startswith(f"consent: {option}: 'soon' is not a date: write it as 2026-11-01")


def test_without_words_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """`consent` alone is wrong use, and shows on standard error what `consent help` prints."""
    assert main(["help"]) == 0
    help_ = capsys.readouterr().out
    assert all(f"\n    {name}" in help_ for name in COMMANDS)
    assert main([]) == 2
    assert capsys.readouterr() == ("", help_)


def test_help_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`consent help COMMAND` is `consent COMMAND --help`."""
    assert main(["help", "export"]) == 0
    assert capsys.readouterr().out.startswith("usage: consent export ")


def test_an_error_of_ours_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a command refuses is told in one line without a traceback, even where its message has several."""

    def refuse(args: argparse.Namespace) -> int:
        raise ConfigurationError("first\nsecond", place="here", remedy="Mend it")

    monkeypatch.setattr(check, "run", refuse)
    assert main(["check"]) == 1
    assert capsys.readouterr().err == "consent: here: first second. Mend it\n"


def test_an_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends a command with status 130 and without a word."""

    def interrupt(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "run", interrupt)
    assert main(["check"]) == INTERRUPTED == 130
    assert capsys.readouterr() == ("", "")


def test_the_words_of_the_process_are_the_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Called without words, as the installed script does, `main` reads those of the process."""
    monkeypatch.setattr(sys, "argv", ["consent", "--version"])
    assert main() == 0
    assert __version__ in capsys.readouterr().out


def test_the_demo_without_a_server_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without uvicorn the demo ends with status 1 and names the extra."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["demo"]) == 1
    assert "asgi-consent[server]" in capsys.readouterr().err


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    """`python -m consent` is the same command, with its exit status."""
    done = python("-m", "consent", "frob", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("consent: ")


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_the_overview_imports_no_command(tmp_path: Path, word: str) -> None:
    """`consent --help` and `--version` stay fast: they import no command, nor what a site is made of."""
    code = (
        f"import sys; from consent.cli.main import main; main([{word!r}]);"
        "print(*sorted(one for one in sys.modules if one.startswith('consent.')), file=sys.stderr)"
    )
    done = python("-c", code, cwd=tmp_path)
    assert done.stderr == "consent.cli consent.cli.main consent.errors consent.version\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_is_quiet(unbuffered: str, tmp_path: Path) -> None:
    """A reader that goes away, as `head` does, ends the command without a word, whenever the pipe is found closed."""
    with subprocess.Popen(
        [sys.executable, "-m", "consent", "check", "--json"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == PIPE_CLOSED
