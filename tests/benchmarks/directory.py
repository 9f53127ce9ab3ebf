"""How long it takes to look at a directory of ten thousand locks, while none, a hundred or a thousand are held.

The floor opens, reads and closes every file, which nobody who looks at them all can do without.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from time import perf_counter

import pylock

from .common import Sample, Table, at_most, interleaved, number, times

FILES = 10_000
MOST_SECONDS = 1.0


def make_files(directory: str) -> float:
    """Use every lock once; return the seconds it takes each."""
    begun = perf_counter()
    for place in range(FILES):
        with pylock.lock(f"job-{place}", directory=directory):
            pass
    return (perf_counter() - begun) / FILES


def look(directory: str) -> Sample:
    begun = perf_counter()
    found = pylock.status(directory)
    lasted = perf_counter() - begun
    assert len(found) == FILES
    return (lasted,)


def read_all(directory: str) -> Sample:
    begun = perf_counter()
    for entry in os.scandir(directory):
        fd = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
        os.pread(fd, 4096, 0)
        os.close(fd)
    return (perf_counter() - begun,)


def tables(quick: bool) -> list[Table]:
    rounds = 2 if quick else 5
    directory = os.path.abspath("many")
    os.mkdir(directory, 0o700)
    each = make_files(directory)
    table = Table(
        f"Status of a directory with {FILES:,} lock files",
        ["held", "status s", "read all s", "x read all"],
        f"Making the lock files, each by its first use, took {each * 1e6:.0f} µs a lock.",
    )
    with ExitStack() as held:
        for count in (0, 100, 1000):
            for place in range(count):
                held.enter_context(pylock.lock(f"job-{place}", "shared", directory=directory))
            found = interleaved(rounds, {"status": partial(look, directory), "read": partial(read_all, directory)})
            seconds, floor = found["status"][0], found["read"][0]
            table.rows.append([f"{count:,}", number(seconds), number(floor), times(seconds, floor)])
            table.verdicts.append(at_most(f"status, {count:,} of them held", MOST_SECONDS, seconds, "s"))
    return [table]
