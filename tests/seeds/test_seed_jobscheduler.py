"""The JobScheduler's page on locks, from its first line to its last, with real commands; and what its source adds.

Each test is named after a sentence of the page. docs/reference/jobscheduler.md has the rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from command import Running
from command import pylock as run_pylock
from contender import until, waiting

import pylock

WORKS = "echo started; read line"


class Jobs:
    """Jobs of the page: each goes on until it is told to end."""

    def __init__(self) -> None:
        self.running: dict[str, Running] = {}

    def start(self, name: str, *words: str) -> None:
        """Start it; return once it holds the lock or waits for it."""
        job = Running("run", "-q", "--reason", name, *words, "--", "sh", "-c", f"trap 'exit 0' TERM; {WORKS}", stdin=-1)
        self.running[name] = job
        until(lambda: self.runs(name) or self.waits(name))

    def runs(self, name: str) -> bool:
        return any(holder.reason == name for lock in pylock.status() for holder in lock.holders)

    def waits(self, name: str) -> bool:
        return any(waiter.reason == name for lock in pylock.status() for waiter in lock.waiters)

    def started(self, *names: str) -> None:
        """Wait until they run, and nobody else does."""
        until(lambda: all(self.runs(name) for name in names))
        assert {name for name in self.running if self.runs(name)} == set(names)

    def end(self, name: str) -> None:
        job = self.running.pop(name)
        assert job.process.stdin is not None
        job.process.stdin.write("end\n")
        job.process.stdin.flush()
        until(lambda: not self.runs(name))
        assert job.end()[0] == 0


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs()
    yield jobs
    for job in jobs.running.values():
        job.close()


def start(jobs: Jobs, *names: str) -> None:
    for name in names:
        jobs.start(name, "testLock", "--exclusive" if name == "job1" else "--shared")


def test_should_a_job_be_waiting_it_will_be_started_as_soon_as_the_lock_has_been_freed(jobs: Jobs) -> None:
    start(jobs, "job1", "job2")
    jobs.end("job1")
    jobs.started("job2")


def test_job1_holds_the_lock_exclusive_and_job2_and_job3_do_not_start_until_it_is_finished(jobs: Jobs) -> None:
    start(jobs, "job1", "job2", "job3")
    jobs.started("job1")
    jobs.end("job1")
    jobs.started("job2", "job3")


def test_job2_and_job3_start_both_and_job1_not_until_both_are_finished(jobs: Jobs) -> None:
    start(jobs, "job2", "job3", "job1")
    jobs.started("job2", "job3")
    jobs.end("job2")
    jobs.started("job3")
    jobs.end("job3")
    jobs.started("job1")


def test_job2_job1_job3_is_the_same_behaviour_like_case_2(jobs: Jobs) -> None:
    start(jobs, "job2", "job1", "job3")
    jobs.started("job2", "job3")
    jobs.end("job3")
    jobs.end("job2")
    jobs.started("job1")


def test_both_start_like_without_the_lock_as_any_number_may_share_it(jobs: Jobs) -> None:
    for name in ("job1", "job2"):
        jobs.start(name, "maintain", "--shared")
    jobs.started("job1", "job2")
    assert pylock.inspect("maintain").definition.capacity == pylock.UNLIMITED


def test_equal_0_then_no_job_starts_and_unlimited_executes_all_starts_from_the_queue(jobs: Jobs) -> None:
    """The two orders of the job chain, the second with the page's own number, 2^31-1."""
    jobs.start("job0", "maintain", "--shared")
    assert run_pylock("set", "maintain", "--capacity=0").returncode == 0
    for name in ("job1", "job2"):
        jobs.start(name, "maintain", "--shared")
    jobs.end("job0")
    assert jobs.waits("job1")
    assert jobs.waits("job2")
    assert run_pylock("set", "maintain", f"--capacity={2**31 - 1}").returncode == 0
    jobs.started("job1", "job2")


def test_an_exclusive_job_does_not_start_in_a_closed_window_either(jobs: Jobs) -> None:
    run_pylock("set", "maintain", "--capacity=0")
    jobs.start("job1", "maintain", "--exclusive")
    assert jobs.waits("job1")
    run_pylock("set", "maintain", "--capacity=unlimited")
    jobs.started("job1")


def test_lowering_the_limit_touches_no_holder_and_raising_it_starts_who_waits(jobs: Jobs) -> None:
    pylock.define("limit", capacity=2)
    for name in ("job1", "job2"):
        jobs.start(name, "limit", "--shared")
    run_pylock("set", "limit", "--capacity=1")
    jobs.started("job1", "job2")
    jobs.start("job3", "limit", "--shared")
    jobs.end("job1")
    assert jobs.waits("job3")
    run_pylock("set", "limit", "--capacity=2")
    jobs.started("job2", "job3")


def test_several_locks_are_had_all_or_none(jobs: Jobs) -> None:
    jobs.start("one", "b")
    jobs.start("both", "a", "--with=b")
    waiting("a", 1)
    jobs.start("other", "a")
    jobs.started("one", "other")
    jobs.end("one")
    assert jobs.waits("both")
    jobs.end("other")
    jobs.started("both")


def test_a_demand_above_the_limit_is_refused_at_once() -> None:
    pylock.define("limit", capacity=2)
    done = run_pylock("run", "--weight=3", "limit", "--", "true")
    assert done.returncode == 125
    assert "can never be had" in done.stderr


def test_who_asks_again_for_what_it_holds_is_told_so() -> None:
    done = run_pylock("run", "x", "--", "sh", "-c", "python3 -m pylock run x -- true || exit 9")
    assert done.returncode == 9
    assert "would wait for ever" in done.stderr


def test_higher_priority_goes_first_of_those_who_wait(jobs: Jobs) -> None:
    jobs.start("holder", "x")
    jobs.start("low", "x")
    jobs.start("high", "x", "--priority=5")
    jobs.end("holder")
    jobs.started("high")
