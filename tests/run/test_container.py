"""`pylock run` as the first process of a container: it reaps what nobody else does, and ends when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import PYLOCK, environment
from contender import until, waiting

import pylock as library

CONTAINER = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]
"""A namespace of processes of its own, whose first process is what follows."""
ORPHANS = 'for i in 1 2 3; do sh -c "sleep 0 & echo \\$!" >>pids; done'


def can_make_containers() -> bool:
    try:
        return subprocess.run([*CONTAINER, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(
    not can_make_containers(), reason="this system does not let us make a namespace of processes (unshare --pid)"
)


class Container:
    """A container whose first process is ``pylock run``."""

    def __init__(self, place: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [*CONTAINER, *PYLOCK, "run", *words], cwd=place, env=environment(), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    @property
    def first(self) -> int:
        """The pid of its first process, as seen from outside."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(until(lambda: children.read_text().split())[0])

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> tuple[int, str]:
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output + errors

    def close(self) -> None:
        with self.process:
            self.process.kill()


Run = Callable[..., Container]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made: list[Container] = []

    def run(*words: str) -> Container:
        made.append(Container(tmp_path, *words))
        return made[-1]

    yield run
    for container in made:
        container.close()


@pytest.mark.parametrize("options", [[], ["--wait-for=tree"], ["--new-group"]], ids=str)
def test_orphans_are_reaped_while_the_command_runs(run: Run, options: list[str]) -> None:
    gone = "for pid in $(cat pids); do while test -d /proc/$pid; do sleep 0.01; done; done; echo reaped"
    status, printed = run(*options, "x", "--", "sh", "-c", f"{ORPHANS}; {gone}; exit 3").end()
    assert (status, printed) == (3, "reaped\n")


def test_term_is_handed_on_and_its_end_is_the_end(run: Run) -> None:
    container = run("x", "--", "sh", "-c", "trap 'echo told; exit 7' TERM; echo begun; while :; do sleep 0.01; done")
    assert container.line() == "begun"
    os.kill(container.first, signal.SIGTERM)
    assert container.end() == (7, "told\n")
    library.lock("x").acquire_nowait().release()


def test_command_that_a_signal_ends_ends_the_container(run: Run) -> None:
    container = run("x", "--", "sh", "-c", "echo begun; exec sleep 60")
    assert container.line() == "begun"
    os.kill(container.first, signal.SIGTERM)
    assert container.end()[0] == 128 + signal.SIGTERM


def test_term_ends_it_while_it_waits(run: Run) -> None:
    with library.lock("x"):
        container = run("x", "--", "true")
        waiting("x", 1)
        os.kill(container.first, signal.SIGTERM)
        assert container.end()[0] == 128 + signal.SIGTERM
        waiting("x", 0)


def test_containers_with_one_volume_take_turns(run: Run) -> None:
    container = run("x", "--", "sh", "-c", "echo begun; read go")
    assert container.line() == "begun"
    assert run("-n", "x", "--", "true").end()[0] == 75


def test_container_that_is_killed_lets_go(run: Run) -> None:
    container = run("x", "--", "sh", "-c", "echo begun; exec sleep 60")
    assert container.line() == "begun"
    os.kill(container.first, signal.SIGKILL)
    container.end()
    library.lock("x").acquire_nowait().release()


NOBODY = ["unshare", "--user", "--map-user=54321"]
"""A user of whom the password database knows nothing."""


def test_user_without_a_name_needs_only_a_directory() -> None:
    words = [*NOBODY, *PYLOCK, "run", "x", "--", *PYLOCK, "status", "x"]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=True)
    assert "54321" in done.stdout
    variables = environment()
    del variables["PYLOCK_DIR"]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 125
    assert "user 54321 has no home directory to keep locks in; name a directory or set PYLOCK_DIR" in done.stderr


def test_only_the_lock_directory_is_written(directory: Path) -> None:
    read_only = 'mount --bind "$PYLOCK_DIR" "$PYLOCK_DIR" && mount -o remount,bind,ro / && exec "$@"'
    words = ["unshare", "--mount", "--map-root-user", "sh", "-c", read_only, "sh", *PYLOCK, "run", "x", "--"]
    done = subprocess.run([*words, "touch", "/x"], env=environment(), capture_output=True, text=True, check=False)
    if "mount" in done.stderr:
        pytest.skip(f"this system does not let us mount: {done.stderr}")
    assert "Read-only file system" in done.stderr
    assert (directory / "x.lock").stat().st_size > 0
