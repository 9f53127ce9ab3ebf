"""What a hold says is never more than the kernel has: at every line of a conversion, for every exception and error."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from contender import lets_in, until

import pylock
from pylock._acquiring import attempt, conversion
from pylock._file import byterange, reuse
from pylock._modes import ALL, rule_of
from pylock._queue import tickets

CODES = [rule.code for rule in ALL]
PAIRS = list(itertools.permutations(CODES, 2))
every_pair = pytest.mark.parametrize(("before", "after"), PAIRS)
TRACED = {module.__file__ for module in (conversion, attempt, byterange, tickets)}


class Struck(Exception):
    pass


def said_to_let_in(hold: pylock.Hold) -> set[str]:
    return {code for code in CODES if code in rule_of(hold.mode).compatible}


def assert_as_it_was_or_as_asked_for(hold: pylock.Hold, before: str, after: str) -> None:
    assert hold.mode.code in (before, after)
    assert lets_in("x") == said_to_let_in(hold)
    hold.check()
    hold.convert("PR")
    hold.release()
    for code in CODES:  # and nothing is left of it
        pylock.lock("x", code).acquire_nowait().release()


def strike(place: int) -> None:
    raise Struck


def strike_at(place: int, act: Callable[[int], None] = strike) -> Callable[[FrameType, str, Any], Any]:
    """What, as a trace function, acts at the line with that number, counted over the modules that change bytes."""
    seen = itertools.count()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line" and next(seen) == place:
            act(place)
        return trace

    return trace


@every_pair
def test_exception_at_every_line(before: str, after: str) -> None:
    """As a signal handler raises it."""
    for place in itertools.count():
        hold = pylock.lock("x", before).acquire()
        others = sys.gettrace()  # such as that of make coverage
        sys.settrace(strike_at(place))
        try:
            hold.convert(after)
            break
        except Struck:
            pass
        finally:
            sys.settrace(others)
        assert_as_it_was_or_as_asked_for(hold, before, after)
    assert place > 10
    assert_as_it_was_or_as_asked_for(hold, before, after)


@pytest.mark.parametrize(("before", "after"), [("EX", "PR"), ("PR", "EX"), ("NL", "CW"), ("CW", "NL")])
def test_another_thread_releases_and_acquires_at_every_line(before: str, after: str) -> None:
    """What it got stays its own, whatever the conversion still does; and the conversion says that it came too late."""
    others = sys.gettrace()
    with ThreadPoolExecutor(1) as thread:
        for place in itertools.count():
            hold, taken = pylock.lock("x", before).acquire(), list[pylock.Hold]()
            for _ in range(reuse.HOT + 1):  # so that descriptors are kept for the next one
                pylock.lock("x", "NL").acquire().release()

            def release_and_acquire(place: int) -> None:
                thread.submit(hold.release).result()  # noqa: B023
                taken.append(thread.submit(pylock.lock("x").acquire, 2).result())  # noqa: B023

            sys.settrace(strike_at(place, release_and_acquire))
            try:
                hold.convert(after)
            except pylock.NotHeld:
                assert taken
            finally:
                sys.settrace(others)
            if not taken:
                break
            assert lets_in("x") == said_to_let_in(taken[0])
            taken[0].check()
            taken[0].release()
            assert lets_in("x") == set(CODES)
        hold.release()
    assert place > 10


def test_hold_is_converted_by_one_at_a_time() -> None:
    """The other would find it in a mode that it did not expect, and bring back one that is not its own any more."""
    other, hold = pylock.lock("x", "shared").acquire(), pylock.lock("x", "shared").acquire()
    with ThreadPoolExecutor(1) as thread:
        waits = thread.submit(hold.convert, "exclusive")
        until(lambda: pylock.inspect("x").waiters)
        with pytest.raises(pylock.LockError, match="is being converted already"):
            hold.convert("null")
        other.release()
        waits.result()
    hold.convert("null")
    assert lets_in("x") == said_to_let_in(hold) == set(CODES)
    hold.release()


def test_conversion_that_waits_ends_when_another_thread_releases_the_hold() -> None:
    descriptors = os.listdir("/proc/self/fd")
    other, hold = pylock.lock("x", "shared").acquire(), pylock.lock("x", "shared").acquire()
    with ThreadPoolExecutor(1) as thread:
        waits = thread.submit(hold.convert, "exclusive")
        until(lambda: pylock.inspect("x").waiters)
        hold.release()
        other.release()
        with pytest.raises(pylock.NotHeld):
            waits.result()
    assert lets_in("x") == set(CODES)
    assert not pylock.inspect("x").waiters
    assert len(os.listdir("/proc/self/fd")) <= len(descriptors)


class Failing:
    """In place of a system call: it fails at one call, or from that on."""

    def __init__(self, real: Callable[..., Any], place: int, code: int, for_ever: bool) -> None:
        self._real, self._place, self._code, self._for_ever = real, place, code, for_ever
        self.calls = 0

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls - 1 == self._place or (self._for_ever and self.calls > self._place):
            raise OSError(self._code, os.strerror(self._code))
        return self._real(*arguments)


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOLCK])
@every_pair
def test_error_at_every_call(
    before: str, after: str, code: int, for_ever: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((byterange, "fcntl"), (attempt, "pwrite"), (os, "pread")):
        real = getattr(module, name)
        for place in itertools.count():
            hold = pylock.lock("x", before).acquire()
            failing = Failing(real, place, code, for_ever)
            with monkeypatch.context() as patch:
                patch.setattr(module, name, failing)
                try:
                    hold.convert(after)
                except (OSError, pylock.LockError):
                    pass
            if not for_ever:
                assert hold.mode.code in (before, after)
            assert lets_in("x") <= said_to_let_in(hold)
            hold.release()
            if failing.calls <= place:
                break


@pytest.mark.parametrize(
    ("before", "after"), [(a, b) for a, b in PAIRS if rule_of(a).compatible > rule_of(b).compatible]
)
def test_exception_while_a_conversion_waits(before: str, after: str, directory: Path) -> None:
    """By a real signal, once it stands in the queue."""
    blocks = next((code for code in CODES if code in rule_of(before).compatible - rule_of(after).compatible), None)
    assert blocks is not None
    hold, other = pylock.lock("x", before).acquire(), pylock.lock("x", blocks).acquire()

    def raise_it(number: int, frame: object) -> None:
        raise Struck

    previous = signal.signal(signal.SIGUSR1, raise_it)
    main = threading.get_ident()

    def strike() -> None:
        until(lambda: pylock.inspect("x").waiters)
        signal.pthread_kill(main, signal.SIGUSR1)

    striker = threading.Thread(target=strike)
    striker.start()
    try:
        with pytest.raises(Struck):
            hold.convert(after)
    finally:
        striker.join()
        signal.signal(signal.SIGUSR1, previous)
    assert hold.mode.code == before
    other.release()
    assert_as_it_was_or_as_asked_for(hold, before, before)
    assert not pylock.inspect("x").waiters
    assert os.listdir(directory) == ["x.lock"]
