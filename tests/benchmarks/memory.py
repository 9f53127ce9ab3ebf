"""How much memory a thread takes that waits for a lock: the growth of a process's resident set, by thread.

The parent holds the lock; threads of a child wait for it until the child is killed. The floor is a thread that
waits for an event of the threading module.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from time import sleep

from .children import PATIENCE, children
from .common import Sample, Table, interleaved, number, times
from .peers import Peer, waiting_peers

FLOOR = "threading.Event, no lock"
SETTLED = 0.5
"""Seconds that the threads get to wait in earnest after the last one began."""


def resident() -> int:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise LookupError("no Rss in smaps_rollup")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def wait_in_threads(wait: Callable[[], object], count: int, line: Connection) -> None:
    """In a child: let so many threads wait, and tell the growth by thread in bytes and open descriptors."""
    memory, open_before = resident(), descriptors()
    for _ in range(count):
        threading.Thread(target=wait, daemon=True).start()
    sleep(SETTLED)
    line.send(((resident() - memory) / count, (descriptors() - open_before) / count))
    sleep(PATIENCE)


def wait_for(peer: Peer, path: str) -> None:
    with peer.make(path):
        pass


def measure(wait: Callable[[], object], peer: Peer | None, count: int) -> Sample:
    ours, theirs = Pipe()
    held = peer.make(peer.path("memory")) if peer else nullcontext()
    with ours, theirs, held, children([partial(wait_in_threads, wait, count, theirs)]):
        if not ours.poll(PATIENCE):
            raise TimeoutError("the threads do not get to wait")
        growth: Sample = ours.recv()
    return growth


def tables(quick: bool) -> list[Table]:
    count, rounds = (50, 1) if quick else (200, 3)
    measures = {FLOOR: partial(measure, threading.Event().wait, None, count)}
    for peer in waiting_peers():
        measures[peer.name] = partial(measure, partial(wait_for, peer, peer.path("memory")), peer, count)
    found = interleaved(rounds, measures)
    table = Table(
        "Memory of a thread that waits",
        ["what it waits for", "KiB", "x no lock", "descriptors"],
        f"Growth of the resident set of a process with {count} threads that wait for the same lock, by thread; and how"
        " many descriptors each has open meanwhile.",
    )
    for name, (size, opened) in found.items():
        table.rows.append([name, number(size / 1024), times(size, found[FLOOR][0]), number(opened)])
    return [table]
