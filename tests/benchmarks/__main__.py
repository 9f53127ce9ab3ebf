"""Print the tables of all questions, or of those named: `PYTHONPATH=.:tests python -m benchmarks [NAME...] [--quick]`.

The whole run takes about five minutes, with --quick half a minute.
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
from types import FrameType

from . import bystanders, contention, directory, handover, memory, peers, sharing, startup, uncontended, waiting
from .common import Table, workplace

QUESTIONS: dict[str, Callable[[bool], list[Table]]] = {
    "startup": startup.tables,
    "uncontended": uncontended.tables,
    "handover": handover.tables,
    "waiting": waiting.tables,
    "memory": memory.tables,
    "contention": contention.tables,
    "bystanders": bystanders.tables,
    "sharing": sharing.tables,
    "directory": directory.tables,
}
DESCRIPTORS = 8192


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure what pylock costs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(QUESTIONS)}; by default all")
    parser.add_argument("--quick", action="store_true", help="smaller sizes and fewer rounds")
    chosen = parser.parse_args()
    for name in chosen.names:
        if name not in QUESTIONS:
            parser.error(f"there is no question {name!r}; the questions are {', '.join(QUESTIONS)}")
    return chosen


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
    print(f"Python {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} cores")
    for name in peers.missing():
        print(f"{name} is not installed: skipped")
    for name in chosen.names or QUESTIONS:
        begun = time.monotonic()
        with workplace():
            for table in QUESTIONS[name](chosen.quick):
                print(f"\n{table}", flush=True)
        print(f"({name}: {time.monotonic() - begun:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
