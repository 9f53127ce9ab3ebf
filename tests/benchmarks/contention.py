"""How a lock holds up when many processes want it all the time: operations, CPU time, and how evenly they are served.

Every process takes the lock, works 20 µs by the clock, lets go, and begins again until the time is up. All of them end
with one more operation, as each waits when the time is up; it counts for the CPU time but not for the rate.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic_ns, process_time_ns, sleep

from .children import Gate, children, finish, shared_integers
from .common import NO_GROWTH, Sample, Table, at_least, at_most, interleaved, micro, number, times
from .peers import FAIR, PYLOCK, RAW, Peer, waiting_peers

WORK = 20_000
"""Nanoseconds of work inside the lock."""
HEAD_START = 50_000_000
"""Nanoseconds from the opening of the gate until the first goes."""
FAIR_ENOUGH, FAIR_COUNT = 0.99, 100

Cell = tuple[str, int]
"""A lock and the number of processes."""


class Crowd:
    """Processes that contend for one lock, and what each of them did."""

    def __init__(self, peer: Peer, count: int, seconds: float) -> None:
        self.peer = peer
        self.count = count
        self.seconds = seconds
        self.path = f"{peer.name}-{count}"

    def run(self) -> Sample:
        """Return operations a second, CPU seconds an operation, and Jain's index of fairness."""
        self.gate = Gate()
        self.begin = shared_integers(1)
        self.in_time = shared_integers(self.count)
        self.nanoseconds = shared_integers(self.count)
        self.done = shared_integers(self.count)
        with children(partial(self.contend, place) for place in range(self.count)) as pids:
            self.gate.open(self.count, self.set_begin)
            finish(pids)
        return sum(self.in_time) / self.seconds, sum(self.nanoseconds) / 1e9 / sum(self.done), jain(list(self.in_time))

    def set_begin(self) -> None:
        self.begin[0] = monotonic_ns() + HEAD_START

    def contend(self, place: int) -> None:
        """In a child. What a process does only once is done before, on a lock that is nobody else's."""
        with self.peer.make(f"{self.peer.name}-own-{place}"):
            pass
        lock = self.peer.make(self.path)
        self.gate.wait()
        sleep(max(0, self.begin[0] - monotonic_ns()) / 1e9)
        deadline = self.begin[0] + round(self.seconds * 1e9)
        before, done, now = process_time_ns(), 0, 0
        while now < deadline:
            with lock:
                now = work()
            done += 1
        self.nanoseconds[place] = process_time_ns() - before
        self.done[place] = done
        self.in_time[place] = done - 1


def work() -> int:
    """Return the time after the work."""
    end = monotonic_ns() + WORK
    while (now := monotonic_ns()) < end:
        pass
    return now


def jain(shares: list[int]) -> float:
    """Return 1.0 if all have the same share, 1/n if one has all.

    Source: R. Jain, D. Chiu, W. Hawe, "A Quantitative Measure of Fairness and Discrimination", DEC TR-301, 1984.
    """
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 0.0


def tables(quick: bool) -> list[Table]:
    counts, seconds, rounds = ((2, 8, 32), 0.2, 1) if quick else ((2, 8, 32, 100, 500), 0.8, 3)
    found = {}
    for count in counts:
        measures: dict[Cell, Callable[[], Sample]] = {
            (peer.name, count): Crowd(peer, count, seconds).run for peer in waiting_peers()
        }
        found |= interleaved(rounds, measures)
    table = Table(
        "Contention: processes that all want one lock, 20 µs of work",
        ["lock and processes", "operations/s", "x raw", "CPU µs/op", "x raw", "Jain"],
        f"Medians of {rounds} rounds by turns, {seconds:g} s each. Here everybody takes part, so each operation is a"
        " hand-over, or one process being faster than the others. CPU time is of all processes together, in the"
        " lock, at work and looking at the clock; the 20 µs are part of it.",
    )
    for (name, count), (rate, cpu, fairness) in found.items():
        raw_rate, raw_cpu, _ = found[RAW.name, count]
        table.rows.append(
            [
                f"{count:3} {name}",
                number(rate),
                times(rate, raw_rate),
                micro(cpu),
                times(cpu, raw_cpu),
                f"{fairness:.3f}",
            ]
        )
    table.verdicts = verdicts(found, counts)
    return [table]


def verdicts(found: dict[Cell, Sample], counts: tuple[int, ...]) -> list[str]:
    few, many = 8, counts[-1]
    lines = [
        at_most(
            f"{peer.name}: CPU per operation with {many} processes, by that with {few}",
            NO_GROWTH,
            found[peer.name, many][1] / found[peer.name, few][1],
        )
        for peer in (PYLOCK, FAIR)
    ]
    if FAIR_COUNT in counts:
        lines.append(
            at_least(f"Jain of {FAIR.name}, {FAIR_COUNT} processes", FAIR_ENOUGH, found[FAIR.name, FAIR_COUNT][2], "")
        )
    return lines
