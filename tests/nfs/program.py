"""What the scenarios run on a host: it obeys one JSON command a line, and answers each with one JSON line.

It is sent there as text, so that a host needs nothing but Python and a copy of pylock. The first line that it reads is
the directory of that copy, "" where Python finds pylock by itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

COPY = json.loads(sys.stdin.readline())
sys.path[:1] = [COPY] if COPY else []

import pylock  # noqa: E402
from pylock._file.directories import mount_of  # noqa: E402

Answer = dict[str, Any]


class Host:
    """The commands. What waits answers once it has waited."""

    def __init__(self) -> None:
        self._holds: list[pylock.Hold] = []
        self._commands: dict[int, subprocess.Popen[str]] = {}

    def settle(self, directory: str) -> Answer:
        """Use that lock directory from now on, made if it is not there; say who and where this is."""
        os.makedirs(directory, 0o700, exist_ok=True)
        os.environ["PYLOCK_DIR"] = directory
        mount = mount_of(directory)
        version = next((word[5:] for word in mount.options if word.startswith("vers=")), "")
        return {"host": socket.gethostname(), "pid": os.getpid(), "type": mount.type, "version": version}

    def leave(self) -> None:
        """Let go of everything."""
        for command in self._commands.values():
            os.killpg(command.pid, signal.SIGKILL)
            command.communicate()
        self._commands.clear()
        while self._holds:
            self._holds.pop().release()

    # One lock

    def acquire(self, **asked: Any) -> int:
        self._holds.append(pylock.lock(**asked).acquire())
        return self._holds[-1].token

    def attempt(self, **asked: Any) -> int:
        self._holds.append(pylock.lock(**asked).acquire_nowait())
        return self._holds[-1].token

    def acquire_path(self, path: str) -> None:
        self._holds.append(pylock.path_lock(path).acquire_nowait())

    def acquire_element(self, name: str, elements: list[str]) -> str:
        hold = pylock.pool(name, elements).acquire_nowait()
        self._holds.append(hold)
        return hold.element

    def acquire_number(self, name: str) -> int:
        hold = pylock.sequence(name, transactional=True).acquire()
        self._holds.append(hold)
        return hold.value

    def release(self) -> None:
        self._holds.pop().release()

    def convert(self, mode: str) -> None:
        self._holds[-1].convert(mode)

    def check(self) -> None:
        self._holds[-1].check()

    def define(self, **said: Any) -> None:
        pylock.define(**said)

    def inspect(self, name: str) -> Answer:
        found = pylock.inspect(name)
        return {
            "capacity": found.definition.capacity,
            "holders": [[each.host, each.pid] for each in found.holders],
            "waiters": [[each.host, each.pid] for each in found.waiters],
        }

    # Many in a row

    def count(self, name: str, path: str, rounds: int) -> list[tuple[int, int]]:
        """Add one to the number in the file so many times under the lock; return each token and number.

        A byte of the file is locked as well, which gets what the other host wrote; it is free if nobody else is inside.
        """
        seen = []
        with opened(path) as fd:
            for _ in range(rounds):
                with pylock.lock(name) as hold:
                    lock_byte(fd, 0)
                    number = int(os.pread(fd, 20, 0) or 0) + 1
                    os.pwrite(fd, str(number).encode(), 0)
                    os.fsync(fd)
                    unlock(fd)
                seen.append((hold.token, number))
        return seen

    def visit(self, name: str, path: str, rounds: int) -> None:
        """Take one of two units so many times, and in it one of two bytes, one of which is free if the lock holds."""
        with opened(path) as fd:
            for _ in range(rounds):
                with pylock.lock(name, "shared", capacity=2):
                    try:
                        lock_byte(fd, 0)
                    except BlockingIOError:
                        lock_byte(fd, 1)
                    unlock(fd)

    def numbers(self, name: str, rounds: int) -> list[int]:
        drawn = []
        for _ in range(rounds):
            with pylock.sequence(name) as hold:
                drawn.append(hold.value)
        return drawn

    def times(self, name: str, rounds: int) -> list[str]:
        stamped = []
        for _ in range(rounds):
            with pylock.timestamp(name, "%Y%m%d-%H%M%S.%f") as hold:
                stamped.append(hold.value)
        return stamped

    def matrix(self, name: str, modes: list[str]) -> list[str]:
        """Which of the modes this process can have now."""
        had = []
        for mode in modes:
            try:
                pylock.lock(name, mode).acquire_nowait().release()
                had.append(mode)
            except pylock.WouldBlock:
                pass
        return had

    # The command

    def run(self, *words: str) -> Answer:
        done = subprocess.run(command(words), env=environment(), capture_output=True, text=True, check=False)
        return {"code": done.returncode, "output": done.stdout, "errors": done.stderr}

    def start(self, *words: str) -> int:
        """Start the command in the background; its pid is the answer."""
        pipe = subprocess.PIPE
        begun = subprocess.Popen(
            command(words), env=environment(), text=True, stdout=pipe, stderr=pipe, start_new_session=True
        )
        self._commands[begun.pid] = begun
        return begun.pid

    def line(self, pid: int) -> str:
        """The next line that the command of `start` writes."""
        output = self._commands[pid].stdout
        assert output is not None
        return output.readline().strip()

    def end(self, pid: int) -> Answer:
        """Wait for the command of `start`."""
        ended = self._commands.pop(pid)
        output, errors = ended.communicate()
        return {"code": ended.returncode, "output": output, "errors": errors}

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        os.kill(pid, number)

    def requests(self) -> dict[str, int] | None:
        """How often each operation was asked of the server of the lock directory; None if nothing counts that."""
        with open("/proc/self/mountstats", encoding="utf-8") as lines:
            mounts = lines.read().split("\ndevice ")
        here = f" mounted on {mount_of(os.environ['PYLOCK_DIR']).point} "
        table = next((mount for mount in mounts if here in mount), "").partition("per-op statistics")[2]
        rows = [row.split() for row in table.splitlines() if ":" in row]
        return {row[0].rstrip(":"): int(row[1]) for row in rows} or None


def command(words: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "pylock", *words]


def environment() -> dict[str, str]:
    return os.environ | ({"PYTHONPATH": COPY} if COPY else {})


@contextmanager
def opened(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def lock_byte(fd: int, byte: int) -> None:
    """Write-lock it; BlockingIOError if somebody else has it."""
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0))


def unlock(fd: int) -> None:
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0))


def say(answer: object) -> None:
    print(json.dumps(answer), flush=True)


def obey(host: Host) -> None:
    """Carry out commands, those between "enter" and "exit" inside a with block."""
    for line in sys.stdin:
        do, words, named = json.loads(line)
        try:
            if do == "enter":
                with pylock.lock(**named) as hold:
                    say({"value": hold.token})
                    obey(host)
            elif do == "exit":
                return
            else:
                say({"value": getattr(host, do)(*words, **named)})
                continue
            say({"value": None})
        except Exception as error:
            say({"error": type(error).__name__, "text": str(error)})


obey(Host())
