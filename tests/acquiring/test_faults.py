"""A system call that fails, at any place: either the hold is complete or everything is undone, and the error tells."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import pylock
from pylock._acquiring import attempt
from pylock._file import byterange, lockfile

ERRNOS = ["EINTR", "EIO", "ENOSPC", "EMFILE", "EACCES", "ENOLCK", "ESTALE", "EDQUOT"]
SYSTEM_CALLS: list[tuple[Any, str]] = [
    (byterange, "fcntl"), (attempt, "pwrite"),
    (lockfile, "open_noted"), (os, "pread"), (os, "pwrite"),
    (os, "fstat"), (os, "lstat"), (os, "mkfifo"), (os, "chmod"), (os, "fchmod"), (os, "unlink"), (os, "open"),
    (os, "read"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_idle_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pylock._file.reuse._MOST_IDLE", 0)


@contextmanager
def failing(place: int, code: int) -> Iterator[list[str]]:
    """Let the call with that number fail with that error; the list tells which calls were made."""
    calls: list[str] = []

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            calls.append(name)
            if len(calls) - 1 == place:
                raise OSError(code, os.strerror(code))
            return real(*arguments, **keywords)

        return call

    patches = [mock.patch.object(module, name, wrap(name, getattr(module, name))) for module, name in SYSTEM_CALLS]
    for patch in patches:
        patch.start()
    try:
        yield calls
    finally:
        for patch in patches:
            patch.stop()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def assert_nothing_is_left(directory: Path, before: int) -> None:
    assert descriptors() == before, "a descriptor was left open"
    state = pylock.inspect("x")
    assert (state.holders, state.waiters) == ((), ())
    pylock.lock("x").acquire_nowait().release()


def each_call(action: Callable[[], None], code: int, directory: Path, prepare: Callable[[], None]) -> list[str]:
    """Let every call of the action fail in turn; return the calls it makes when none fails."""
    for place in itertools.count():
        prepare()
        before = descriptors()
        with failing(place, code) as calls:
            try:
                action()
            except (pylock.LockTimeout, pylock.WouldBlock):
                pass
            except pylock.LockError as error:
                assert "x" in str(error)
            except OSError as error:
                assert error.errno == code
                assert error.filename is not None, calls[-1]
        if place >= len(calls):
            return calls
        assert_nothing_is_left(directory, before)
    raise AssertionError


@pytest.mark.parametrize("name", ERRNOS)
@pytest.mark.parametrize("mode", ["EX", "PR", "CR"])
def test_acquire_and_release_of_a_free_lock(name: str, mode: str, directory: Path) -> None:
    def action() -> None:
        with pylock.lock("x", mode):
            pass

    with pylock.lock("x"):
        pass
    calls = each_call(action, getattr(errno, name), directory, lambda: None)
    assert {"open_noted", "fcntl", "pread", "pwrite"} <= set(calls)


@pytest.mark.parametrize("name", ERRNOS)
def test_first_acquire_which_makes_the_file(name: str, directory: Path) -> None:
    def action() -> None:
        with pylock.lock("x", "exclusive", capacity=3):
            pass

    calls = each_call(action, getattr(errno, name), directory, lambda: (directory / "x.lock").unlink(missing_ok=True))
    assert {"open_noted", "fchmod", "pwrite"} <= set(calls)


@pytest.mark.parametrize("name", ["EIO", "ENOSPC", "EMFILE", "EACCES"])
def test_acquire_that_waits_in_vain(name: str, directory: Path) -> None:
    with pylock.lock("x"):
        pass
    code = getattr(errno, name)
    for place in itertools.count():
        before = descriptors()
        hold = pylock.lock("x", "shared").acquire()
        with failing(place, code) as calls, pytest.raises((pylock.LockError, OSError)):
            pylock.lock("x").acquire(0.003)
        hold.release()
        assert_nothing_is_left(directory, before)
        if place >= len(calls):
            break
    assert {"mkfifo", "fcntl", "unlink"} <= set(calls)


@pytest.mark.parametrize("name", ERRNOS)
def test_release_that_fails_has_released_all_the_same(name: str, directory: Path) -> None:
    code = getattr(errno, name)
    with pylock.lock("x"):
        pass
    for place in itertools.count():
        before = descriptors()
        hold = pylock.lock("x").acquire()
        with failing(place, code) as calls:
            try:
                hold.release()
            except (OSError, pylock.LockError) as error:
                assert "x" in str(error)
        if place >= len(calls):
            break
        with pytest.raises(pylock.NotHeld):
            hold.release()
        assert_nothing_is_left(directory, before)
    assert calls == ["fcntl", "fcntl"]


def test_failed_release_joins_the_error_of_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    def body_fails() -> None:
        with pylock.lock("x"):
            monkeypatch.setattr(byterange, "fcntl", mock.Mock(side_effect=OSError(errno.EIO, "broken")))
            raise KeyError("body")

    with pytest.raises(KeyError) as caught:
        body_fails()
    assert 'the release of "x" failed: [Errno 5] broken' in caught.value.__notes__[0]


def test_no_lock_service_is_unsupported_and_names_the_file_system(directory: Path) -> None:
    refuse = mock.patch.object(byterange, "fcntl", side_effect=OSError(errno.ENOLCK, "No locks available"))
    with refuse, pytest.raises(pylock.Unsupported, match="does not lock bytes as it is mounted") as caught:
        pylock.lock("x").acquire()
    assert caught.value.errno == errno.ENOLCK
    assert caught.value.path == str(directory / "x.lock")


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EFBIG"])
@pytest.mark.parametrize("mode", ["EX", "PR", "CR"])
def test_full_disk_keeps_nobody_from_a_plain_lock_and_tokens_grow(name: str, mode: str, directory: Path) -> None:
    code = getattr(errno, name)
    with mock.patch.object(os, "pwrite", side_effect=OSError(code, "full")):
        full = mock.patch.object(attempt, "pwrite", side_effect=OSError(code, "full"))
        with full:
            tokens = []
            for _ in range(3):
                hold = pylock.lock("x", mode).acquire()
                tokens.append(hold.token)
                with pytest.raises(pylock.WouldBlock, match="held"):
                    pylock.lock("x").acquire_nowait()
                with pytest.raises(pylock.LockTimeout):
                    pylock.lock("x").acquire(0.002)
                hold.release()
    assert tokens == sorted(set(tokens)) or mode != "EX"
    assert (directory / "x.lock").stat().st_size == 0
    assert_nothing_is_left(directory, descriptors())


def test_full_disk_refuses_what_needs_it_and_changes_nothing(directory: Path) -> None:
    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    for ask in (
        lambda: pylock.lock("x", "shared", capacity=2).acquire(),
        lambda: pylock.sequence("s").acquire(),
        lambda: pylock.define("x", capacity=3),
    ):
        with mock.patch.object(os, "pwrite", full), pytest.raises(OSError, match="full") as caught:
            ask()
        assert caught.value.filename in (str(directory / "x.lock"), str(directory / "s.lock"))
    assert [path.stat().st_size for path in directory.iterdir()] == [0, 0]
