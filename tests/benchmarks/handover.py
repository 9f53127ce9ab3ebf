"""How long it takes from a release until the one that slept for it goes on.

The parent holds the lock, the child waits for it. The time runs from just before the release to the first statement
after the child's grant, on the clock that all processes share.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from random import sample
from time import monotonic_ns, sleep

from .children import PATIENCE, children
from .common import Sample, Table, at_least, at_most, interleaved, micro, times
from .peers import PYLOCK, RAW, Peer, waiting_peers

SETTLED = 0.02
"""Seconds after which the waiter surely sleeps."""


def wait_again_and_again(peer: Peer, path: str, line: Connection) -> None:
    """In the child: when told to, wait for the lock and answer when it was granted."""
    lock = peer.make(path)
    while line.recv():
        with lock:
            granted = monotonic_ns()
        line.send(granted)


@contextmanager
def pair(peer: Peer, rounds: int) -> Iterator[partial[Sample]]:
    """Start the child that waits, and give the measure of one hand-over to it.

    One who polls is met at every moment between two looks: the rounds are spread evenly over them, in no order.
    """
    path = peer.path("handover")
    moments = iter([peer.poll * place / rounds for place in sample(range(rounds), rounds)])
    ours, theirs = Pipe()
    with ours, theirs, children([partial(wait_again_and_again, peer, path, theirs)]):
        yield partial(hand_over, peer, path, ours, moments)


def hand_over(peer: Peer, path: str, line: Connection, moments: Iterator[float]) -> Sample:
    with peer.make(path):
        line.send(True)
        sleep(SETTLED + next(moments))
        released = monotonic_ns()
    if not line.poll(PATIENCE):
        raise TimeoutError(f"the waiter for {peer.name} was never granted the lock")
    return ((line.recv() - released) / 1e9,)


def tables(quick: bool) -> list[Table]:
    rounds = 12 if quick else 50
    with ExitStack() as stack:
        measures = {peer.name: stack.enter_context(pair(peer, rounds)) for peer in waiting_peers()}
        medians = interleaved(rounds, measures)
    cost = {name: sample[0] for name, sample in medians.items()}
    table = Table(
        "Hand-over to one who sleeps",
        ["lock", "median µs", "x raw", "pylock is faster by"],
        "From just before the release to the waiter's next statement. Who polls is met at all moments between looks.",
    )
    for name, seconds in cost.items():
        table.rows.append([name, micro(seconds), times(seconds, cost[RAW.name]), times(seconds, cost[PYLOCK.name])])
    table.verdicts = verdicts(cost)
    return [table]


def verdicts(cost: dict[str, float]) -> list[str]:
    lines = [at_most(f"hand-over of {name}", 4, cost[name] / cost[RAW.name]) for name in ("pylock", "pylock fair")]
    for library in ("filelock", "portalocker"):
        if library in cost:
            lines.append(at_least(f"faster than {library}", 50, cost[library] / cost[PYLOCK.name]))
    return lines
