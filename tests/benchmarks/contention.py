"""How a lock holds up when many processes want it: operations, CPU time, and how evenly they are served.

Every process takes the lock, works 20 µs by the clock, lets go, and begins again until it is killed; or it sleeps
between two turns, as one does that has other things to do. Once the crowd has sorted itself, the parent looks twice: at
the operations that each has counted, and at the CPU time that the kernel has.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic, sleep

from .children import Gate, children, cpu_seconds, shared_integers
from .common import NO_GROWTH, Sample, Table, at_most, interleaved, micro, number, times, verdict
from .peers import FAIR, PYLOCK, RAW, Peer, waiting_peers

WORK = 20e-6
"""Seconds of work inside the lock."""
LOADS = ((8, 1e-3, 50e-6), (8, 1e-3, 200e-6), (32, 5e-3, 50e-6))
"""Processes, seconds that each sleeps between two turns, seconds of work inside the lock."""
SORTING, SORTING_EACH = 0.2, 0.002
"""Seconds until the crowd is looked at: for all, and more for each process."""
FAIR_ENOUGH, FAIR_COUNT = 0.99, 100

Cell = tuple[str, int]
"""A lock and the number of processes."""


class Crowd:
    """Processes that contend for one lock."""

    def __init__(self, peer: Peer, count: int, seconds: float, pause: float = 0.0, work: float = WORK) -> None:
        self.peer = peer
        self.count = count
        self.seconds = seconds
        self.pause = pause
        self.work = work
        self.path = peer.path(f"crowd-{count}")
        self.done = shared_integers(count)

    def run(self) -> Sample:
        """Return operations a second, CPU seconds an operation, and Jain's index of fairness."""
        gate = Gate()
        with children(partial(self.contend, gate, place) for place in range(self.count)) as pids:
            gate.open(self.count)
            sleep(SORTING + SORTING_EACH * self.count)
            done, cpu, begun = list(self.done), cpu_seconds(pids), monotonic()
            sleep(self.seconds)
            lasted, cpu = monotonic() - begun, cpu_seconds(pids) - cpu
            shares = [after - before for after, before in zip(self.done, done, strict=True)]
        return sum(shares) / lasted, cpu / max(sum(shares), 1), jain(shares)

    def contend(self, gate: Gate, place: int) -> None:
        """In a child: want the lock until killed. What is done once in a process is done before, on another lock."""
        with self.peer.make(self.peer.path(f"own-{place}")):
            pass
        lock = self.peer.make(self.path)
        done, pause, seconds = self.done, self.pause, self.work
        gate.wait()
        while True:
            with lock:
                work(seconds)
            done[place] += 1
            if pause:
                sleep(pause)


def work(seconds: float) -> None:
    end = monotonic() + seconds
    while monotonic() < end:
        pass


def jain(shares: list[int]) -> float:
    """Return 1.0 if all have the same share, 1/n if one has all.

    Source: R. Jain, D. Chiu, W. Hawe, "A Quantitative Measure of Fairness and Discrimination", DEC TR-301, 1984.
    """
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 0.0


def tables(quick: bool) -> list[Table]:
    counts, seconds, rounds = ((2, 8, 32), 0.2, 1) if quick else ((2, 8, 32, 100, 500), 0.6, 3)
    found: dict[Cell, Sample] = {}
    for count in counts:
        measures: dict[Cell, Callable[[], Sample]] = {
            (peer.name, count): Crowd(peer, count, seconds).run for peer in waiting_peers()
        }
        found |= interleaved(rounds, measures)
    table = Table(
        "Contention: processes that all want one lock, 20 µs of work",
        ["lock and processes", "operations/s", "x raw", "CPU µs/op", "x raw", "Jain"],
        f"Medians of {rounds} rounds by turns, {seconds:g} s each. Here everybody takes part: under fair each operation"
        " is a hand-over, elsewhere many are one process taking the lock twice running. CPU time is of all processes"
        " together, in the lock, at the 20 µs of work, and in vain. Where each gets but a few turns in that time,"
        " as 500 do under fair, Jain stays below 1 for that alone.",
    )
    for (name, count), (rate, cpu, fairness) in found.items():
        raw_rate, raw_cpu, _ = found[RAW.name, count]
        numbers = [number(rate), times(rate, raw_rate), micro(cpu), times(cpu, raw_cpu), f"{fairness:.3f}"]
        table.rows.append([f"{count:3} {name}", *numbers])
    table.verdicts = verdicts(found, counts)
    return [table, loads(seconds, rounds)]


def loads(seconds: float, rounds: int) -> Table:
    """The same of processes that sleep between two turns."""
    table = Table(
        "Load: processes that want one lock now and then",
        ["processes, pause, work, lock", "operations/s", "x raw", "CPU µs/op", "x raw", "Jain"],
        f"Medians of {rounds} rounds by turns, {seconds:g} s each.",
    )
    for count, pause, inside in LOADS:
        found = interleaved(
            rounds, {peer.name: Crowd(peer, count, seconds, pause, inside).run for peer in waiting_peers()}
        )
        for name, (rate, cpu, fairness) in found.items():
            what = f"{count:2}, {pause * 1e3:g} ms, {inside * 1e6:g} µs, {name}"
            numbers = [number(rate), times(rate, found[RAW.name][0]), micro(cpu), times(cpu, found[RAW.name][1])]
            table.rows.append([what, *numbers, f"{fairness:.3f}"])
    return table


def verdicts(found: dict[Cell, Sample], counts: tuple[int, ...]) -> list[str]:
    few, many = 8, counts[-1]
    growth = {peer.name: found[peer.name, many][1] / found[peer.name, few][1] for peer in (RAW, PYLOCK, FAIR)}
    lines = []
    for peer in (PYLOCK, FAIR):
        what = f"{peer.name}: CPU per operation, {many} processes by {few} (raw {number(growth[RAW.name])} x)"
        lines.append(at_most(what, NO_GROWTH, growth[peer.name]))
    if FAIR_COUNT in counts:
        fairness = found[FAIR.name, FAIR_COUNT][2]
        what, target = f"{FAIR.name}: Jain, {FAIR_COUNT} processes", f">= {FAIR_ENOUGH}"
        lines.append(verdict(what, target, f"{fairness:.3f}", fairness >= FAIR_ENOUGH))
    return lines
