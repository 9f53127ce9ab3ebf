"""The pid that is shown is one that is there, or marked: of a command, another host, another namespace, or none."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import Start, environment, pylock
from contender import Contender, until

import pylock as library

SLEEPS = ["sh", "-c", "echo $$; exec sleep 60"]


def holder_in_json(name: str = "x") -> dict[str, Any]:
    (lock,) = json.loads(pylock("status", "--json", name).stdout)["locks"]
    (holder,) = lock["holders"]
    assert isinstance(holder, dict)
    return holder


def told_to_who_cannot_have_it(name: str = "x") -> str:
    return pylock("run", "-n", name, "--", "true").stderr


def row(name: str = "x") -> str:
    return pylock("status", name).stdout.splitlines()[1]


@pytest.mark.parametrize("words", [["x"], ["-m", "shared", "x"], ["-m", "CR", "x"], ["--sequence", "x"]], ids=str)
def test_command_is_shown_beside_its_supervisor_and_in_its_place(words: list[str], start: Start) -> None:
    running = start("run", *words, "--", *SLEEPS)
    command = int(running.line())
    until(lambda: holder_in_json()["child"])
    before = holder_in_json()
    assert (before["pid"], before["child"], before["whereabouts"]) == (running.pid, command, "here")
    running.signal(signal.SIGKILL)
    running.process.wait()
    after = holder_in_json()
    assert (after["pid"], after["whereabouts"]) == (command, "here")
    assert f" {command} " in row()
    assert pylock("status", "--pids", "x").stdout == f"{command}\n"
    os.kill(command, signal.SIGKILL)


def test_fuser_names_the_same_processes(start: Start) -> None:
    if shutil.which("fuser") is None:
        pytest.skip("fuser is not installed")
    running = start("run", "x", "--", *SLEEPS)
    command = int(running.line())
    done = subprocess.run(["fuser", library.inspect("x").path], capture_output=True, text=True, check=True)
    assert set(map(int, done.stdout.split())) == {running.pid, command}


@pytest.mark.parametrize(
    "patched",
    ["", "from gevent import monkey; monkey.patch_all()", "import eventlet; eventlet.monkey_patch()"],
    ids=["plain", "gevent", "eventlet"],
)
def test_command_of_a_program_that_was_killed_is_shown_in_its_place(patched: str) -> None:
    program = f"{patched}\nimport pylock; pylock.run({SLEEPS!r}, 'x')"
    with subprocess.Popen([sys.executable, "-c", program], env=environment(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        command = int(process.stdout.readline())
        until(lambda: library.inspect("x").holders[0].child)
        process.kill()
        process.wait()
        assert holder_in_json()["pid"] == command
        os.kill(command, signal.SIGKILL)


@pytest.mark.parametrize("stops", ["supervisor", "command"])
def test_who_is_stopped_is_told_from_who_works(stops: str, start: Start) -> None:
    """A lock that nobody lets go of since somebody pressed Ctrl-Z looks as if it were in use."""
    running = start("run", "x", "--", *SLEEPS)
    command = int(running.line())
    until(lambda: holder_in_json()["child"])
    assert not holder_in_json()["stopped"]
    stopped = running.pid if stops == "supervisor" else command
    os.kill(stopped, signal.SIGSTOP)
    until(lambda: holder_in_json()["stopped"])
    assert " holds (stopped)  exclusive " in row()
    assert f"pid {running.pid} on {os.uname().nodename} (stopped) " in told_to_who_cannot_have_it()
    os.kill(stopped, signal.SIGCONT)
    until(lambda: not holder_in_json()["stopped"])


def test_waiter_that_is_stopped_is_told_in_its_row(start: Start, contenders: type[Contender]) -> None:
    contenders().acquire("x")
    waiting = start("run", "x", "--", "true")
    until(lambda: library.inspect("x").waiters)
    waiting.signal(signal.SIGSTOP)
    until(lambda: "waits #1 (stopped)" in pylock("status", "x").stdout)
    waiting.signal(signal.SIGCONT)


@pytest.mark.parametrize(
    ("field", "whereabouts", "message"),
    [
        ('"boot":"{boot}', "another host", "pid {pid} on "),
        ('"ns":{ns}', "another pid namespace", " (another pid namespace) "),
        ('"start":{start}', "gone", " (gone) "),
    ],
    ids=["boot", "namespace", "start"],
)
def test_pid_that_means_nothing_here_is_marked(
    field: str, whereabouts: str, message: str, directory: Path, contenders: type[Contender]
) -> None:
    holder = contenders()
    holder.acquire("x")
    (seen,) = library.inspect("x").holders
    before = field.format(boot=seen.boot, ns=seen.namespace, start=seen.start)
    after = before[:-1] + ("2" if before[-1] == "1" else "1")
    file = directory / "x.lock"
    with file.open("r+b") as opened:
        opened.write(file.read_bytes().replace(before.encode(), after.encode()))
    assert holder_in_json()["whereabouts"] == whereabouts
    assert f" ({holder.pid}) " in row()
    assert message.format(pid=holder.pid) in told_to_who_cannot_have_it()
    assert pylock("status", "--pids", "x").stdout == ""


def test_holder_that_found_no_room_to_say_who_it_is_is_unknown(directory: Path, contenders: type[Contender]) -> None:
    contenders().acquire("x")
    file = directory / "x.lock"
    with file.open("r+b") as opened:
        opened.write(b"\n".join([file.read_bytes().partition(b"\n")[0], b" " * 448]))
    assert holder_in_json()["whereabouts"] == "unknown"
    assert "somebody whose record cannot be read" in row()
