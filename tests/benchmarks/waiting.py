"""What one costs that waits: how often it wakes, and the CPU time it takes, while nothing happens.

The parent holds every lock for some seconds; children wait for them, all in the same seconds. A wake-up is a voluntary
context switch, getrusage(2), ru_nvcsw: going to sleep once and being granted the lock at the end are among them.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from resource import RUSAGE_SELF, getrusage
from time import monotonic_ns, process_time_ns, sleep

from .children import Gate, children, finish, shared_integers
from .common import Table, at_most, number
from .peers import FAIR, PYLOCK, Peer, waiting_peers

QUEUE = 30
MOST_WAKE_UPS = 10.0


class Waiter:
    """One child that waits, and what it saw meanwhile."""

    def __init__(self, peer: Peer, lock: str, place: int) -> None:
        self.peer = peer
        self.path = peer.path(lock)
        self.own_path = peer.path(f"{lock}-own-{place}")
        self.seen = shared_integers(3)

    @property
    def wake_ups(self) -> float:
        """Voluntary context switches a second."""
        return self.seen[0] / self.seen[2] * 1e9

    @property
    def cpu(self) -> float:
        """CPU time by time."""
        return self.seen[1] / self.seen[2]

    def row(self, title: str) -> list[str]:
        return [title, number(self.wake_ups), number(self.cpu * 1e3)]

    def wait(self, gate: Gate) -> None:
        """In the child. What a process does only once is done before, on a lock that is nobody else's."""
        with self.peer.make(self.own_path):
            pass
        lock = self.peer.make(self.path)
        gate.wait()
        before = spent()
        with lock:
            after = spent()
        for place in range(3):
            self.seen[place] = after[place] - before[place]


def spent() -> tuple[int, int, int]:
    """Return voluntary context switches, and nanoseconds of CPU time and of time."""
    return getrusage(RUSAGE_SELF).ru_nvcsw, process_time_ns(), monotonic_ns()


def watch(waiters: list[Waiter], seconds: float) -> None:
    gate = Gate()
    with children(partial(waiter.wait, gate) for waiter in waiters) as pids:
        with ExitStack() as held:
            for path, peer in {waiter.path: waiter.peer for waiter in waiters}.items():
                held.enter_context(peer.make(path))
            gate.open(len(pids))
            sleep(seconds)
        finish(pids)


def tables(quick: bool) -> list[Table]:
    seconds = 2.0 if quick else 4.0
    alone = [Waiter(peer, "alone", 0) for peer in waiting_peers()]
    queues = {peer: [Waiter(peer, "queue", place) for place in range(QUEUE)] for peer in (PYLOCK, FAIR)}
    watch([*alone, *queues[PYLOCK], *queues[FAIR]], seconds)
    table = Table(
        "Waiting while nothing happens",
        ["who waits", "wake-ups/s", "CPU ms/s"],
        f"Voluntary context switches and CPU time of the waiting process over {seconds:g} s, by the second. Of a queue"
        f" of {QUEUE} the one with the most and the one with the fewest wake-ups are shown.",
    )
    table.rows = [waiter.row(waiter.peer.name) for waiter in alone]
    for peer, queue in queues.items():
        queue.sort(key=lambda waiter: -waiter.wake_ups)
        table.rows.append(queue[0].row(f"{peer.name}, in a queue of {QUEUE}: the most"))
        table.rows.append(queue[-1].row(f"{peer.name}, in a queue of {QUEUE}: the fewest"))
        most = max(waiter.wake_ups for waiter in (*alone, *queue) if waiter.peer is peer)
        table.verdicts.append(at_most(f"whoever waits for {peer.name}", MOST_WAKE_UPS, most, "wake-ups/s"))
    return [table]
