"""What a shared lock costs by the number of those who share it already.

The holders are this process's own, each with a descriptor of its own, which is all that the kernel looks at. A pool is
a lock whose capacity leaves one unit free. The first ask is of a requester without memory; from then on pylock tries
the units first that it had the last time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from itertools import count as serial_numbers
from time import perf_counter

import pylock

from .common import Sample, Table, interleaved, micro, times
from .peers import READ_LOCK, RawLock, installed

RAW, SHARED = "raw read lock", "pylock shared"
MANY, FEW = 50, 5
"""Acquisitions in a row: of one who asks again, of one who asks first."""

Maker = Callable[..., AbstractContextManager[object]]
Cell = tuple[str, int]
"""A kind of lock and the number of holders."""

_serials = serial_numbers()


def makers(holders: int) -> dict[str, Maker]:
    """Return what makes each kind of shared lock, on a path that is for this number of holders."""
    found: dict[str, Maker] = {RAW: partial(RawLock, f"raw-{holders}", READ_LOCK)}
    if "portalocker" in installed():
        import portalocker

        flags = portalocker.LockFlags.SHARED | portalocker.LockFlags.NON_BLOCKING
        found["portalocker shared"] = partial(
            portalocker.Lock, os.path.abspath(f"portalocker-{holders}"), mode="a", flags=flags
        )
    found[SHARED] = partial(pylock.lock, f"shared-{holders}", "shared")
    found["pylock pool"] = partial(pylock.lock, f"pool-{holders}", "shared", capacity=holders + 1)
    return found


def again(make: Maker) -> Sample:
    lock = make()
    with lock:
        pass
    begun = perf_counter()
    for _ in range(MANY):
        with lock:
            pass
    return ((perf_counter() - begun) / MANY,)


def first_ask(make: Maker) -> Sample:
    """Ask with a reason never given before, for which pylock has nothing remembered."""
    begun = perf_counter()
    for _ in range(FEW):
        with make(reason=f"ask {next(_serials)}"):
            pass
    return ((perf_counter() - begun) / FEW,)


def measures(stack: ExitStack, holders: int) -> dict[Cell, Callable[[], Sample]]:
    """Let so many hold each kind of lock, and return what measures one more."""
    found: dict[Cell, Callable[[], Sample]] = {}
    for kind, make in makers(holders).items():
        for _ in range(holders):
            stack.enter_context(make())
        found[kind, holders] = partial(again, make)
        if kind.startswith("pylock"):
            found[f"{kind}, first ask", holders] = partial(first_ask, make)
    return found


def tables(quick: bool) -> list[Table]:
    with ExitStack() as stack:
        cells: dict[Cell, Callable[[], Sample]] = {}
        for holders in (0, 10, 100, 1000):
            cells |= measures(stack, holders)
        found = interleaved(5 if quick else 20, cells)
    table = Table(
        "Sharing: one more holder, by the number of present ones",
        ["holders", "µs", "x raw", "x without holders"],
        f"Medians of rounds by turns, {MANY} acquisitions in a row, {FEW} of a first ask, which includes looking the"
        " request over for the first time. The raw one opens no file either; portalocker opens its file each time.",
    )
    for (kind, holders), (seconds,) in found.items():
        floor, alone = found[RAW, holders][0], found[kind, 0][0]
        table.rows.append([f"{holders:4} {kind}", micro(seconds), times(seconds, floor), times(seconds, alone)])
    return [table]
