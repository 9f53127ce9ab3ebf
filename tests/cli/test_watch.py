"""`pylock status --watch`: a table that fits, in colours on a terminal that has them, in plain lines elsewhere."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator

import pytest
from command import PYLOCK, environment
from contender import Contender

import pylock as library

ROWS, COLUMNS = 24, 80


class Watching:
    """The command on a terminal of 80 by 24."""

    def __init__(self, **variables: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            [*PYLOCK, "status", "--watch"], stdout=theirs, stderr=subprocess.STDOUT, env=environment(**variables)
        )
        os.close(theirs)
        self.shown = ""

    def until(self, pattern: str) -> str:
        """Read until the pattern was shown, and return all that was."""
        while not re.search(pattern, self.shown):
            self.shown += os.read(self._ours, 65536).decode()
        return self.shown

    def end(self) -> int:
        """Interrupt it; return its return code, and keep what it showed at the end."""
        self._process.send_signal(signal.SIGINT)
        try:
            while more := os.read(self._ours, 65536).decode():
                self.shown += more
        except OSError:  # it is gone
            pass
        os.close(self._ours)
        return self._process.wait()


@pytest.fixture
def queue(contenders: type[Contender]) -> Iterator[None]:
    """A lock that is held and waited for, one that is closed, and more free ones than there is room for."""
    for number in range(ROWS):
        with library.lock(f"free{number:02}"):
            pass
    library.define("shut", capacity=0)
    holder, waiter = contenders(), contenders()
    holder.acquire("nightly-figures-of-all-customers-and-their-orders", reason="a reason that is long enough")
    waiter.start_acquiring("nightly-figures-of-all-customers-and-their-orders")
    return


def plain(shown: str) -> list[str]:
    """The lines without what moves the cursor, or colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).splitlines()


@pytest.mark.parametrize("with_rich", [True, False], ids=["rich", "no rich"])
@pytest.mark.usefixtures("queue")
def test_it_fits_the_terminal_and_says_how_much_more_there_is(
    with_rich: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    variables = {"TERM": "xterm-256color"}
    if not with_rich:
        hidden = tmp_path_factory.mktemp("hidden")
        (hidden / "rich").mkdir()
        (hidden / "rich/__init__.py").write_text("raise ImportError")
        variables["PYTHONPATH"] = f"{hidden}:{environment()['PYTHONPATH']}"
    watching = Watching(**variables)
    lines = [line.rstrip() for line in plain(watching.until(r"\.\.\. and \d+ more")) if line.strip()]
    assert watching.end() == -signal.SIGINT
    assert len(lines) <= ROWS
    assert all(len(line) <= COLUMNS for line in lines)
    head = next(line for line in lines if line.startswith("LOCK"))
    assert {"AGE", "REASON"} <= set(head.split())
    held, waited = lines[lines.index(head) + 1 :][:2]
    assert re.search("holds .* a reason th", held)
    assert "waits #1" in waited
    assert any(line.startswith("shut") and "closed" in line for line in lines)


@pytest.mark.usefixtures("queue")
def test_colours_say_who_holds_and_who_waits() -> None:
    watching = Watching(TERM="xterm-256color")
    shown = watching.until(r"\.\.\. and \d+ more")
    watching.end()
    assert re.search(r"\x1b\[32m[^\n]*holds", shown), "green"
    assert re.search(r"\x1b\[33m[^\n]*waits", shown), "yellow"
    assert re.search(r"\x1b\[31m[^\n]*closed", shown), "red"


@pytest.mark.usefixtures("queue")
def test_no_color_means_none() -> None:
    watching = Watching(TERM="xterm-256color", NO_COLOR="1")
    shown = watching.until(r"\.\.\. and \d+ more")
    watching.end()
    assert "holds" in shown
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", shown)


@pytest.mark.usefixtures("queue")
def test_a_dumb_terminal_gets_plain_lines() -> None:
    watching = Watching(TERM="dumb")
    shown = watching.until("free23")
    assert watching.end() == -signal.SIGINT
    assert "\x1b" not in shown


@pytest.mark.usefixtures("queue")
def test_a_pipe_gets_plain_lines_that_are_not_cut() -> None:
    with subprocess.Popen(
        [*PYLOCK, "status", "--watch"], stdout=subprocess.PIPE, text=True, env=environment(TERM="xterm")
    ) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline().startswith("LOCK")
        assert watching.stdout.readline().startswith("nightly-figures-of-all-customers-and-their-orders ")
        watching.send_signal(signal.SIGINT)
        assert "\x1b" not in watching.stdout.read()


def test_a_name_is_never_markup_of_the_table() -> None:
    library.define("[red]x[/red]", capacity=0)
    watching = Watching(TERM="xterm-256color")
    assert "[red]x[/red]" in "\n".join(plain(watching.until("closed")))
    watching.end()
