"""Copies: what is held cannot be copied; what is not held can, and who receives it is somebody of its own."""

from __future__ import annotations

import argparse
import copy
import multiprocessing
import os
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
from contender import Contender

import pylock

MAKERS: dict[str, Callable[..., Any]] = {
    "exclusive": lambda **more: pylock.lock("x", **more),
    "shared": lambda **more: pylock.lock("x", "shared", **more),
    "counted": lambda **more: pylock.lock("x", "shared", capacity=3, weight=2, **more),
    "null": lambda **more: pylock.lock("x", "null", **more),
    "concurrent_read": lambda **more: pylock.lock("x", "concurrent_read", **more),
    "concurrent_write": lambda **more: pylock.lock("x", "concurrent_write", **more),
    "protected_write": lambda **more: pylock.lock("x", "protected_write", **more),
    "pool": lambda **more: pylock.pool("x", ["a", "b"], **more),
    "path": lambda **more: pylock.path_lock("/x/y", **more),
    "sequence": lambda **more: pylock.sequence("x", **more),
    "transactional": lambda **more: pylock.sequence("x", transactional=True, **more),
    "timestamp": lambda **more: pylock.timestamp("x", "%Y %f", **more),
    "all_of": lambda **more: pylock.all_of(pylock.lock("x"), pylock.lock("y", "shared"), **more),
}
every_kind = pytest.mark.parametrize("kind", MAKERS)


@dataclass
class Job:
    name: str
    lock: Any


WAYS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy in a dict": lambda what: copy.deepcopy({"lock": [what]}),
    "deepcopy in a dataclass": lambda what: copy.deepcopy(Job("x", what)),
    "deepcopy in a Namespace": lambda what: copy.deepcopy(argparse.Namespace(lock=what)),
} | {
    f"pickle {protocol}": lambda what, protocol=protocol: pickle.loads(pickle.dumps(what, protocol))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
}
every_way = pytest.mark.parametrize("way", WAYS)


# What is held


@every_way
@every_kind
def test_what_is_held_cannot_be_copied(kind: str, way: str) -> None:
    lock = MAKERS[kind]()
    hold = lock.acquire()
    for what in (hold, lock):
        with pytest.raises(TypeError, match="cannot be copied or pickled") as caught:
            WAYS[way](what)
        assert "across_fork() or fileno()" in str(caught.value)
    hold.check()
    hold.release()


@every_kind
def test_lock_can_be_copied_again_after_its_release(kind: str) -> None:
    lock = MAKERS[kind]()
    lock.acquire().release()
    copy.copy(lock).acquire().release()


def test_hold_of_two_that_are_held_by_one_object_cannot_be_copied_until_the_last_is_released() -> None:
    lock = pylock.lock("x", "shared")
    first, second = lock.acquire(), lock.acquire()
    first.release()
    with pytest.raises(TypeError):
        copy.copy(lock)
    second.release()
    copy.copy(lock)


def test_what_only_names_the_hold_can_be_made_anew() -> None:
    """dataclasses.replace copies nothing: both name one hold, which is released once."""
    with pylock.lock("x") as hold:
        assert replace(Job("a", hold), name="b").lock is hold


# What is not held


@every_way
@every_kind
def test_copy_of_a_lock_that_is_not_held_is_one_of_its_own(kind: str, way: str) -> None:
    lock = MAKERS[kind]()
    twin = WAYS[way](lock)
    twin = twin["lock"][0] if isinstance(twin, dict) else getattr(twin, "lock", twin)
    assert type(twin) is type(lock)
    with twin:
        assert twin.held
        assert not lock.held
    with lock:
        assert not twin.held


@pytest.mark.parametrize("way", ["copy", "deepcopy", "pickle 5"])
def test_copy_asks_for_the_same(way: str, contenders: type[Contender]) -> None:
    given = {"mode": "shared", "weight": 2, "capacity": 5, "priority": 7, "policy": "fair", "reason": "because"}
    twin = WAYS[way](pylock.lock("x", **given, timeout=0.01))  # type: ignore[arg-type]
    with twin as hold:
        holder = pylock.inspect("x").holders[0]
        assert (hold.weight, holder.reason, holder.priority) == (2, "because", 7)
        assert pylock.inspect("x").definition.given_capacity == 5
        assert pylock.inspect("x").definition.policy == "fair"
    contenders().acquire("y")
    with pytest.raises(pylock.LockTimeout):
        WAYS[way](pylock.lock("y", timeout=0.01)).acquire()


def test_copy_means_the_directory_that_was_meant_and_not_that_of_who_receives_it(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = pickle.dumps(pylock.lock("x"))
    before = os.environ["PYLOCK_DIR"]
    monkeypatch.setenv("PYLOCK_DIR", str(tmp_path))
    with pickle.loads(sent):
        assert pylock.inspect("x", before).holders
        assert not pylock.inspect("x").holders


# In another process


def hold_and_look(lock: Any) -> tuple[int, bool, list[int | None], bool]:
    """Who this is, whether a second one in this block is a deadlock, who status says holds, and if it is held after."""
    with lock:
        try:
            lock.acquire(1)
            found = False
        except pylock.Deadlock:
            found = True
        pids = [holder.pid for holder in pylock.inspect("x").holders]
    return os.getpid(), found, pids, lock.held


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_lock_that_is_sent_belongs_to_who_receives_it(method: str) -> None:
    lock = pylock.lock("x")
    with lock:
        pass  # so that this process has signed a record with it
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        pid, found, pids, held = pool.submit(hold_and_look, lock).result(60)
    assert pid != os.getpid()
    assert (found, pids, held) == (True, [pid], False)
    with lock:
        assert [holder.pid for holder in pylock.inspect("x").holders] == [os.getpid()]


def try_it(lock: Any) -> str:
    try:
        lock.acquire(0.02).release()
    except pylock.LockTimeout as error:
        return f"held by {error.holders[0].pid}"
    return "had"


def test_lock_that_was_sent_before_it_was_held_waits_for_its_twin() -> None:
    lock = pylock.lock("x")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        twin = pickle.loads(pickle.dumps(lock))
        with lock:
            assert pool.submit(try_it, twin).result(60) == f"held by {os.getpid()}"
        assert pool.submit(try_it, lock).result(60) == "had"


def test_hold_cannot_be_sent() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool, pylock.lock("x") as hold:
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            pool.submit(try_it, hold).result(60)
        hold.check()
