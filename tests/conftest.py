"""What every test gets: a lock directory of its own, contenders that end with it, and a time-out with all stacks."""

from __future__ import annotations

import faulthandler
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import remote as file_server
from contender import Contender

TEST_SECONDS = 120


@pytest.fixture(autouse=True, scope="session")
def default_signals() -> None:
    """Who starts the tests in the background of a script has these ignored, and so would every child."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def stacks_when_stuck() -> Iterator[None]:
    faulthandler.dump_traceback_later(TEST_SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


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
