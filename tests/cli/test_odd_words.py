"""Odd words and settings: whatever a user types, what goes wrong is said in one line, and harmless."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command import pylock

NINES = "9" * 5000


def in_one_line(*words: str, told: str = "") -> str:
    """Run the command to its end, which is no traceback; return what it said on standard error."""
    done = pylock(*words)
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert done.stderr.startswith("pylock: ")
        assert len(done.stderr.splitlines()) == 1
    assert told in done.stderr
    assert done.stderr.rstrip("\n").isprintable()
    return done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--idle-lifespan", "1e305", "x"], ""),
        (["-t", "1e307", "x"], ""),
        (["-t", "1e308", "x"], ""),
        (["-t", "1e309", "x"], "is not a number of seconds"),
        (["-t", "nan", "x"], "'nan' is not a number of seconds"),
        (["-c", NINES[:30], "x"], "is more than can be counted, 1073741824; write unlimited"),
        (["-c", NINES, "x"], "is not a whole number"),
        (["-c", "²", "x"], "is not a whole number"),
        (["-w", "0", "x"], "weight must be a whole number from 1 to"),
        (["-p", "64", "x"], "priority must be a whole number from -63 to 63"),
        (["a\nb\x1b[31m"], ""),
        (["\udcff\udcfe"], ""),
        (["a" * 100_000], ""),
        (["--reason", "\udcff", "x"], ""),
        (["--any-of", "a\udcff,b", "pool"], ""),
        (["--tree", "/a\udcff/b"], ""),
        (["--timestamp", "%", "t"], "changes less than hourly"),
        (["--timestamp", "%H\udcff", "t"], ""),
        (["--with", ":x", "a"], ""),
        (["--with", "", "a"], "the name of a lock must not be empty"),
        ([""], "the name of a lock must not be empty"),
        (["-d", "", "a"], "is not the name of a lock directory"),
        (["-d", "/no/such/\udcff", "a"], "lock directory does not exist"),
        (["-d", "/no/\x1b[31m", "a"], "lock directory does not exist"),
        (["--ignore-signal", "²", "x"], "is not a signal"),
        (["--\x1b", "x"], "unknown option --\\x1b"),
        (["-\x1b", "x"], "unknown option -\\x1b"),
        (["a", "b\x1b"], "only one lock can be named before --, not a b\\x1b"),
    ],
)
def test_run_with_odd_words(words: list[str], told: str) -> None:
    in_one_line("run", *words, "--", "true", told=told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "a", "--", ""], "the command is an empty string"),
        (["run", "a", "--", "/"], "is a directory"),
        (["run", "a", "--", "/no\x1b"], "/no\\x1b"),
        (["set", "-c", "0", ""], "the name of a lock must not be empty"),
        (["set", "--elements", "a,a", "p"], "the elements of a pool must differ"),
        (["set", "--kind", "foo", "p"], "kind must be one of"),
        (["init", "/proc/x"], "No such file or directory"),
        (["clean", "/nonexistent"], "does not exist"),
        (["clean", "/etc/passwd"], "is not a directory"),
        (["check", "--peer", "'", "/tmp"], "No closing quotation"),
        (["completion", "\x1b"], "completion needs one of"),
        (["status", "a", "\x1b"], "one NAME at most"),
        (["flom", "-r", f"a[{NINES[:20]}]", "--", "true"], "there can be 2147483647 of it at most"),
        (["flom", "-r", f"a[{NINES[:18]}]", "--", "true"], "there can be 2147483647 of it at most"),
        (["flom", "-q", NINES, "-r", "a[5]", "--", "true"], "is not a whole number of 32 bits"),
        (["flom", "-o", NINES[:400], "--", "true"], "is not a whole number of 32 bits"),
        (["flom", "-o", NINES[:18], "--", "true"], "is not a whole number of 32 bits"),
        (["flom", "-i", NINES[:18], "--", "true"], "is not a whole number of 32 bits"),
    ],
)
def test_commands_with_odd_words(words: list[str], told: str) -> None:
    in_one_line(*words, told=told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[resource]\ntimeout = 1e400", "resource.timeout must be a number of seconds, not inf"),
        ("[resource]\ntimeout = " + "9" * 400, "resource.timeout must be a number of seconds, not 9"),
        ("[resource]\nidle_lifespan = 1e305", ""),
        ('[resource]\nname = "\\u0000"', "resource.name must be a text without NUL"),
        ('[resource]\nreason = "\\u0000"', "resource.reason must be a text without NUL"),
        ('[resource]\ndirectory = "/tmp/\\u0000"', "resource.directory must be a path without NUL"),
        ('[resource]\ndirectory = "/tmp/\\u001b"', "/tmp/\\x1b"),
        ('[resource]\nmode = ["a"]', "resource.mode must be a mode"),
        ("[resource]\npolicy = {a=1}", "resource.policy must be shared-first or fair"),
        ("[resource]\ncapacity = {a=1}", "resource.capacity must be a whole number"),
        ('[monitor]\nwait_for = ["a"]', "monitor.wait_for must be command or tree"),
        ("[monitor]\nignored_signals = [[1]]", "monitor.ignored_signals must be a list of signals"),
        ("[monitor]\nignored_signals = [true]", "monitor.ignored_signals must be a list of signals"),
        ('[locks]\n"a" = 1', "locks.a must be a table"),
        ("[[locks]]\na = 1", "locks is not a table of pylock"),
        ("[resource]\nx = " + "[" * 3000, "is nested too deeply"),
        ("[resource]\nweight = " + NINES, "digits"),
        ("[resource]\nmode = '" + NINES + "'", "…"),
        ('"\\u001b[31m" = 1', "\\x1b[31m is not a table of pylock"),
        ("#" * (1 << 20) + "\n", "is larger than 1048576 bytes"),
    ],
)
def test_odd_settings(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    assert len(in_one_line("run", "--config", str(file), "--", "true", told=told)) < 400


def test_settings_that_never_end_are_not_read_to_the_end() -> None:
    in_one_line("run", "--config", "/dev/full", "--", "true", told="/dev/full: is larger than")
    in_one_line("run", "--config", "/", "--", "true", told="/: Is a directory")


def test_settings_may_come_through_a_pipe() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"[resource]\ncolour = 1\n")
    os.close(writing)
    try:
        done = pylock("run", "--config", f"/dev/fd/{reading}", "--", "true", pass_fds=(reading,))
    finally:
        os.close(reading)
    assert ":2: resource.colour is not a key of [resource]" in done.stderr
