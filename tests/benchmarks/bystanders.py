"""Whether a hand-over gets dearer the more others wait, when none of these others gets the lock.

Two processes hand a lock to each other, each holding it asleep for 2 ms, while N more wait at the lowest priority. In
`contention` the many take part; here only what their being there costs is measured. Only pylock has priorities, so
there is nothing to compare with but the same with one bystander. With none at all, policy shared-first lets each of
the two take the lock twice running.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from time import monotonic, monotonic_ns, process_time_ns, sleep

import pylock

from .children import PATIENCE, children, cpu_seconds, finish, shared_integers
from .common import NO_GROWTH, Sample, Table, at_most, interleaved, micro, number, times

POLICIES = ("shared-first", "fair")
LOWEST = -63
HOLD = 0.002
"""Seconds: long enough that the other one waits again, and has made newcomers queue up behind it."""
BYSTANDER = 3
"""Who held the lock last: 1 or 2 is one of the two, 0 the parent."""


class Scene:
    """Two that hand over, the bystanders, and the numbers that all of them share."""

    def __init__(self, policy: str, count: int, seconds: float) -> None:
        self.policy = policy
        self.count = count
        self.seconds = seconds
        self.name = f"bystanders-{policy}-{count}"
        self.last = shared_integers(1)
        self.deadline = shared_integers(1)
        self.hand_overs = shared_integers(2)
        self.intrusions = shared_integers(2)
        self.nanoseconds = shared_integers(2)

    def run(self) -> Sample:
        """Return CPU seconds a hand-over, hand-overs a second, CPU of each bystander by time, intrusions."""
        self.last[0] = 0
        with ExitStack() as stack:
            # Not by a with block: a child forked inside one would be told that waiting for it is a deadlock.
            with ExitStack() as held:
                held.callback(pylock.lock(self.name, policy=self.policy).acquire().release)
                bystanders = stack.enter_context(children([self.stand_by] * self.count))
                self.until_waiting(self.count)
                two = stack.enter_context(children([partial(self.take_part, 1), partial(self.take_part, 2)]))
                self.until_waiting(self.count + 2)
                self.deadline[0] = monotonic_ns() + round(self.seconds * 1e9)
                before, begun = cpu_seconds(bystanders), monotonic()
            finish(two)
            each = (cpu_seconds(bystanders) - before) / (monotonic() - begun) / self.count
        count = sum(self.hand_overs)
        return sum(self.nanoseconds) / 1e9 / max(count, 1), count / self.seconds, each, float(sum(self.intrusions))

    def until_waiting(self, count: int) -> None:
        deadline = monotonic() + PATIENCE
        while len(pylock.inspect(self.name).waiters) < count:
            if monotonic() > deadline:
                raise TimeoutError(f"{count} processes do not get to wait for {self.name}")
            sleep(0.05)

    def stand_by(self) -> None:
        """In a child: wait until killed; note it if the lock was granted after all."""
        lock = pylock.lock(self.name, policy=self.policy, priority=LOWEST)
        while True:
            with lock:
                self.last[0] = BYSTANDER
                sleep(HOLD)

    def take_part(self, me: int) -> None:
        """In a child: take turns with the other one until the time is up."""
        lock = pylock.lock(self.name, policy=self.policy)
        hand_overs = intrusions = before = now = 0
        while now < self.deadline[0] or not before:
            with lock:
                before = before or process_time_ns()
                hand_overs += self.last[0] == 3 - me
                intrusions += self.last[0] == BYSTANDER
                self.last[0] = me
                sleep(HOLD)
                now = monotonic_ns()
        self.nanoseconds[me - 1] = process_time_ns() - before
        self.hand_overs[me - 1], self.intrusions[me - 1] = hand_overs, intrusions


def tables(quick: bool) -> list[Table]:
    counts, seconds, rounds = ((1, 10, 100), 0.5, 1) if quick else ((1, 10, 100, 500), 0.8, 3)
    found = interleaved(
        rounds, {(policy, count): Scene(policy, count, seconds).run for policy in POLICIES for count in counts}
    )
    table = Table(
        "Hand-overs between two, while others only wait",
        [
            "policy and bystanders",
            "CPU µs/hand-over",
            "x with one",
            "hand-overs/s",
            "bystander CPU ms/s",
            "intrusions",
        ],
        f"CPU time of the two that hand over, {HOLD * 1e3:g} ms of sleep inside the lock; the bystanders wait at"
        f" priority {LOWEST}, and what they spend while waiting is shown for each of them by itself. Intrusions: how"
        " often a bystander got the lock between the two.",
    )
    for (policy, count), (cost, rate, each, intrusions) in found.items():
        alone = found[policy, counts[0]][0]
        table.rows.append(
            [
                f"{count:3} {policy}",
                micro(cost),
                times(cost, alone),
                number(rate),
                number(each * 1e3),
                number(intrusions),
            ]
        )
    for policy in POLICIES:
        growth = found[policy, counts[-1]][0] / found[policy, counts[0]][0]
        table.verdicts.append(
            at_most(f"{policy}: CPU per hand-over, {counts[-1]} bystanders by {counts[0]}", NO_GROWTH, growth)
        )
    return [table]
