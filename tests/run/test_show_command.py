"""What others see of a command whose words are not for everybody: in the lock files, which stay, and in the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import Running, pylock
from contender import waiting

import pylock as library

SECRET = "s3cret-word"


def written(directory: Path) -> bytes:
    """All that the lock files say."""
    return b"".join(path.read_bytes() for path in sorted(directory.iterdir()) if path.is_file())


@pytest.mark.parametrize(
    ("how", "shown"), [("line", f"show {SECRET}"), ("program", "show"), ("nothing", "(not shown)")]
)
@pytest.mark.parametrize("by_settings", [False, True], ids=["option", "settings"])
@pytest.mark.parametrize(
    "lock", [["x", "--with=y"], ["--sequence", "x"], ["--tree", "/a/b"], ["-c", "3", "x"]], ids=str
)
def test_only_what_may_be_seen_is_written(
    how: str, shown: str, by_settings: bool, lock: list[str], tmp_path: Path, directory: Path
) -> None:
    settings, log = tmp_path / "settings.toml", tmp_path / "log"
    settings.write_text(f'[monitor]\nshow_command = "{how}"\n' if by_settings else "")
    words = [f"--config={settings}"] if by_settings else [f"--show-command={how}"]
    script = tmp_path / "show"
    script.write_text('#!/bin/sh\ncat "$PYLOCK_DIR"/*.lock\n')
    script.chmod(0o755)
    done = pylock("run", *words, f"--log={log}", *lock, "--", str(script), SECRET)
    for text in (done.stdout, log.read_text()):
        assert shown in text
        assert (SECRET in text) == (how == "line")


def test_a_waiter_that_gave_up_has_not_left_its_words(directory: Path) -> None:
    for others in ([], ["--with=y"]):
        with library.lock("x"):
            done = pylock("run", "-t", "0.05", "x", *others, "--", "/bin/true", SECRET)
        assert (done.returncode, SECRET in done.stderr) == (75, False)
        assert SECRET.encode() not in written(directory)


@pytest.mark.parametrize(
    "lock", [["x", "--with=y"], ["--sequence", "x"], ["--tree", "/a/b"], ["-c", "3", "x"], ["-m", "CR", "x"]], ids=str
)
def test_words_of_a_command_end_with_it(lock: list[str], directory: Path) -> None:
    assert pylock("run", *lock, "--", "/bin/true", SECRET).returncode == 0
    assert SECRET.encode() not in written(directory)


@pytest.mark.parametrize("lock", [["x", "--with=y"], ["-c", "3", "x"], ["-m", "CR", "x"]], ids=str)
def test_words_of_a_command_that_waited_end_with_it(lock: list[str], directory: Path) -> None:
    with library.lock("x"):
        running = Running("run", *lock, "--", "/bin/true", SECRET)
        waiting("x", 1)
    assert running.end()[0] == 0
    assert SECRET.encode() not in written(directory)


@pytest.mark.parametrize("how", ["", "Line", "all"])
def test_another_word_is_refused(how: str, tmp_path: Path) -> None:
    done = pylock("run", f"--show-command={how}", "x", "--", "touch", str(tmp_path / "started"))
    assert (done.returncode, "--show-command is one of line, program, nothing" in done.stderr) == (125, True)
    assert not (tmp_path / "started").exists()
