"""Parties that may meet at one path: programs on the real packages, on the adapters, and the command flock.

Run as a program, a party obeys one JSON command a line, and answers each with one JSON line:

    take SECONDS    wait at most so long for the lock; whether it was granted
    release
    rush SECONDS    take and release as often as possible; how often it was inside, and how often somebody else was too

Who is inside during a rush says so in a page that all share: a byte each, 1 for a reader, 2 for a writer.
"""

from __future__ import annotations

import json
import mmap
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ANSWER_SECONDS = 100
MOST_PARTIES = 64
OUTSIDE, READS, WRITES = 0, 1, 2

EXCLUSIVE = {
    "filelock": "filelock:FileLock",
    "filelock adapter": "pylock.compat.filelock:FileLock",
    "async filelock adapter": "pylock.compat.filelock:AsyncFileLock",
    "portalocker": "portalocker:Lock",
    "portalocker adapter": "pylock.compat.portalocker:Lock",
    "portalocker.lock": "portalocker:lock",
    "portalocker.lock adapter": "pylock.compat.portalocker:lock",
    "flock": "flock:x",
}
"""Who takes the lock of a file for itself alone."""
SHARED = {
    "portalocker": "portalocker:SH",
    "portalocker adapter": "pylock.compat.portalocker:SH",
    "flock": "flock:s",
}
"""Who shares it with its like."""
READERS = {"filelock": "filelock:read", "filelock adapter": "pylock.compat.filelock:read"}
WRITERS = {"filelock": "filelock:write", "filelock adapter": "pylock.compat.filelock:write"}
"""Of read/write locks, which are at a database."""
SEMAPHORES = {
    "portalocker": "portalocker:semaphore",
    "portalocker adapter": "pylock.compat.portalocker:semaphore",
}
CARELESS = "nobody:x"
"""Who goes in without a lock, to see that it is noticed."""
SLOTS = 2
"""Of a semaphore."""


class Party:
    """The test's end of such a process."""

    def __init__(self, kind: str, path: Path, page: Path | None = None, place: int = 0) -> None:
        words = [sys.executable, __file__, kind, str(path), str(page or ""), str(place)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self.kind = kind
        self.pid = self._process.pid

    def tell(self, do: str, seconds: float = 0) -> None:
        """Give a command without waiting for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([do, seconds]).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_SECONDS)
        assert ready, f"{self.kind} does not answer"
        return json.loads(self._process.stdout.readline())

    def ask(self, do: str, seconds: float = 0) -> Any:
        self.tell(do, seconds)
        return self.answer()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def parties(directory: Path, kinds: list[str]) -> Iterator[list[Party]]:
    """Start them all at one path, and with one page."""
    page = directory / "page"
    page.write_bytes(bytes(MOST_PARTIES))
    started = [Party(kind, directory / "x.lock", page, place) for place, kind in enumerate(kinds)]
    try:
        yield started
    finally:
        for party in started:
            party.end()


def rush(directory: Path, kinds: list[str], seconds: float) -> tuple[list[int], int]:
    """Let them all rush; return how often each was inside, and how often one of them was not as alone as it should."""
    with parties(directory, kinds) as started:
        for party in started:
            party.tell("rush", seconds)
        answers = [party.answer() for party in started]
    return [inside for inside, _ in answers], sum(overlaps for _, overlaps in answers)


# What runs in the process

Take = Callable[[float], bool]
Release = Callable[[], object]


def _filelock(package: Any, path: str) -> tuple[Take, Release]:
    lock = package.FileLock(path)

    def take(seconds: float) -> bool:
        try:
            lock.acquire(timeout=seconds)
        except package.Timeout:
            return False
        return True

    return take, lock.release


def _async_filelock(package: Any, path: str) -> tuple[Take, Release]:
    import asyncio

    lock = package.AsyncFileLock(path)
    runner = asyncio.Runner()

    async def acquire(seconds: float) -> bool:
        try:
            await lock.acquire(timeout=seconds)
        except package.Timeout:
            return False
        return True

    return lambda seconds: runner.run(acquire(seconds)), lambda: runner.run(lock.release())


def _read_write(package: Any, path: str, verb: str) -> tuple[Take, Release]:
    lock = package.ReadWriteLock(path)

    def take(seconds: float) -> bool:
        try:
            getattr(lock, f"acquire_{verb}")(timeout=seconds)
        except package.Timeout:
            return False
        return True

    return take, lock.release


def _portalocker(package: Any, lock: Any) -> tuple[Take, Release]:
    def take(seconds: float) -> bool:
        try:
            return lock.acquire(timeout=seconds) is not None
        except package.AlreadyLocked:
            return False

    return take, lock.release


def _open_file(package: Any, path: str) -> tuple[Take, Release]:
    file = open(path, "a")  # noqa: SIM115

    def take(seconds: float) -> bool:
        flags = package.LOCK_EX if seconds else package.LOCK_EX | package.LOCK_NB
        try:
            package.lock(file, flags)
        except package.AlreadyLocked:
            return False
        return True

    return take, lambda: package.unlock(file)


def _flock(path: str, mode: str) -> tuple[Take, Release]:
    """The command, which holds the lock as long as the command in it runs."""
    running: list[subprocess.Popen[bytes]] = []

    def take(seconds: float) -> bool:
        words = ["flock", f"-{mode}", "-w", str(seconds), path, "cat"]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(b"here\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass
        if not process.stdout.readline():
            process.communicate()
            return False
        running.append(process)
        return True

    return take, lambda: running.pop().communicate()


def _party(kind: str, path: str) -> tuple[Take, Release]:
    module, what = kind.split(":")
    if module == "nobody":
        return (lambda seconds: True), (lambda: None)
    if module == "flock":
        return _flock(path, what)
    package: Any = import_module(module)
    directory, name = os.path.split(path)
    makers: dict[str, Callable[[], tuple[Take, Release]]] = {
        "FileLock": lambda: _filelock(package, path),
        "AsyncFileLock": lambda: _async_filelock(package, path),
        "read": lambda: _read_write(package, path, "read"),
        "write": lambda: _read_write(package, path, "write"),
        "Lock": lambda: _portalocker(package, package.Lock(path)),
        "SH": lambda: _portalocker(package, package.Lock(path, flags=package.LOCK_SH | package.LOCK_NB)),
        "lock": lambda: _open_file(package, path),
        "semaphore": lambda: _portalocker(package, package.NamedBoundedSemaphore(SLOTS, name, directory=directory)),
    }
    return makers[what]()


def _role(kind: str) -> int:
    return READS if kind.endswith((":SH", ":s", ":read", ":semaphore")) else WRITES


def _is_crowded(page: mmap.mmap, kind: str) -> bool:
    """Whether somebody is inside who should not be, besides us."""
    if kind.endswith(":semaphore"):
        return MOST_PARTIES - page[:].count(OUTSIDE) > SLOTS
    others = page[:].replace(bytes([OUTSIDE]), b"")
    return len(others) > 1 and (_role(kind) == WRITES or WRITES in others)


def _rush(kind: str, take: Take, release: Release, page: mmap.mmap, place: int, seconds: float) -> tuple[int, int]:
    inside = overlaps = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not take(max(0.01, end - time.monotonic())):
            continue
        page[place] = _role(kind)
        crowded = _is_crowded(page, kind)
        if inside % 16 == 0:
            time.sleep(0.0005)  # lets others run inside
        overlaps += crowded or _is_crowded(page, kind)
        page[place] = OUTSIDE
        release()
        inside += 1
    return inside, overlaps


def obey(kind: str, path: str, page_path: str, place: int) -> None:
    take, release = _party(kind, path)
    for line in sys.stdin:
        do, seconds = json.loads(line)
        answer: object = None
        if do == "take":
            answer = take(seconds)
        elif do == "release":
            release()
        elif do == "rush":
            with open(page_path, "r+b") as file, mmap.mmap(file.fileno(), MOST_PARTIES) as page:
                answer = _rush(kind, take, release, page, place, seconds)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    obey(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
