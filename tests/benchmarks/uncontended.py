"""What a lock costs that nobody else wants: taking and letting go, with and without building the object.

Each round takes every subject a few hundred times in a row. The floor is two fcntl calls on an open descriptor.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from functools import partial
from time import perf_counter

import pylock

from .common import Sample, Table, at_least, at_most, interleaved, micro, times
from .peers import PYLOCK, UNLOCK, WRITE_LOCK, Peer, flock, libraries

FLOOR = "raw F_OFD_SETLK, lock and unlock"
PACKING = "the same, each flock packed anew"
COLD = "pylock, new, a lock file not used lately"
COLD_NAMES = 2000
"""So many that a descriptor that pylock kept open has been closed when its lock's turn comes again."""


def raw(fd: int, count: int) -> Sample:
    setlk, call = fcntl.F_OFD_SETLK, fcntl.fcntl
    begun = perf_counter()
    for _ in range(count):
        call(fd, setlk, WRITE_LOCK)
        call(fd, setlk, UNLOCK)
    return ((perf_counter() - begun) / count,)


def raw_packing(fd: int, count: int) -> Sample:
    setlk, call, locked, unlocked = fcntl.F_OFD_SETLK, fcntl.fcntl, fcntl.F_WRLCK, fcntl.F_UNLCK
    begun = perf_counter()
    for _ in range(count):
        call(fd, setlk, flock(locked))
        call(fd, setlk, flock(unlocked))
    return ((perf_counter() - begun) / count,)


def new_each_time(peer: Peer, path: str, count: int) -> Sample:
    make = peer.make
    begun = perf_counter()
    for _ in range(count):
        with make(path):
            pass
    return ((perf_counter() - begun) / count,)


def reused(peer: Peer, path: str, count: int) -> Sample:
    lock = peer.make(path)
    with lock:
        pass
    begun = perf_counter()
    for _ in range(count):
        with lock:
            pass
    return ((perf_counter() - begun) / count,)


def cold(names: list[str]) -> Sample:
    begun = perf_counter()
    for name in names:
        with pylock.lock(name):
            pass
    return ((perf_counter() - begun) / len(names),)


def subjects(fd: int, count: int) -> dict[str, Callable[[], Sample]]:
    names = [f"cold-{place}" for place in range(COLD_NAMES)]
    cold(names)  # makes the files
    found: dict[str, Callable[[], Sample]] = {
        FLOOR: partial(raw, fd, count),
        PACKING: partial(raw_packing, fd, count),
        COLD: partial(cold, names),
    }
    for peer in (PYLOCK, *libraries()):
        found[f"{peer.name}, new"] = partial(new_each_time, peer, peer.path("new"), count)
        if peer.waits:
            found[f"{peer.name}, reused"] = partial(reused, peer, peer.path("reused"), count)
    return found


def verdicts(cost: dict[str, float]) -> list[str]:
    new, floor = cost["pylock, new"], cost[FLOOR]
    lines = [
        at_most('with pylock.lock("x")', 6, new / floor),
        at_most("with a Lock that is reused", 5, cost["pylock, reused"] / floor),
    ]
    for library, least in (("portalocker", 2), ("fasteners", 2), ("filelock", 12)):
        if (other := f"{library}, new") in cost:
            lines.append(at_least(f"faster than {library}, both new", least, cost[other] / new))
    return lines


def tables(quick: bool) -> list[Table]:
    with open("floor", "a+b") as file:
        medians = interleaved(12 if quick else 50, subjects(file.fileno(), 200))
    cost = {subject: sample[0] for subject, sample in medians.items()}
    table = Table(
        "Uncontended: acquire and release",
        ["lock", "µs", "x raw", "pylock new is faster by"],
        f"Medians of rounds by turns, each 200 in a row. The row for a lock file not used lately goes through"
        f" {COLD_NAMES} locks, so that none of their descriptors is still open from the time before.",
    )
    for subject, seconds in sorted(cost.items(), key=lambda pair: pair[1]):
        table.rows.append([subject, micro(seconds), times(seconds, cost[FLOOR]), times(seconds, cost["pylock, new"])])
    table.verdicts = verdicts(cost)
    return [table]
