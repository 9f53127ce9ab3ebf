"""Who waits on one host for what is held on the other: it gets the lock, soon, in its turn, or is told why not."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import pytest
from contender import until

from nfs.conftest import waiting
from nfs.hosts import Contender, Refused

New = Callable[[], Contender]
Figure = Callable[[str], None]

SOON = 1.0
"""Seconds within which the next in turn has a lock that is free; the programs' own ways are in it."""


def handover(holder: Contender, waiter: Contender, name: str) -> float:
    """Seconds from the word to let go until the waiter has it; it has waited long enough to sleep between its looks."""
    waiter.tell("acquire", name=name)
    waiting(holder, name, 1)
    time.sleep(0.3)
    assert not waiter.has_answered()
    begun = time.monotonic()
    holder.tell("release")
    waiter.answer()
    seconds = time.monotonic() - begun
    holder.answer()
    return seconds


def milliseconds(measured: list[float]) -> str:
    return f"median {median(measured) * 1e3:.0f} ms, most {max(measured) * 1e3:.0f} ms, of {len(measured)}"


def test_lock_is_handed_over_to_the_other_host(a: Contender, b: Contender, figure: Figure) -> None:
    a.ask("acquire", name="x")
    measured = []
    for _ in range(10):
        measured += [handover(a, b, "x"), handover(b, a, "x")]
    figure(f"hand-over to the other host: {milliseconds(measured)}")
    assert median(measured) < SOON


def test_lock_is_handed_over_on_one_host_by_a_bell(on_a: New, figure: Figure) -> None:
    here, there = on_a(), on_a()
    here.ask("acquire", name="x")
    measured = []
    for _ in range(5):
        measured += [handover(here, there, "x"), handover(there, here, "x")]
    figure(f"hand-over on one host: {milliseconds(measured)}")
    assert median(measured) < SOON


@pytest.mark.parametrize("policy", ["shared-first", "fair"])
def test_queue_has_one_order_for_both_hosts(policy: str, on_a: New, on_b: New) -> None:
    holder, queue = on_a(), [on_b(), on_a(), on_b(), on_a()]
    holder.ask("acquire", name="x", policy=policy)
    for place, waiter in enumerate(queue, 1):
        waiter.tell("acquire", name="x")
        waiting(holder, "x", place)
    assert holder.ask("inspect", "x")["waiters"] == [[each.host, each.pid] for each in queue]
    for before, waiter in zip([holder, *queue], queue, strict=False):
        assert not any(each.has_answered() for each in queue)
        before.ask("release")
        waiter.answer()
        queue = queue[1:]


def test_higher_priority_of_one_host_goes_before_the_other_host(a: Contender, b: Contender, on_a: New) -> None:
    holder = on_a()
    holder.ask("acquire", name="x")
    for place, (waiter, priority) in enumerate(((a, 0), (b, 5)), 1):
        waiter.tell("acquire", name="x", priority=priority)
        waiting(holder, "x", place)
    holder.ask("release")
    b.answer()
    assert not a.has_answered()
    b.ask("release")
    a.answer()


def test_all_who_share_start_together_on_both_hosts(a: Contender, b: Contender, on_a: New) -> None:
    holder = on_a()
    holder.ask("acquire", name="x")
    for place, waiter in enumerate((a, b), 1):
        waiter.tell("acquire", name="x", mode="shared")
        waiting(holder, "x", place)
    holder.ask("release")
    a.answer()
    b.answer()
    assert holder.ask("matrix", "x", ["shared", "exclusive"]) == ["shared"]


def test_who_waits_in_vain_is_told_who_holds_on_the_other_host(a: Contender, b: Contender) -> None:
    a.ask("acquire", name="x")
    with pytest.raises(Refused, match=f"held by pid {a.pid} on {a.host}") as caught:
        b.ask("acquire", name="x", timeout=0.5)
    assert caught.value.kind == "LockTimeout"
    assert a.ask("inspect", "x")["waiters"] == []


def test_command_waits_for_the_other_host(a: Contender, b: Contender) -> None:
    a.ask("acquire", name="x")
    assert b.ask("run", "run", "-t", "0", "x", "--", "echo", "in")["code"] == 75
    command = b.ask("start", "run", "x", "--", "echo", "in")
    waiting(a, "x", 1)
    a.ask("release")
    assert b.ask("end", command) == {"code": 0, "output": "in\n", "errors": ""}


def test_several_locks_are_had_together_over_two_hosts(a: Contender, b: Contender) -> None:
    a.ask("acquire", name="x")
    command = b.ask("start", "run", "x", "--with", "y", "--", "echo", "in")
    waiting(a, "y", 1)
    assert a.ask("matrix", "y", ["exclusive"]) == ["exclusive"], "who lacks one lock holds no other one"
    a.ask("release")
    assert b.ask("end", command)["output"] == "in\n"


def test_deadlock_over_two_hosts_is_found(a: Contender, b: Contender, figure: Figure) -> None:
    a.ask("enter", name="x")
    b.ask("enter", name="y")
    begun = time.monotonic()
    a.tell("acquire", name="y")
    waiting(b, "y", 1)
    b.tell("acquire", name="x")
    until(lambda: a.has_answered() or b.has_answered())
    figure(f"deadlock over two hosts: found {time.monotonic() - begun:.1f} s after the first of them began to wait")
    loser, winner = (a, b) if a.has_answered() else (b, a)
    with pytest.raises(Refused) as caught:
        loser.answer()
    assert caught.value.kind == "Deadlock"
    assert f"pid {winner.pid} on {winner.host}" in str(caught.value)
    loser.ask("exit")
    winner.answer()
    winner.ask("release")
    winner.ask("exit")
