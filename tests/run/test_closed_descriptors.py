"""Commands that close their descriptors as they start, as ssh does: what stays guaranteed, and what does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Running, environment
from contender import until

import pylock

CLOSES = [sys.executable, "-c", "import os; os.closerange(3, 256); print('closed', flush=True); input()"]


@pytest.fixture
def begun() -> Iterator[list[Running]]:
    made: list[Running] = []
    yield made
    for running in made:
        running.close()


def start(begun: list[Running], *options: str) -> Running:
    """Return once the command has closed all but the standard ones."""
    read, write = os.pipe()
    begun.append(Running("run", *options, "x", "--", *CLOSES, stdin=read))
    os.close(read)
    begun[-1].process.stdin = open(write, "w")  # noqa: SIM115  # closed with the process
    assert begun[-1].line() == "closed"
    return begun[-1]


@pytest.mark.parametrize("options", [[], ["--new-group"], ["--wait-for=tree"]], ids=str)
def test_lock_is_held_until_a_command_ends_that_closed_its_descriptor(begun: list[Running], options: list[str]) -> None:
    running = start(begun, *options)
    assert pylock.lock("x").locked()
    running.signal(signal.SIGTERM)
    assert running.end()[0] == -signal.SIGTERM
    assert not pylock.lock("x").locked()


def test_only_the_descriptor_holds_with_exec(begun: list[Running]) -> None:
    start(begun, "--exec")
    assert not pylock.lock("x").locked()


def test_only_the_descriptor_holds_once_the_supervisor_was_killed(begun: list[Running]) -> None:
    running = start(begun)
    running.signal(signal.SIGKILL)
    until(lambda: not pylock.lock("x").locked())


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 1, 2)], ids=str)
def test_no_lock_file_is_the_input_or_output_of_a_command(closed: tuple[int, ...], directory: Path) -> None:
    """Where a program has closed its own, as daemons do, the next file that it opens gets such a number."""
    program = f"""
import os, sys
import pylock
for fd in {closed}: os.close(fd)
with pylock.lock("y").acquire() as other:
    pylock.run([sys.executable, "-c", "import os; os.write(1, b'said')"], "x")
    os._exit(other.fileno() < 3)
"""
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"" if 1 in closed else b"said")
    assert all((directory / f"{name}.lock").stat().st_size < 4096 for name in "xy")
