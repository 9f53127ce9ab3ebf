"""Processes that are killed or stopped on one host, and what the other host has of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from nfs.conftest import Site, waiting
from nfs.hosts import Contender
from nfs.test_waiting import milliseconds

New = Callable[[], Contender]
Figure = Callable[[str], None]


def test_lock_of_a_killed_holder_is_had_by_the_other_host(site: Site, on_a: New, b: Contender, figure: Figure) -> None:
    measured = []
    for _ in range(3):
        holder = on_a()
        holder.ask("acquire", name="x")
        b.tell("acquire", name="x")
        waiting(holder, "x", 1)
        begun = time.monotonic()
        site.a.kill(holder)
        b.answer()
        measured.append(time.monotonic() - begun)
        b.ask("release")
    figure(f"holder killed, until the other host has the lock, with the start of kill(1): {milliseconds(measured)}")


def test_killed_waiter_keeps_nobody_waiting(site: Site, a: Contender, on_b: New) -> None:
    killed, second = on_b(), on_b()
    a.ask("acquire", name="x")
    for place, waiter in enumerate((killed, second), 1):
        waiter.tell("acquire", name="x")
        waiting(a, "x", place)
    site.b.kill(killed)
    waiting(a, "x", 1)
    a.ask("release")
    second.answer()


def test_stopped_waiter_of_one_host_is_passed_by_the_other(site: Site, on_a: New, b: Contender, figure: Figure) -> None:
    holder, stopped = on_a(), on_a()
    holder.ask("acquire", name="x")
    for place, waiter in enumerate((stopped, b), 1):
        waiter.tell("acquire", name="x")
        waiting(holder, "x", place)
    site.a.kill(stopped, "STOP")
    begun = time.monotonic()
    holder.ask("release")
    b.answer()
    figure(f"first waiter stopped, until the other host has the lock: {time.monotonic() - begun:.1f} s")
    b.ask("release")
    site.a.kill(stopped, "CONT")
    stopped.answer()


def test_command_of_a_killed_supervisor_keeps_the_lock(a: Contender, b: Contender) -> None:
    supervisor = a.ask("start", "run", "x", "--", "sh", "-c", "echo $$; exec sleep 300")
    command = int(a.ask("line", supervisor))
    a.ask("kill", supervisor)
    assert b.refusal("attempt", name="x") == "WouldBlock"
    b.tell("acquire", name="x")
    a.ask("kill", command)
    b.answer()


def test_number_of_a_killed_holder_goes_to_the_other_host(site: Site, on_a: New, b: Contender) -> None:
    killed = on_a()
    assert killed.ask("acquire_number", "orders") == 1
    site.a.kill(killed)
    assert b.ask("acquire_number", "orders") == 1
    assert on_a().refusal("attempt", name="orders") == "DefinitionMismatch"
