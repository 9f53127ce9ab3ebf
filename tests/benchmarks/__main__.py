"""Print the tables of all questions, or of those named: `PYTHONPATH=.:tests python -m benchmarks [NAME...] [--quick]`.

The whole run takes four to five minutes, with --quick half a minute. Lock files are put in memory, where that can be
had, so that no disk has a say; with --in DIRECTORY elsewhere. ext4 without a journal, which virtual machines often
have, is slow to make a file (or a FIFO: a bell) where many were removed in the last seconds; contention shows that.
With --json FILE the figures are written there too, with the machine and the versions they were taken with.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir
from types import FrameType

from pylock._file.directories import mount_of

from . import (
    bystanders,
    command,
    contention,
    crash,
    directory,
    figures,
    handover,
    hosts,
    kinds,
    memory,
    peers,
    sharing,
    startup,
    uncontended,
    waiting,
)
from .common import Table, workplace

QUESTIONS: dict[str, Callable[[bool], list[Table]]] = {
    "startup": startup.tables,
    "command": command.tables,
    "uncontended": uncontended.tables,
    "handover": handover.tables,
    "crash": crash.tables,
    "waiting": waiting.tables,
    "memory": memory.tables,
    "contention": contention.tables,
    "bystanders": bystanders.tables,
    "sharing": sharing.tables,
    "kinds": kinds.tables,
    "directory": directory.tables,
    "hosts": hosts.tables,
}
DESCRIPTORS = 8192
MEMORY = "/dev/shm"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure what pylock costs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(QUESTIONS)}; by default all")
    parser.add_argument("--in", dest="parent", metavar="DIRECTORY", help="where to put the lock files")
    parser.add_argument("--quick", action="store_true", help="smaller sizes and fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too, for `make bench-plots`")
    chosen = parser.parse_args()
    for name in chosen.names:
        if name not in QUESTIONS:
            parser.error(f"there is no question {name!r}; the questions are {', '.join(QUESTIONS)}")
    return chosen


def parent_directory(asked: str | None) -> str:
    return os.path.abspath(asked or (MEMORY if os.access(MEMORY, os.W_OK) else gettempdir()))


def leave(number: int, _frame: FrameType | None) -> None:
    """Turn a signal into an exception, on whose way out every child is ended."""
    sys.exit(128 + number)


def allow_descriptors() -> None:
    """Raise the soft limit, as a thousand holders of several kinds are open at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS:
        most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def main() -> None:
    chosen = arguments()
    signal.signal(signal.SIGTERM, leave)
    allow_descriptors()
    parent = parent_directory(chosen.parent)
    print(f"Python {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} cores")
    print(f"lock files below {parent}, a {mount_of(parent).type} file system")
    for name in peers.missing():
        print(f"{name} is not installed: skipped")
    found = {name: answer(name, chosen.quick, parent) for name in chosen.names or QUESTIONS}
    if chosen.json:
        figures.write(chosen.json, parent, found)


def answer(name: str, quick: bool, parent: str) -> list[Table]:
    """Measure one question, print its tables, and return them."""
    begun = time.monotonic()
    with workplace(parent):
        tables = QUESTIONS[name](quick)
        for table in tables:
            print(f"\n{table}", flush=True)
    print(f"({name}: {time.monotonic() - begun:.0f} s)", flush=True)
    return tables


if __name__ == "__main__":
    main()
