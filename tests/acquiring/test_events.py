"""Hooks: a program is told what happens to its locks, in order, once each, and nothing where nobody listens."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from command import environment
from contender import ROOT, Contender, until, waiting

import pylock
from pylock._acquiring import events


@pytest.fixture
def told() -> Iterator[list[pylock.Event]]:
    seen: list[pylock.Event] = []
    end = pylock.on_event(seen.append)
    yield seen
    end()


def kinds(told: list[pylock.Event]) -> list[str]:
    found = [event.kind for event in told]
    told.clear()
    return found


def with_block(wanted: Any) -> None:
    with wanted:
        pass


def in_a_task(wanted: Any) -> None:
    async def main() -> None:
        async with wanted:
            pass

    asyncio.run(main())


@pytest.mark.parametrize(
    "use",
    [
        with_block,
        in_a_task,
        lambda wanted: wanted.acquire().release(),
        lambda wanted: wanted.acquire_nowait().release(),
    ],
    ids=["with", "async with", "acquire", "nowait"],
)
def test_each_way_to_take_a_lock_is_told(use: Callable[[Any], None], told: list[pylock.Event]) -> None:
    use(pylock.lock("x", "shared"))
    assert [(event.kind, event.name, event.mode) for event in told] == [
        ("granted", "x", "shared"), ("released", "x", "shared"),
    ]  # fmt: skip
    granted, released = told
    assert granted.token is not None
    assert granted.token == released.token
    assert granted.seconds == 0
    assert released.seconds is not None
    assert released.seconds > 0
    assert granted.directory == os.environ["PYLOCK_DIR"]


def test_a_wait_and_its_length_are_told(
    told: list[pylock.Event], contenders: type[Contender], executor: ThreadPoolExecutor
) -> None:
    holder = contenders()
    holder.acquire("x")
    hold = executor.submit(pylock.lock("x").acquire)
    waiting("x", 1)
    assert kinds(told) == ["waiting"]
    holder.release()
    hold.result().release()
    granted, released = told
    assert (granted.kind, released.kind) == ("granted", "released")
    assert granted.seconds == hold.result().waited > 0


def test_refusals_are_told_with_their_error(told: list[pylock.Event], contenders: type[Contender]) -> None:
    contenders().acquire("x")
    with pytest.raises(pylock.WouldBlock):
        pylock.lock("x").acquire_nowait()
    assert isinstance(told[0].error, pylock.WouldBlock)
    assert kinds(told) == ["gave up"]
    with pytest.raises(pylock.LockTimeout):
        pylock.lock("x").acquire(0.01)
    assert told[1].seconds is not None
    assert told[1].seconds > 0
    assert kinds(told) == ["waiting", "gave up"]
    with pylock.lock("y"):
        with pytest.raises(pylock.Deadlock):
            pylock.lock("y").acquire()
        assert kinds(told) == ["granted", "deadlock"]


def test_conversion_that_waited_is_told(told: list[pylock.Event]) -> None:
    other, hold = pylock.lock("x", "shared").acquire(), pylock.lock("x", "shared").acquire()
    told.clear()
    with ThreadPoolExecutor(1) as thread:
        waits = thread.submit(hold.convert, "exclusive")
        until(lambda: pylock.inspect("x").waiters)
        other.release()
        waits.result()
    assert sorted(kinds(told)) == ["converted", "released"]
    hold.release()


def test_conversion_loss_and_a_hold_that_is_dropped_are_told(told: list[pylock.Event], directory: Path) -> None:
    hold = pylock.lock("x").acquire()
    hold.convert("shared")
    assert told[1].mode == "shared"
    hold.convert("shared")  # which it is already
    (directory / "x.lock").unlink()
    with pytest.raises(pylock.LockLost):
        hold.check()
    assert kinds(told) == ["granted", "converted", "lost"]  # and the error, whose traceback has the hold, is dropped
    with pytest.warns(ResourceWarning):
        del hold
    assert kinds(told) == ["released"]


def test_several_locks_are_told_one_by_one(told: list[pylock.Event], contenders: type[Contender]) -> None:
    both = pylock.all_of(pylock.lock("x"), pylock.lock("y"))
    with both:
        assert [(event.kind, event.name) for event in told] == [("granted", "x"), ("granted", "y")]
    assert kinds(told)[2:] == ["released", "released"]
    contenders().acquire("y")
    with pytest.raises(pylock.LockTimeout):
        both.acquire(0.01)
    assert kinds(told) == ["waiting", "waiting", "gave up", "gave up"], "what was had of it for a moment is not told"


def test_run_is_told(told: list[pylock.Event], contenders: type[Contender]) -> None:
    pylock.run(["true"], "x")
    contenders().acquire("x")
    assert not pylock.run(["true"], "x", timeout=0).ran
    assert kinds(told) == ["granted", "released", "gave up"]


def test_listener_that_fails_changes_nothing_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: pylock.Event) -> None:
        raise ValueError(event.kind)

    end = pylock.on_event(fail)
    try:
        with pylock.lock("x") as hold:
            hold.check()
    finally:
        end()
        end()  # once more does nothing
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "a listener of on_event failed at <Event granted" in caplog.text
    assert not events.listeners


def test_log_event_writes_to_the_logger(caplog: pytest.LogCaptureFixture, contenders: type[Contender]) -> None:
    contenders().acquire("busy\x1b")
    end = pylock.on_event(pylock.log_event)
    try:
        with caplog.at_level(logging.DEBUG, "pylock"):
            with pylock.lock("x"):
                pass
            with pytest.raises(pylock.LockTimeout):
                pylock.lock("busy\x1b").acquire(0.01)
    finally:
        end()
    texts = [record.getMessage() for record in caplog.records]
    assert texts[0] == 'granted "x" (exclusive) after 0.000 s'
    assert texts[1].startswith('released "x" (exclusive) after 0.')
    assert texts[2] == 'waiting "busy\\x1b" (exclusive)'
    assert [record.levelname for record in caplog.records] == ["DEBUG", "DEBUG", "DEBUG", "WARNING"]
    assert caplog.records[0].event.token is not None  # type: ignore[attr-defined]


def test_nothing_is_made_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(events, "Event", made)
    hold = pylock.lock("x").acquire()
    with pytest.raises(pylock.LockTimeout):
        pylock.lock("x").acquire(0.01)
    hold.convert("shared")
    hold.release()


def test_release_is_told_to_those_who_were_told_of_the_grant(told: list[pylock.Event]) -> None:
    seen: list[pylock.Event] = []
    with pylock.lock("x"):
        kinds(told)
        end = pylock.on_event(seen.append)
    end()
    assert [event.kind for event in seen] == kinds(told) == ["released"]


def test_nothing_is_told_of_a_hold_from_before_somebody_listened() -> None:
    seen: list[pylock.Event] = []
    pylock.on_event(seen.append)()
    hold = pylock.lock("x").acquire()
    end = pylock.on_event(seen.append)
    hold.release()
    end()
    assert seen == []


# Examples


def output_of(example: str) -> str:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "hooks" / example], env=environment(), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_example_for_prometheus_counts() -> None:
    lines = output_of("metrics.py").splitlines()
    assert {'pylock_wait_seconds_count{lock="orders"} 1.0', 'pylock_hold_seconds_count{lock="orders"} 1.0'} <= {*lines}
    assert 'pylock_refusals_total{lock="orders",why="WouldBlock"} 1.0' in lines


def test_example_for_opentelemetry_makes_spans() -> None:
    text = output_of("traces.py")
    assert text.index('"name": "wait for orders"') < text.index("working") < text.index('"name": "hold orders"')


def test_listener_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="a listener is a function of one event, not 3"):
        pylock.on_event(3)  # type: ignore[arg-type]
