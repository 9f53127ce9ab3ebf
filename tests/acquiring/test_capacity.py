"""Counted holders, and a capacity that changes while the lock is held and waited for."""

from __future__ import annotations

from typing import Any

import pytest
from contender import Contender, waiting

import pylock


def granted(contender: Contender) -> None:
    assert isinstance(contender.answer(), int)


def test_shared_holders_have_no_more_units_than_the_capacity() -> None:
    holds = [pylock.lock("x", "shared", capacity=5, weight=weight).acquire_nowait() for weight in (2, 2, 1)]
    with pytest.raises(pylock.WouldBlock, match="5 of 5 units are held, 1 asked for"):
        pylock.lock("x", "shared").acquire_nowait()
    assert pylock.inspect("x").used == 5
    holds.pop().release()
    pylock.lock("x", "shared").acquire_nowait().release()
    for hold in holds:
        hold.release()


def test_weight_is_gathered_from_units_that_lie_apart() -> None:
    claims = [pylock.lock("x", "shared", capacity=6).new_claim() for _ in range(6)]
    assert all(claim.take() for claim in claims)
    units = sorted(claims, key=lambda claim: claim.grant.pieces)
    for claim in units[::2]:
        claim.release()
    with pylock.lock("x", "shared", weight=3):
        seen = pylock.inspect("x")
        assert sorted(holder.weight for holder in seen.holders) == [1, 1, 1, 3]
        assert seen.used == 6
    for claim in units[1::2]:
        claim.release()


def test_exclusive_takes_everything_whatever_the_capacity() -> None:
    with pylock.lock("x", "shared", capacity=3), pytest.raises(pylock.WouldBlock):
        pylock.lock("x").acquire_nowait()
    with pylock.lock("x", "exclusive", capacity=3), pytest.raises(pylock.WouldBlock):
        pylock.lock("x", "shared").acquire_nowait()


@pytest.mark.parametrize(
    ("given", "mode"),
    [({}, "exclusive"), ({"capacity": 3}, "shared"), ({"weight": 2}, "shared"), ({"capacity": 0}, "shared")],
)
def test_who_gives_a_capacity_or_a_weight_asks_to_share_if_no_mode_is_said(given: dict[str, int], mode: str) -> None:
    assert pylock.lock("x", **given).mode == mode  # type: ignore[arg-type]
    assert pylock.lock("x", "exclusive", capacity=given.get("capacity")).mode == "exclusive"


def test_another_capacity_is_a_mismatch() -> None:
    with pylock.lock("x", "shared", capacity=5):
        with pytest.raises(pylock.DefinitionMismatch, match="has capacity 5, not 6"):
            pylock.lock("x", "shared", capacity=6).acquire()
        pylock.lock("x", "shared").acquire().release()


def test_capacity_defines_a_lock_that_was_used_without_one() -> None:
    with pylock.lock("x", "shared"), pylock.lock("x", "shared", capacity=2):
        assert pylock.inspect("x").definition.capacity == 2
        with pytest.raises(pylock.WouldBlock):
            pylock.lock("x", "shared").acquire_nowait()


def test_definition_by_hand_wins_over_both() -> None:
    with pylock.lock("x", "shared", capacity=5):
        pass
    assert pylock.define("x", capacity=1).capacity == 1
    with pylock.lock("x", "shared", capacity=5), pytest.raises(pylock.WouldBlock):
        pylock.lock("x", "shared", capacity=5).acquire_nowait()


def test_weight_above_the_capacity_fails_at_once() -> None:
    pylock.define("x", capacity=5)
    for lock in (pylock.lock("x", "shared", weight=6), pylock.lock("x", "shared", weight=6, timeout=5)):
        with pytest.raises(pylock.DefinitionMismatch, match=r"6 units .* can never be had: its capacity is 5"):
            lock.acquire()


def test_lowering_touches_no_holder_and_admits_none_until_the_count_allows() -> None:
    holds = [pylock.lock("x", "shared").acquire() for _ in range(4)]
    pylock.define("x", capacity=2)
    for hold in holds[:3]:
        with pytest.raises(pylock.WouldBlock):
            pylock.lock("x", "shared").acquire_nowait()
        hold.check()
        hold.release()
    with pylock.lock("x", "shared"), pytest.raises(pylock.WouldBlock):
        pylock.lock("x", "shared").acquire_nowait()
    holds[3].release()


@pytest.mark.parametrize("mode", ["CR", "CW", "PR", "PW", "EX"])
def test_capacity_zero_lets_nobody_start(mode: str) -> None:
    pylock.define("x", capacity=0)
    with pytest.raises(pylock.WouldBlock, match=r"the lock is closed \(capacity 0\)"):
        pylock.lock("x", mode).acquire_nowait()
    with pytest.raises(pylock.LockTimeout, match="closed"):
        pylock.lock("x", mode).acquire(0.01)
    pylock.lock("x", "null").acquire_nowait().release()


def test_closing_leaves_the_holders() -> None:
    with pylock.lock("x", "shared") as hold:
        pylock.define("x", capacity=0)
        hold.check()
        assert pylock.inspect("x").used == 1
    assert pylock.inspect("x").holders == ()


def test_reopening_starts_all_who_wait_and_keeps_their_order(contenders: type[Contender]) -> None:
    pylock.define("x", capacity=0)
    queue = [contenders() for _ in range(4)]
    for contender in queue:
        contender.start_acquiring("x", "shared")
    pylock.define("x", capacity=pylock.UNLIMITED)
    for contender in queue:
        granted(contender)
    holders = pylock.inspect("x").holders
    assert [holder.pid for holder in holders] == [contender.pid for contender in queue]


def test_raising_starts_as_many_as_fit(contenders: type[Contender]) -> None:
    pylock.define("x", capacity=1)
    holder = contenders()
    holder.acquire("x", "shared")
    queue = [contenders() for _ in range(4)]
    for contender in queue:
        contender.start_acquiring("x", "shared")
    pylock.define("x", capacity=4)
    for contender in queue[:3]:
        granted(contender)
    waiting("x", 1)
    assert pylock.inspect("x").used == 4


def test_raising_rings_and_does_not_leave_it_to_the_safety_look(
    contenders: type[Contender], monkeypatch: pytest.MonkeyPatch
) -> None:
    pylock.define("x", capacity=0)
    waiter = contenders()
    waiter.start_acquiring("x", "shared")
    waiter.stop()  # so that it does not look by itself
    rung: list[Any] = []
    monkeypatch.setattr("pylock._acquiring.place.ring", lambda path, seat, private: rung.append(seat))
    pylock.define("x", capacity=1)
    assert len(rung) == 1


def test_waiter_whose_weight_no_longer_fits_is_told_and_blocks_nobody(contenders: type[Contender]) -> None:
    pylock.define("x", capacity=0)
    large, small = contenders(), contenders()
    large.start_acquiring("x", "shared", weight=3)
    small.start_acquiring("x", "shared", weight=1)
    pylock.define("x", capacity=2)
    assert large.answer() == "DefinitionMismatch"
    granted(small)


def test_policy_can_be_changed_and_is_kept(directory: Any) -> None:
    pylock.define("x", policy="fair")
    pylock.define("x", capacity=3)
    definition = pylock.inspect("x").definition
    assert (definition.policy, definition.capacity, definition.defined) == ("fair", 3, True)


def test_definition_does_not_change_by_itself() -> None:
    definition = pylock.define("x", capacity=3)
    with pytest.raises(AttributeError, match=r"use pylock\.define"):
        definition.given_capacity = 4
    assert definition == pylock.inspect("x").definition
    assert len({definition, pylock.inspect("x").definition}) == 1


@pytest.mark.parametrize("arguments", [{"capacity": -1}, {"capacity": 1.0}, {"policy": "x"}, {"name": ""}])
def test_bad_definition_is_refused_before_anything_is_made(arguments: dict[str, Any], directory: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        pylock.define(**({"name": "x"} | arguments))
    assert list(directory.iterdir()) == []
