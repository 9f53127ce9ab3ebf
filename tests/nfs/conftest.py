"""What the scenarios get: two hosts, a lock directory that both see, and what only some sites can do to them.

Given as variables to make, and skipped without the first three:

    HOST_A, HOST_B   prefixes of commands that run on the hosts: "ssh a", "docker exec -i a"
    DIR              a directory of the file server, by the path that both hosts know it by
    HOST_PYTHON      the Python of the hosts, 3.11 or newer; by default python3
    HOST_PYLOCK      a directory on the hosts that has the package pylock, where their Python does not find it by itself
    LEASE            seconds after which the server gives away the locks of a host that it cannot reach; by default 90
    RESTART_SERVER   a command that restarts the file server
    CUT_A, JOIN_A    commands that cut HOST_A off from the server, and let it reach it again
    CRASH_A, BOOT_A  commands that switch HOST_A off as a power failure does, and on again, with DIR mounted
"""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import pytest
from contender import until
from watchdog import Watchdog

from nfs.hosts import Contender, Host

HOOK_SECONDS = 300
USAGE = 'needs two hosts: make test-nfs HOST_A="ssh a" HOST_B="ssh b" DIR=/srv/locks'
FIGURES: list[str] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        terminalreporter.section("figures")
        for figure in FIGURES:
            terminalreporter.write_line(figure)


class Site:
    """The two hosts, and the directory of this run, which is below DIR."""

    def __init__(self, alive: Callable[[], object]) -> None:
        python, copy = os.environ.get("HOST_PYTHON") or "python3", os.environ.get("HOST_PYLOCK", "")
        self.a = Host(os.environ["HOST_A"], python, copy, alive)
        self.b = Host(os.environ["HOST_B"], python, copy, alive)
        self.directory = str(PurePosixPath(os.environ["DIR"], f"pylock-test-{uuid.uuid4().hex[:8]}"))
        self.lease = float(os.environ.get("LEASE") or 90)
        self.a.run("mkdir", "-m", "700", self.directory)

    def close(self) -> None:
        self.a.close()
        self.b.close()
        self.b.run("rm", "-rf", self.directory)


@pytest.fixture(scope="session")
def site(watchdog: Watchdog) -> Iterator[Site]:
    if not all(os.environ.get(name) for name in ("HOST_A", "HOST_B", "DIR")):
        pytest.skip(USAGE)
    found = Site(watchdog.fed)
    yield found
    found.close()


@pytest.fixture
def place(site: Site, request: pytest.FixtureRequest) -> Iterator[str]:
    """The lock directory of this test, by its path on the hosts; what runs there afterwards is ended."""
    yield f"{site.directory}/{uuid.uuid4().hex[:8]}"
    site.a.tidy()
    site.b.tidy()


@pytest.fixture
def on_a(site: Site, place: str) -> Callable[[], Contender]:
    """Start a contender on the first host."""
    return lambda: site.a.contender(place)


@pytest.fixture
def on_b(site: Site, place: str) -> Callable[[], Contender]:
    """Start a contender on the second host."""
    return lambda: site.b.contender(place)


@pytest.fixture
def a(on_a: Callable[[], Contender]) -> Contender:
    return on_a()


@pytest.fixture
def b(on_b: Callable[[], Contender]) -> Contender:
    return on_b()


@pytest.fixture
def hook(watchdog: Watchdog) -> Callable[[str], Callable[[], None]]:
    """Get what this site can do, by the name of the variable; a test that needs more is skipped."""

    def get(name: str) -> Callable[[], None]:
        command = os.environ.get(name)
        if not command:
            pytest.skip(f'needs {name}="COMMAND"; tests/nfs/conftest.py says what it does')

        def carry_out() -> None:
            watchdog.fed()
            subprocess.run(command, shell=True, check=True, timeout=HOOK_SECONDS)
            watchdog.fed()

        return carry_out

    return get


class Link:
    """What lies between the first host and the server."""

    def __init__(self, cut: Callable[[], None], join: Callable[[], None]) -> None:
        self._cut = cut
        self._join = join
        self._is_cut = False

    def cut(self) -> None:
        self._is_cut = True
        self._cut()

    def join(self) -> None:
        if self._is_cut:
            self._join()
            self._is_cut = False


@pytest.fixture
def link(hook: Callable[[str], Callable[[], None]]) -> Iterator[Link]:
    """Cut it, and join it again; at the end of the test it is joined."""
    found = Link(hook("CUT_A"), hook("JOIN_A"))
    yield found
    found.join()


@pytest.fixture
def figure() -> Callable[[str], None]:
    """Note what was measured, to be shown after the tests."""
    return FIGURES.append


def waiting(contender: Contender, name: str, count: int) -> None:
    """Return once it sees so many in the queue of the lock."""
    until(lambda: len(contender.ask("inspect", name)["waiters"]) == count)
