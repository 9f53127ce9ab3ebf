"""The schedule explorer, a short run; `make explore` goes through all schedules."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer.mutants import MUTANTS, Mutant
from explorer.scenarios import SCENARIOS, Scenario
from explorer.search import read, replay, search
from explorer.system import FREE, LAST, READ, WRITE, Locks

CODES = {READ: fcntl.F_RDLCK, WRITE: fcntl.F_WRLCK, FREE: fcntl.F_UNLCK}
CHANGES = st.tuples(st.integers(0, 2), st.sampled_from([READ, WRITE, FREE]), st.integers(0, 9), st.integers(0, 4))
"""Whose, which kind, its first byte, its length (0: to the end)."""


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CHANGES, max_size=12))
def test_locks_in_memory_are_those_of_the_kernel(tmp_path: Path, changes: list[tuple[int, str, int, int]]) -> None:
    """So what the explorer finds out about them is so of the real ones: who gets what, and what is joined into one."""
    fds = [os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT) for _ in range(3)]
    locks = Locks()
    try:
        for owner, kind, start, length in changes:
            stop = start + length if length else LAST
            assert locks.change(owner, kind, start, stop) == _really_changes(fds[owner], kind, start, length)
            for other, fd in enumerate(fds):
                assert _ranges_in_the_way(locks, other) >= _really_in_the_way(fd)
                assert bool(_ranges_in_the_way(locks, other)) == bool(_really_in_the_way(fd))
    finally:
        for fd in fds:
            os.close(fd)


def _really_changes(fd: int, kind: str, start: int, length: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", CODES[kind], os.SEEK_SET, start, length, 0))
        return True
    except BlockingIOError:
        return False


def _ranges_in_the_way(locks: Locks, owner: int) -> set[tuple[int, int, int]]:
    """All that keep the owner from writing anywhere."""
    return {(start, stop, CODES[kind]) for start, stop, kind, other in locks.ranges if other != owner}


def _really_in_the_way(fd: int) -> set[tuple[int, int, int]]:
    """The one that the kernel tells of."""
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    kind, _, start, length, _ = struct.unpack("hhqqi4x", answer)
    return set() if kind == fcntl.F_UNLCK else {(start, start + length if length else LAST, kind)}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_every_schedule_keeps_the_rules(scenario: Scenario) -> None:
    """Of those with at most one preemption, or none; `make explore` has three, and all of two contenders."""
    found = search(scenario, preemptions=0 if scenario.kills or len(scenario.programs) == 4 else 1)
    assert found.violation == "", found.schedule
    assert found.complete


def test_every_schedule_of_two_who_take_it_once_keeps_the_rules() -> None:
    found = search(SCENARIOS["two exclusive"])
    assert found.violation == "", found.schedule
    assert found.complete
    assert found.states > 1000


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_in_the_code_is_found(mutant: Mutant) -> None:
    """And the schedule that finds it breaks the same rule again, as it does not in the code without the fault."""
    scenario, told = SCENARIOS[mutant.scenario], list[str]()
    with mutant.in_place():
        found = search(scenario, preemptions=mutant.preemptions)
        assert found.violation
        assert replay(scenario, found.schedule, told.append) == found.violation
    assert len(told) >= len(list(read(found.schedule)))
    assert search(scenario, preemptions=0).violation == ""
