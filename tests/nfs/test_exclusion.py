"""Who holds on one host is in the way of the other, in every mode and kind of lock; what is said is said to both."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nfs.conftest import waiting
from nfs.hosts import Contender, Refused
from pylock._modes import ALL, BY_NAME

MODES = [rule.name for rule in ALL]
New = Callable[[], Contender]


def test_two_hosts_are_two(a: Contender, b: Contender, figure: Callable[[str], None]) -> None:
    assert a.host != b.host
    assert (a.where["type"], a.where["version"]) == (b.where["type"], b.where["version"])
    figure(f"{a.host} and {b.host} on {a.where['type']}, version {a.where['version'] or 'unknown'}")


def test_lock_of_one_host_is_refused_on_the_other(a: Contender, b: Contender) -> None:
    for here, there in ((a, b), (b, a)):
        here.ask("acquire", name="x")
        assert there.refusal("attempt", name="x") == "WouldBlock"
        here.ask("release")


@pytest.mark.parametrize("mode", MODES)
def test_modes_exclude_each_other_between_hosts_as_on_one(mode: str, a: Contender, b: Contender) -> None:
    a.ask("acquire", name="x", mode=mode)
    allowed = [rule.name for rule in ALL if rule.code in BY_NAME[mode].compatible]
    assert b.ask("matrix", "x", MODES) == allowed


def test_counter_that_both_hosts_raise_loses_nothing(on_a: New, on_b: New, place: str) -> None:
    rounds, workers = 15, [on_a(), on_b(), on_a(), on_b()]
    for worker in workers:
        worker.tell("count", "x", f"{place}/counter", rounds)
    seen = sorted(tuple(each) for worker in workers for each in worker.answer(300))
    assert [number for _, number in seen] == list(range(1, rounds * len(workers) + 1)), "in the order of their tokens"
    assert len({token for token, _ in seen}) == len(seen)


def test_of_two_units_no_third_is_had_on_any_host(on_a: New, on_b: New, place: str) -> None:
    workers = [on_a(), on_b(), on_a(), on_b()]
    for worker in workers:
        worker.tell("visit", "x", f"{place}/inside", 10)
    for worker in workers:
        worker.answer(300)


def test_units_of_one_host_are_lacking_on_the_other(a: Contender, b: Contender) -> None:
    a.ask("acquire", name="x", mode="shared", capacity=3, weight=2)
    assert b.refusal("attempt", name="x", mode="shared", capacity=3, weight=2) == "WouldBlock"
    b.ask("attempt", name="x", mode="shared", capacity=3)
    assert a.refusal("attempt", name="x", mode="shared", capacity=3) == "WouldBlock"
    assert a.ask("inspect", "x")["holders"] == [[a.host, a.pid], [b.host, b.pid]]


def test_definition_of_one_host_binds_the_other(a: Contender, b: Contender) -> None:
    a.ask("define", name="x", capacity=3)
    assert b.ask("inspect", "x")["capacity"] == 3
    b.ask("acquire", name="x", mode="shared", weight=3)
    b.ask("define", name="x", capacity=4)
    a.ask("attempt", name="x", mode="shared")


def test_first_request_says_what_the_lock_is_on_both_hosts(a: Contender, b: Contender) -> None:
    a.ask("acquire", name="x", mode="shared", capacity=3)
    assert b.refusal("attempt", name="x", mode="shared", capacity=5) == "DefinitionMismatch"


def test_closed_lock_is_closed_on_both_hosts_and_holders_stay(on_a: New, a: Contender, b: Contender) -> None:
    holder = on_a()
    holder.ask("acquire", name="x", mode="shared")
    b.ask("define", name="x", capacity=0, reason="new disks")
    for contender in (a, b):
        assert contender.refusal("attempt", name="x", mode="shared") == "WouldBlock"
        assert "new disks" in contender.ask("run", "status", "x")["output"]
    holder.ask("check")
    a.ask("define", name="x", capacity=2)
    b.ask("attempt", name="x", mode="shared")


def test_other_host_reads_what_is_said_though_it_has_the_file_open(on_a: New, a: Contender, b: Contender) -> None:
    """With some of these opens the server delegates the file, and then the client believes what it has cached."""
    holder = on_a()
    for place in range(10):
        holder.ask("acquire", name=f"x{place}", mode="shared")
        b.ask("define", name=f"x{place}", capacity=0)
        assert a.refusal("attempt", name=f"x{place}", mode="shared") == "WouldBlock"


def test_lock_that_one_host_opens_again_is_had_by_who_waits_on_the_other(a: Contender, b: Contender) -> None:
    a.ask("define", name="x", capacity=0)
    b.tell("acquire", name="x")
    waiting(a, "x", 1)
    assert not b.has_answered()
    a.ask("define", name="x", capacity=1)
    b.answer()


def test_hold_is_converted_once_the_other_host_lets_go(a: Contender, b: Contender) -> None:
    for contender in (a, b):
        contender.ask("acquire", name="x", mode="shared")
    a.tell("convert", "exclusive")
    waiting(b, "x", 1)
    b.ask("release")
    a.answer()
    assert b.refusal("attempt", name="x", mode="shared") == "WouldBlock"


def test_records_and_status_show_the_other_host(on_b: New, a: Contender, b: Contender) -> None:
    a.ask("acquire", name="x", reason="monthly figures")
    waiter = on_b()
    waiter.tell("acquire", name="x")
    waiting(b, "x", 1)
    seen = b.ask("inspect", "x")
    assert (seen["holders"], seen["waiters"]) == ([[a.host, a.pid]], [[b.host, waiter.pid]])
    shown = b.ask("run", "status", "x")["output"]
    assert a.host in shown
    assert "monthly figures" in shown
    with pytest.raises(Refused, match=f"held by pid {a.pid} on {a.host}"):
        b.ask("attempt", name="x")
    a.ask("release")
    waiter.answer()


# Paths, pools, sequences, timestamps


def test_branch_of_one_host_is_closed_to_the_other(a: Contender, b: Contender) -> None:
    a.ask("acquire_path", "/customers/acme")
    for taken in ("/customers", "/customers/acme", "/customers/acme/orders"):
        assert b.refusal("acquire_path", taken) == "WouldBlock"
    b.ask("acquire_path", "/customers/other")


def test_element_is_had_by_one_host_only(a: Contender, b: Contender) -> None:
    elements = ["red", "green"]
    assert {each.ask("acquire_element", "printers", elements) for each in (a, b)} == set(elements)
    assert b.refusal("acquire_element", "printers", elements) == "WouldBlock"


def test_no_number_is_given_twice(on_a: New, on_b: New) -> None:
    workers = [on_a(), on_b(), on_a(), on_b()]
    for worker in workers:
        worker.tell("numbers", "orders", 10)
    assert sorted(number for worker in workers for number in worker.answer(300)) == list(range(1, 41))


def test_no_time_is_given_twice(a: Contender, b: Contender) -> None:
    for worker in (a, b):
        worker.tell("times", "batch", 10)
    assert len({stamp for worker in (a, b) for stamp in worker.answer(300)}) == 20
