"""Words that a user gets wrong: what was meant is guessed, and errors are said without the system's numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import pylock

import pylock as library


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["stauts"], "pylock: 'stauts' is not a command of pylock; did you mean status?"),
        (["verison"], "did you mean version?"),
        (["help", "chekc"], "did you mean check?"),
        (["run", "--tiemout", "5", "x", "--", "true"], "unknown option --tiemout; did you mean --timeout?"),
        (["status", "--jsno"], "unknown option --jsno; did you mean --json?"),
        (["run", "-m", "exlusive", "x", "--", "true"], "did you mean exclusive?"),
        (["run", "-m", "Concurrent-Raed", "x", "--", "true"], "did you mean concurrent_read?"),
    ],
)
def test_what_was_meant_is_guessed(words: list[str], told: str) -> None:
    done = pylock(*words)
    assert (done.returncode, done.stdout, told in done.stderr) == (125, "", True), done.stderr


@pytest.mark.parametrize("words", [["zzz"], ["run", "--zzz", "--", "true"], ["run", "-m", "zzz", "x", "--", "true"]])
def test_nothing_is_guessed_that_is_not_alike(words: list[str]) -> None:
    done = pylock(*words)
    assert (done.returncode, "did you mean" in done.stderr) == (125, False)


def test_python_is_told_too_which_mode_was_meant() -> None:
    with pytest.raises(ValueError, match=r"did you mean shared\?"):
        library.lock("x", "sharde")


def test_help_and_version_are_commands_too() -> None:
    assert pylock("help").stdout == pylock("--help").stdout
    assert pylock("help", "run").stdout == pylock("run", "--help").stdout
    assert pylock("help", "flom").stdout == pylock("flom", "--help").stdout
    assert pylock("version").stdout == pylock("--version").stdout
    assert pylock("help", "run", "status").returncode == 125
    offered = pylock("completion", "--answer", "--", "help", "").stdout.splitlines()
    assert any(line.startswith("status\t") for line in offered)


@pytest.mark.parametrize(
    "words",
    [
        ["run", "-d", "/no/such", "x", "--", "true"],
        ["run", "--log", "/no/such/log", "x", "--", "true"],
        ["run", "--config", "/no/such", "x", "--", "true"],
        ["status", "-d", "/no/such"],
        ["set", "-d", "/no/such", "x", "-c", "1"],
        ["kill", "-d", "/no/such", "x"],
        ["clean", "/no/such"],
        ["init", "/no/such/directory"],
        ["flom", "-c", "/no/such", "--", "true"],
        ["run", "-d", "FILE", "x", "--", "true"],
    ],
)
def test_errors_of_the_system_are_said_in_words(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "FILE").touch()
    done = pylock(*words, cwd=tmp_path)
    assert done.returncode in (99, 125)
    assert "Errno" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "/no/such" in done.stderr or "FILE" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--grace", "5", "x", "--", "true"], "--grace is for --limit, or --on-lost=term"),
        (["check", "-t", "0"], "--timeout=0"),
        (["set", "x", "--kind", "sequence", "--elements", "a"], "elements are for a pool, not for a sequence"),
        (["flom", "--install", ""], "'' is no directory"),
        (["flom", "--install", "/no/such"], "'/no/such' is no directory"),
        (["take", "--fd", "1", "x"], "use 3 or more"),
        (["rnu", "x", "--", "true"], "did you mean run?"),
    ],
)
def test_what_means_nothing_is_refused(words: list[str], told: str, directory: Path) -> None:
    done = pylock(*words)
    assert (done.returncode in (99, 125), told in done.stderr) == (True, True), done.stderr
    assert list(directory.iterdir()) == []


def test_help_of_help_is_the_overview() -> None:
    assert pylock("help", "help").stdout == pylock("help", "version").stdout == pylock("help").stdout
