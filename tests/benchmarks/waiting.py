"""What one costs that waits: how often it wakes, and the CPU time it takes, while nothing happens.

The parent holds every lock for some seconds; children wait for them, all in the same seconds. A wake-up is a voluntary
context switch, getrusage(2), ru_nvcsw: going to sleep once and being granted the lock at the end are among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from resource import RUSAGE_SELF, getrusage
from time import process_time_ns, sleep

from .children import Gate, children, finish, shared_integers
from .common import Table, at_most, number
from .peers import FAIR, PYLOCK, Peer, waiting_peers

QUEUE = 10
MOST_WAKE_UPS = 10.0
START = 0.3
"""Seconds that the children get to begin to wait."""


class Waiter:
    """One child that waits, and what it saw: wake-ups and nanoseconds of CPU time."""

    def __init__(self, peer: Peer, path: str, title: str) -> None:
        self.peer = peer
        self.path = path
        self.title = title
        self.seen = shared_integers(2)

    def wait(self, gate: Gate) -> None:
        with self.peer.make(f"{self.title}-warm"):
            pass
        lock = self.peer.make(self.path)
        gate.wait()
        switches, nanoseconds = _spent()
        with lock:
            now = _spent()
        self.seen[0], self.seen[1] = now[0] - switches, now[1] - nanoseconds


def _spent() -> tuple[int, int]:
    return getrusage(RUSAGE_SELF).ru_nvcsw, process_time_ns()


def waiters() -> Iterator[Waiter]:
    for peer in waiting_peers():
        yield Waiter(peer, f"{peer.name}-alone", peer.name)
    for peer in (PYLOCK, FAIR):
        for place in range(QUEUE):
            yield Waiter(peer, f"{peer.name}-queue", f"{peer.name}, one of {QUEUE} ({place})")


def watch(all_waiters: list[Waiter], seconds: float) -> None:
    gate = Gate()
    bodies: list[Callable[[], None]] = [partial(waiter.wait, gate) for waiter in all_waiters]
    with children(bodies) as pids:
        with ExitStack() as held:
            for path, peer in {waiter.path: waiter.peer for waiter in all_waiters}.items():
                held.enter_context(peer.make(path))
            gate.open(len(pids))
            sleep(START + seconds)
        finish(pids)


def tables(quick: bool) -> list[Table]:
    seconds = 2.0 if quick else 4.0
    all_waiters = list(waiters())
    watch(all_waiters, seconds)
    table = Table(
        "Waiting while nothing happens",
        ["who waits", "wake-ups/s", "CPU ms/s"],
        f"Voluntary context switches and CPU time of the waiting process over {seconds:g} s. Of a queue of {QUEUE} the"
        " most and the fewest wake-ups are shown.",
    )
    queues = {
        peer.name: [waiter for waiter in all_waiters if waiter.path == f"{peer.name}-queue"] for peer in (PYLOCK, FAIR)
    }
    for waiter in all_waiters:
        if waiter.path.endswith("-alone"):
            table.rows.append(_row(waiter, waiter.title, seconds))
    for name, queue in queues.items():
        queue.sort(key=lambda waiter: -waiter.seen[0])
        for waiter, which in ((queue[0], "the most"), (queue[-1], "the fewest")):
            table.rows.append(_row(waiter, f"{name}, of a queue of {QUEUE}: {which}", seconds))
    for peer in (PYLOCK, FAIR):
        most = max(waiter.seen[0] for waiter in all_waiters if waiter.peer is peer) / seconds
        table.verdicts.append(at_most(f"wake-ups of anyone who waits for {peer.name}", MOST_WAKE_UPS, most, "a second"))
    return [table]


def _row(waiter: Waiter, title: str, seconds: float) -> list[str]:
    return [title, number(waiter.seen[0] / seconds), number(waiter.seen[1] / 1e6 / seconds)]
