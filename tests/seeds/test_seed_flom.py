"""FLoM's page on schedulers, from its first line to its last, with the command ``flom`` as it is installed.

The issue that it describes; its two transcripts, typed into a shell with job control; what it concludes for Jenkins.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import PYLOCK, Running, environment
from command import pylock as run_pylock
from contender import until, waiting
from terminal import interactive_shell, read_until

import pylock

CLEANS_UP = (
    "trap 'trap \"\" TERM; echo cleaning; read line; echo cleaned; exit 0' TERM; echo started;"
    " while :; do sleep 0.01; done"
)
"""A second TERM, which it gets without the option, is nothing to it."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without a key file, and the command flom in the PATH."""
    monkeypatch.setenv("HOME", str(tmp_path))
    subprocess.run([*PYLOCK, "flom", "--install", tmp_path], env=environment(), stdout=subprocess.DEVNULL, check=True)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


@pytest.fixture
def shell() -> Iterator[int]:
    with interactive_shell() as terminal:
        yield terminal


def type_into(terminal: int, line: str) -> str:
    """Type a line, and return what comes until the next prompt."""
    os.write(terminal, f"{line}\n".encode())
    return read_until(terminal, "$ ")


def start_in_background(terminal: int, line: str) -> int:
    """Start a job; return its pid, which is that of its process group too, once its command runs."""
    seen = type_into(terminal, f"{line} &")
    found = re.search(r"\[1\] (\d+)", seen)
    assert found, seen
    flom = int(found[1])
    until(lambda: command_line(child_of(flom)) == ["sleep", "1d"])
    return flom


def kill_group(terminal: int, flom: int) -> str:
    """Type what the page types, wait until the shell knows of the end, and press the key once more, as there."""
    seen = type_into(terminal, f"kill -SIGTERM -- -{flom}")
    until(lambda: not Path(f"/proc/{flom}").exists())
    return seen + type_into(terminal, "")


def child_of(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else 0


def command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1] if pid else []


def test_issue_that_is_described_does_not_come_up() -> None:
    """A scheduler signals the group; the command takes time to clean up; a second flom wants the resource."""
    job = Running("flom", "--", "sh", "-c", CLEANS_UP, stdin=subprocess.PIPE)
    assert job.line() == "started"
    job.signal_group(signal.SIGTERM)
    assert job.line() == "cleaning"
    second = Running("flom", "--", "echo", "second")
    waiting("_RESOURCE", 1)
    assert job.process.poll() is None, "the first one does not end before its command"
    assert run_pylock("flom", "-o", "0", "--", "true").returncode == 98, "nor is the resource available"
    assert job.end()[:2] == (0, "cleaned\n")
    assert second.line() == "second"
    assert second.end()[0] == 0


def test_processes_of_a_job_are_flom_and_its_command_in_one_group(shell: int) -> None:
    """Both listings; but for the daemon in a session of its own, which is not there."""
    flom = start_in_background(shell, "flom -- sleep 1d")
    command = child_of(flom)
    assert command_line(flom)[-3:] == ["--", "sleep", "1d"]
    assert os.getpgid(flom) == os.getpgid(command) == flom
    shell_of_it = os.getsid(flom)
    assert processes_of_session(shell_of_it) == {shell_of_it, flom, command}
    kill_group(shell, flom)


def processes_of_session(session: int) -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(path.name)) == session:
                found.add(int(path.name))
        except ProcessLookupError:
            pass
    return found


def test_first_transcript(shell: int) -> None:
    flom = start_in_background(shell, "flom -- sleep 1d")
    seen = kill_group(shell, flom)
    assert re.search(r"\[1\]\+\s+Terminated\s+flom -- sleep 1d", seen)


def test_second_transcript(shell: int) -> None:
    line = "flom --ignore-signal=SIGTERM -- sleep 1d"
    flom = start_in_background(shell, line)
    command = child_of(flom)
    seen = kill_group(shell, flom)
    assert re.search(rf"\[1\]\+\s+Done\s+{line}", seen)
    assert not Path(f"/proc/{command}").exists()
    assert not pylock.inspect("_RESOURCE").holders


@pytest.mark.parametrize("way", ["option", "key file", "neither"])
def test_lock_is_held_until_the_command_has_cleaned_up(way: str, home: Path) -> None:
    """As a cancelled Jenkins job is ended: TERM to the process group, and nobody waits. The option and the key are the
    same; without them the command gets TERM a second time, and has nothing else of it."""
    if way == "key file":
        (home / ".flom").write_text("[Monitor]\nIgnoredSignals=SIGTERM;SIGHUP\n")
    words = ["--ignore-signal=SIGTERM"] if way == "option" else []
    job = Running("flom", *words, "--", "sh", "-c", CLEANS_UP, stdin=subprocess.PIPE)
    assert job.line() == "started"
    job.signal_group(signal.SIGTERM)
    assert job.line() == "cleaning"
    assert run_pylock("flom", "-o", "0", "--", "true").returncode == 98
    assert job.end()[:2] == (0, "cleaned\n")
    assert run_pylock("flom", "-o", "0", "--", "true").returncode == 0


def test_command_in_a_group_of_its_own_goes_on_undisturbed() -> None:
    """What Jenkins sends reaches only those who have not been spawned in new process groups."""
    words = ("setsid", "-w", "sh", "-c", "echo started; read line; echo done")
    job = Running("flom", "--ignore-signal=SIGTERM", "--", *words, stdin=subprocess.PIPE)
    assert job.line() == "started"
    job.signal_group(signal.SIGTERM)
    assert run_pylock("flom", "-o", "0", "--", "true").returncode == 98
    assert job.end() == (0, "done\n", "")
