"""What the other kinds of locks cost, taken and let go with nobody else about, in plain locks.

Sequences and timestamps wait for the disk at each grant: --in DIRECTORY puts the lock files on the one that counts.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from time import perf_counter
from typing import Any

import pylock

from .common import Sample, Table, interleaved, micro, times

PLAIN = "lock, exclusive"
SHARED = "lock, shared"


def take(lock: AbstractContextManager[Any], count: int) -> Sample:
    begun = perf_counter()
    for _ in range(count):
        with lock:
            pass
    return ((perf_counter() - begun) / count,)


def convert(count: int) -> Sample:
    with pylock.lock("converted") as hold:
        begun = perf_counter()
        for _ in range(count):
            hold.convert("shared")
            hold.convert("exclusive")
        return ((perf_counter() - begun) / count,)


def tables(quick: bool) -> list[Table]:
    locks: dict[str, AbstractContextManager[Any]] = {
        PLAIN: pylock.lock("plain"),
        SHARED: pylock.lock("shared", "shared"),
        "two with all_of": pylock.all_of(pylock.lock("one"), pylock.lock("two")),
        "element of a pool of ten": pylock.pool("pool", [f"element{number}" for number in range(10)]),
        "path of one level": pylock.path_lock("/a"),
        "path of five levels": pylock.path_lock("/a/b/c/d/e"),
        "number of a sequence": pylock.sequence("sequence"),
        "number, transactional": pylock.sequence("transactional", transactional=True),
        "timestamp to the microsecond": pylock.timestamp("timestamp", "%Y%m%d-%H%M%S.#ffffff"),
    }
    count = 20
    subjects = {what: partial(take, lock, count) for what, lock in locks.items()}
    subjects["exclusive to shared and back"] = partial(convert, count)
    medians = interleaved(10 if quick else 50, subjects)
    table = Table(
        "Other kinds: acquire and release",
        ["kind", "µs", "x exclusive lock"],
        f"Medians of rounds by turns, each {count} in a row.",
    )
    for what, (seconds,) in medians.items():
        table.rows.append([what, micro(seconds), times(seconds, medians[PLAIN][0])])
    return [table]
