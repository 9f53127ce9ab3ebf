"""What a shared lock costs by the number of those who share it already.

The holders are this process's own, each with a descriptor of its own, which is all that the kernel looks at. A pool is
a lock whose capacity leaves one unit free. The first ask is of a requester without memory; from then on pylock tries the
units first that it had the last time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from itertools import count as count_up
from time import perf_counter

import pylock

from .common import Sample, Table, interleaved, micro, number, times
from .peers import READ_LOCK, RawLock, installed

RAW = "raw read lock"
AGAIN = "pylock shared"
MANY, FEW = 50, 5
"""Acquisitions in a row: of one who asks again, of one who asks first."""
NO_GROWTH_COUNT = 100

Maker = Callable[[], AbstractContextManager[object]]
_serial = count_up()


def raw(path: str) -> Maker:
    return partial(RawLock, path, READ_LOCK)


def portalocker_shared(path: str) -> Maker:
    import portalocker

    flags = portalocker.LockFlags.SHARED | portalocker.LockFlags.NON_BLOCKING
    return partial(portalocker.Lock, path, mode="a", flags=flags)


def shared(path: str) -> Maker:
    return partial(pylock.lock, path, "shared")


def pool(path: str, holders: int) -> Maker:
    return partial(pylock.lock, path, "shared", capacity=holders + 1)


def again(make: Maker) -> Sample:
    lock = make()
    with lock:
        pass
    begun = perf_counter()
    for _ in range(MANY):
        with lock:
            pass
    return ((perf_counter() - begun) / MANY,)


def first_ask(make: partial[pylock.Lock]) -> Sample:
    """Ask with a reason never given before, for which pylock has nothing remembered."""
    begun = perf_counter()
    for _ in range(FEW):
        with make(reason=f"ask {next(_serial)}"):
            pass
    return ((perf_counter() - begun) / FEW,)
