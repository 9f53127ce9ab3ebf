"""A model machine: contenders with descriptors of their own against a plain-Python lock.

The contenders do not sleep. Each one's wait is a generator that the machine drives by hand, so that every interleaving
of steps that Hypothesis thinks of is really taken. `settle` then goes round until nobody moves any more, and who holds
must be who holds in the model.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import pylock
from pylock import _modes as modes
from pylock._acquiring import claim, waiting
from pylock._acquiring.place import Place
from pylock._file import descriptors

MODES = ["NL", "CR", "CW", "PR", "PW", "EX"]
names = itertools.count()


@dataclass(eq=False)
class Contender:
    """One request, in the lock and in the model."""

    claim: claim.Claim
    mode: str
    weight: int
    priority: int
    arrival: int
    steps: Any = None
    token: int = 0
    sleeps: list[float] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<{self.arrival}: {self.mode} weight {self.weight} priority {self.priority}>"


def compatible(asked: Contender, holders: list[Contender], capacity: int) -> bool:
    """The rule of the model: matrix, capacity, closed."""
    if asked.mode == "NL":
        return True
    if capacity == 0 or any(asked.mode not in modes.rule_of(holder.mode).compatible for holder in holders):
        return False
    used = sum(holder.weight for holder in holders if holder.mode == "PR")
    return asked.mode != "PR" or used + asked.weight <= capacity


class LockMachine(RuleBasedStateMachine):
    policy = "shared-first"

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.mkdtemp(prefix="pylock-model-")
        self.name = f"lock{next(names)}"
        self.holders: list[Contender] = []
        self.waiters: list[Contender] = []
        self.capacity = pylock.UNLIMITED
        self.arrivals = itertools.count()
        self.last_token = 0
        self.patches = [mock.patch.object(waiting, "PATIENCE", 0.0)]
        for patch in self.patches:
            patch.start()

    @initialize(capacity=st.sampled_from([1, 3, pylock.UNLIMITED]))
    def begin(self, capacity: int) -> None:
        self.capacity = capacity
        pylock.define(self.name, capacity=capacity, policy=self.policy, directory=self.directory)

    def new(self, mode: str, weight: int, priority: int) -> Contender:
        weight = weight if mode == "PR" and self.capacity != pylock.UNLIMITED else 1
        lock = pylock.lock(self.name, mode, weight=weight, priority=priority, directory=self.directory)
        return Contender(lock.new_claim(), mode, weight, priority, next(self.arrivals))

    @rule(
        modes=st.lists(st.sampled_from([*MODES, "PR", "EX"]), min_size=1, max_size=3),
        weight=st.integers(1, 3),
        priority=st.integers(0, 1),
    )
    def arrive(self, modes: list[str], weight: int, priority: int) -> None:
        for mode in modes:
            self.ask(mode, weight, priority)

    @rule(weights=st.lists(st.integers(1, 3), min_size=2, max_size=5))
    def arrive_shared(self, weights: list[int]) -> None:
        for weight in weights:
            self.ask("PR", weight, 0)

    def ask(self, mode: str, weight: int, priority: int) -> None:
        contender = self.new(mode, weight, priority)
        may = compatible(contender, self.holders, self.capacity)
        if contender.claim.take():
            assert may, "granted against the model"
            self.granted(contender)
            return
        assert not may or self.waiters, "refused although the lock is free and nobody waits"
        contender.steps = waiting.wait(contender.claim.fd, contender.claim.request, None)
        self.waiters.append(contender)
        if self.step(contender, None):
            self.waiters.remove(contender)
        self.settle()

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        contender = data.draw(st.sampled_from(self.holders))
        self.holders.remove(contender)
        contender.claim.release()
        self.settle()

    @precondition(lambda self: self.holders or self.waiters)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """Close without release, as the kernel does for a killed process."""
        contender = data.draw(st.sampled_from(self.holders + self.waiters))
        (self.holders if contender in self.holders else self.waiters).remove(contender)
        descriptors.close(contender.claim.fd)
        contender.claim.fd = -1
        if contender.steps is not None:
            with mock.patch.object(Place, "_leave_queue"):
                contender.steps.close()
        self.settle()

    @precondition(lambda self: self.waiters)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        contender = data.draw(st.sampled_from(self.waiters))
        self.waiters.remove(contender)
        contender.steps.close()
        contender.claim.close()
        self.settle()

    @rule(capacity=st.sampled_from([0, 1, 2, 3, 4, 5, pylock.UNLIMITED]))
    def define(self, capacity: int) -> None:
        self.capacity = capacity
        pylock.define(self.name, capacity=capacity, directory=self.directory)
        self.settle()

    def step(self, contender: Contender, rung: bool | None) -> bool:
        """Let the waiter look once; tell whether it left the queue."""
        may = compatible(contender, self.holders, self.capacity)
        try:
            _, seconds = next(contender.steps) if rung is None else contender.steps.send(rung)
        except StopIteration as stop:
            contender.claim.grant = stop.value
            contender.steps = None
            assert may, f"{contender} was granted against the model, beside {self.holders}"
            self.granted(contender)
            return True
        except pylock.DefinitionMismatch:
            assert contender.mode == "PR"
            assert 0 < self.capacity < contender.weight
            contender.claim.close()
            return True
        contender.sleeps.append(seconds)
        return False

    def granted(self, contender: Contender) -> None:
        self.holders.append(contender)
        contender.token = contender.claim.grant.token
        if contender.mode in ("PW", "EX"):
            assert contender.token > self.last_token
            self.last_token = contender.token

    def settle(self) -> None:
        """Ring everybody, in an order that favours nobody, until nobody is granted any more."""
        moved = True
        while moved:
            moved = False
            for contender in list(reversed(self.waiters)):
                if self.step(contender, True):
                    self.waiters.remove(contender)
                    moved = True

    @invariant()
    def first_in_turn_is_not_kept_waiting(self) -> None:
        """Nobody who is first in the queue, and fits, is still there after all have looked."""
        if not self.waiters:
            return
        first = min(self.waiters, key=lambda waiter: (-waiter.priority, waiter.arrival))
        assert not compatible(first, self.holders, self.capacity), f"{first} could be granted beside {self.holders}"

    @invariant()
    def units_and_status_agree_with_the_model(self) -> None:
        seen = pylock.inspect(self.name, self.directory)
        assert sorted(holder.mode.code for holder in seen.holders) == sorted(holder.mode for holder in self.holders)
        assert seen.used == sum(holder.weight for holder in self.holders if holder.mode == "PR")
        expected = sorted(self.waiters, key=lambda waiter: (-waiter.priority, waiter.arrival))
        assert [waiter.mode.code for waiter in seen.waiters] == [waiter.mode for waiter in expected]

    def teardown(self) -> None:
        for contender in self.waiters:
            contender.steps.close()
            contender.claim.close()
        for contender in self.holders:
            contender.claim.release()
        for patch in self.patches:
            patch.stop()
        shutil.rmtree(self.directory)


class FairLockMachine(LockMachine):
    policy = "fair"

    @invariant()
    def nobody_passed_an_earlier_waiter(self) -> None:
        for waiter in self.waiters:
            for holder in self.holders:
                passed = holder.arrival > waiter.arrival and holder.priority <= waiter.priority
                assert not passed or holder.mode == "NL", f"{holder} passed {waiter}"


MACHINE = settings(
    max_examples=80, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
TestSharedFirst = LockMachine.TestCase
TestSharedFirst.settings = MACHINE
TestFair = FairLockMachine.TestCase
TestFair.settings = MACHINE
