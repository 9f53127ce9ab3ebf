"""What every test gets: a lock directory of its own, contenders that end with it, and a time-out with all stacks."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import remote as file_server
from command import Running, Start
from contender import Contender
from watchdog import TEST_SECONDS, Watchdog


@pytest.fixture(autouse=True, scope="session")
def default_signals() -> None:
    """Who starts the tests by nohup or in the background of a script has these ignored, and so would every child.

    From a handler a child gets the default of a signal; and a write to one that has ended does not end the tests.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, lambda number, frame: None)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def no_test_touches_the_users_own_locks() -> Iterator[None]:
    own = Path.home() / ".local/state/pylock"
    before = {path: path.stat().st_mtime for path in own.glob("*")}
    yield
    assert {path: path.stat().st_mtime for path in own.glob("*")} == before


def _give_up(number: int, frame: object) -> None:
    stacks = "\n".join("".join(traceback.format_stack(each)) for each in sys._current_frames().values())
    pytest.fail(f"stuck for {TEST_SECONDS} s; the stacks of all threads:\n{stacks}")


@pytest.fixture(scope="session")
def watchdog() -> Iterator[Watchdog]:
    signal.signal(signal.SIGVTALRM, _give_up)
    with Watchdog() as found:
        yield found


@pytest.fixture(autouse=True)
def watched(watchdog: Watchdog) -> None:
    watchdog.fed()


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lock directory of this test, which is also the default one."""
    path = tmp_path / "locks"
    path.mkdir(mode=0o700)
    monkeypatch.setenv("PYLOCK_DIR", str(path))
    return path


@pytest.fixture
def contenders() -> Iterator[type[Contender]]:
    """The class of contenders; every one that was made is ended with the test."""
    Contender.made.clear()
    yield Contender
    for contender in Contender.made:
        contender.end()


@pytest.fixture
def remote(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lock directory, which this process takes for one on a file server, where other hosts can lock too."""
    file_server.take_for_remote(str(directory), monkeypatch.setattr)
    return directory


@pytest.fixture
def hosts(remote: Path, contenders: type[Contender]) -> type[Contender]:
    """The class of contenders on hosts of their own, each with its own memory of the files of that directory."""

    class Remote(contenders):  # type: ignore[misc, valid-type]
        interpreter = file_server.HOST

    return Remote


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    """For what blocks; it has come to its end when the test has."""
    with ThreadPoolExecutor(110) as threads:  # made as they are needed
        yield threads


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a pylock command in the background; all are ended with the test."""
    started: list[Running] = []

    def begin(*words: str, **options: Any) -> Running:
        started.append(Running(*words, **options))
        return started[-1]

    yield begin
    for running in started:
        running.close()
