"""Locks in the middle of a shell script: by a descriptor that the script holds, so that its end lets go."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import PYLOCK, environment, pylock
from contender import Contender, until, waiting

import pylock as library
from pylock import _process as process
from pylock._acquiring.lending import Lent, release_lent
from pylock._deadlock.nesting import VARIABLE, OuterHold, outer_holds
from pylock._file.byterange import try_lock
from pylock._modes import ALL, BY_CODE, EXCLUSIVE, ModeRule
from pylock._queue.bells import is_unheard
from pylock._request import Request

SHELLS = [shell for shell in ("dash", "bash", "zsh", "busybox sh") if shutil.which(shell.split()[0])]
TAKE = 'exec 9<>"$(pylock path mid)" && pylock take --fd 9 mid'


class Script:
    """A script that runs, answers by lines, and reads what it is told."""

    def __init__(self, shell: str, file: Path, text: str, path: str) -> None:
        file.write_text(f"#!{shutil.which(shell.split(maxsplit=1)[0])} {' '.join(shell.split()[1:])}\n{text}\n")
        file.chmod(0o755)
        self.file = file
        self.process = subprocess.Popen(
            [file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(PATH=path),
        )  # fmt: skip
        self.pid = self.process.pid

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def child(self) -> int:
        """The pid of the command that it waits for."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return int(until(lambda: children.read_text().split())[-1])

    def end(self) -> tuple[int, str, str]:
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output, errors

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        with self.process:
            self.process.kill()


Start = Callable[..., Script]


@pytest.fixture(scope="session")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH on which the tested ``pylock`` comes first; it takes the place of the shell that starts it."""
    program = tmp_path_factory.mktemp("bin") / "pylock"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(PYLOCK)} "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


@pytest.fixture
def scripts(path: str, tmp_path: Path) -> Iterator[list[Script]]:
    made: list[Script] = []
    yield made
    for script in made:
        script.close()


@pytest.fixture
def start(scripts: list[Script], path: str, tmp_path: Path) -> Start:
    def start(text: str, shell: str = SHELLS[0]) -> Script:
        scripts.append(Script(shell, tmp_path / f"script{len(scripts)}", text, path))
        return scripts[-1]

    return start


def holders(name: str = "mid") -> list[int | None]:
    return [holder.pid for holder in library.inspect(name).holders]


every_shell = pytest.mark.parametrize("shell", SHELLS)


@every_shell
def test_script_holds_the_lock_until_it_lets_go(start: Start, shell: str) -> None:
    script = start(f"{TAKE} || exit; echo held; read go; pylock release --fd 9; echo free; read go", shell)
    assert script.line() == "held"
    (holder,) = library.inspect("mid").holders
    assert (holder.pid, holder.mode) == (script.pid, "exclusive")
    assert str(script.file) in (holder.command or "")
    assert pylock("run", "-n", "mid", "--", "true").returncode == 75
    script.go_on()
    assert script.line() == "free"
    assert holders() == []
    script.go_on()
    assert script.end() == (0, "", "")


@every_shell
def test_lock_is_free_once_the_script_was_killed(start: Start, shell: str) -> None:
    script = start(f"{TAKE} || exit; echo held; read go", shell)
    assert script.line() == "held"
    script.kill()
    library.lock("mid").acquire_nowait().release()


@every_shell
def test_subshell_holds_the_lock_by_its_redirection(start: Start, shell: str) -> None:
    form = '( pylock take --fd 9 mid || exit; echo held; read go ) 9<>"$(pylock path mid)"; echo free; read go'
    script = start(form, shell)
    assert script.line() == "held"
    assert len(holders()) == 1
    script.go_on()
    assert script.line() == "free"
    assert holders() == []


@every_shell
def test_script_runs_itself_under_its_lock_once(start: Start, shell: str) -> None:
    text = 'pylock held self || exec pylock run -n self -- "$0" "$@"\necho "$PYLOCK_NAME $PYLOCK_HELD" | wc -l; read go'
    script = start(text, shell)
    assert script.line().strip() == "1"
    assert len(holders("self")) == 1
    assert pylock("run", "-n", "self", "--", "true").returncode == 75
    script.go_on()
    assert script.end()[0] == 0


def test_caller_that_holds_by_a_descriptor_counts_for_its_scripts(start: Start) -> None:
    script = start(f"pylock held mid; echo $?; {TAKE}; pylock held mid; echo $?; exec 9>&-; pylock held mid; echo $?")
    assert script.end()[1].split() == ["1", "0", "1"]


def test_held_is_no_longer_so_once_the_caller_let_go() -> None:
    hold = library.lock("mid").acquire()
    seen = library.inspect("mid")
    variables = environment(PYLOCK_HELD=f"{os.getpid()} {seen.holders[0].start} EX 1 {seen.path}")
    assert pylock("held", "mid", env=variables).returncode == 0
    hold.release()
    assert pylock("held", "mid", env=variables).returncode == 1


def test_script_waits_in_the_queue_under_its_own_pid(start: Start) -> None:
    with library.lock("mid"):
        script = start(f"{TAKE} --reason deploy -p 3 -v && echo held && read go")
        waiting("mid", 1)
        (waiter,) = library.inspect("mid").waiters
        assert (waiter.pid, waiter.reason, waiter.priority) == (script.pid, "deploy", 3)
    assert script.line() == "held"
    assert holders() == [script.pid]
    assert library.inspect("mid").waiters == ()
    script.go_on()
    assert 'descriptor 9 holds "mid", token' in script.end()[2]


def test_script_is_told_what_it_waits_for(start: Start) -> None:
    with library.lock("mid"):
        script = start(TAKE)
        assert script.process.stderr is not None
        line = script.process.stderr.readline()
    assert line.startswith('pylock: waiting 1 s for "mid" (exclusive), place 1 of 1, held by pid')


@pytest.mark.parametrize(("options", "status"), [("-n", 75), ("-t 0.01", 75), ("-n -E 3", 3)])
def test_lock_that_is_busy_is_told_and_nothing_is_held(start: Start, options: str, status: int) -> None:
    with library.lock("mid", reason="release"):
        script = start(f"{TAKE} {options}; echo $?; read go")
        assert script.line() == str(status)
    library.lock("mid").acquire_nowait().release()
    script.go_on()
    assert f"held by pid {os.getpid()}" in script.end()[2]


@pytest.mark.parametrize("mode", ["concurrent_read", "concurrent_write"])
def test_holder_that_is_seen_by_its_seat_is_seen_after_a_wait(start: Start, mode: str) -> None:
    with library.lock("mid"):
        script = start(f"{TAKE} --mode {mode} && echo held && read go")
        waiting("mid", 1)
    assert script.line() == "held"
    assert [(holder.pid, holder.mode) for holder in library.inspect("mid").holders] == [(script.pid, mode)]


def test_closed_lock_is_not_had_by_a_script(start: Start) -> None:
    library.define("mid", capacity=0)
    assert "the lock is closed" in start(f"{TAKE} -n").end()[2]


@pytest.mark.parametrize("mode", ALL, ids=lambda mode: mode.code)
def test_script_excludes_what_its_mode_excludes(start: Start, mode: ModeRule) -> None:
    script = start(f"{TAKE} --mode {mode.code} && echo held && read go")
    assert script.line() == "held"
    for other in ALL:
        try:
            library.lock("mid", other.name).acquire_nowait().release()
            let_in = True
        except library.WouldBlock:
            let_in = False
        assert let_in == (other.code in BY_CODE[mode.code].compatible), other.name
    (holder,) = library.inspect("mid").holders
    assert (holder.pid, holder.mode) == (script.pid, mode.name)


def test_scripts_share_a_capacity_by_weight(start: Start) -> None:
    script = start(f"{TAKE} -c 3 -w 2 && echo held && read go")
    assert script.line() == "held"
    assert library.inspect("mid").used == 2
    assert start(f"{TAKE} -c 3 -w 2 -n").end()[0] == 75
    assert start(f"{TAKE} -c 3 -n").end()[0] == 0


def test_script_holds_several_locks_by_several_descriptors(start: Start) -> None:
    other = 'exec 8<>"$(pylock path other)" && pylock take --fd 8 other'
    script = start(f"{TAKE}; {other}; echo held; read go; pylock release --fd 9; echo one; read go")
    assert script.line() == "held"
    assert holders("mid") == holders("other") == [script.pid]
    script.go_on()
    assert script.line() == "one"
    assert (holders("mid"), holders("other")) == ([], [script.pid])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_take_that_is_ended_leaves_nothing_behind_and_the_script_goes_on(number: int, start: Start) -> None:
    with library.lock("mid"):
        script = start(f"{TAKE}; echo $?; read go")
        waiting("mid", 1)
        os.kill(script.child(), number)
        assert script.line() == str(128 + number)
        waiting("mid", 0)
    library.lock("mid").acquire_nowait().release()


def test_nobody_waits_for_a_script_that_was_killed(start: Start) -> None:
    with library.lock("mid"):
        script = start(TAKE)
        waiting("mid", 1)
        taker = script.child()
        script.process.kill()
        waiting("mid", 0)
        until(lambda: not process.command_line(taker))


def test_script_that_would_wait_for_itself_is_told(start: Start) -> None:
    second = 'exec 8<>"$(pylock path mid)"; pylock take --fd 8 mid; echo $?'
    script = start(f"{TAKE}; {second}; pylock run mid -- true; echo $?; pylock take --fd 9 mid; echo $?")
    _, output, errors = script.end()
    assert output.split() == ["125"] * 3
    assert errors.count(f"this command already runs under it (exclusive), held for it by pid {script.pid}") == 2
    assert "descriptor 9 holds a lock already" in errors


def test_command_without_the_environment_of_its_caller_is_told_of_the_descriptor_it_has() -> None:
    inner = [*PYLOCK, "run", "mid", "--", "true"]
    done = pylock("run", "mid", "--", "env", "-u", "PYLOCK_HELD", *inner)
    assert done.returncode == 125
    assert "this command already runs under it" in done.stderr


def test_settings_for_commands_do_not_hinder_a_script(start: Start, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[resource]\ncreate = false\nidle_lifespan = 0\nreason = 'by file'\n")
    script = start(f"{TAKE} --config {settings} && echo held && read go")
    assert script.line() == "held"
    assert library.inspect("mid").holders[0].reason == "by file"


def test_two_scripts_that_wait_for_each_other_are_not_left_waiting(start: Start) -> None:
    def taking(one: str, two: str) -> str:
        takes = [
            f'exec {fd}<>"$(pylock path {name})"; pylock take --fd {fd} {name}' for fd, name in ((8, one), (9, two))
        ]
        return "; echo held; read go; ".join(takes)

    both = [start(taking("a", "b")), start(taking("b", "a"))]
    assert [script.line() for script in both] == ["held", "held"]
    for script in both:
        script.go_on()
    ends = [script.end() for script in both]
    assert sorted(status for status, _, _ in ends) == [0, 125]
    assert any("would wait for ever" in errors for _, _, errors in ends)


def test_command_in_the_background_keeps_the_lock_unless_it_is_let_go_by_hand(start: Start) -> None:
    script = start(f"{TAKE}; sleep 60 & echo $!; read go; pylock release --fd 9; echo free; read go")
    background = int(script.line())
    try:
        assert len(os.readlink(f"/proc/{background}/fd/9")) > 0
        script.go_on()
        assert script.line() == "free"
        library.lock("mid").acquire_nowait().release()
    finally:
        os.kill(background, signal.SIGKILL)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("pylock take --fd 9 mid", "--fd=9: is not open"),
        ("pylock take --fd 1 mid", "--fd=1: is for input and output; use 3 or more"),
        ("pylock take mid", "--fd is missing"),
        ("pylock take --fd 99999999999999999999 mid", "is not open"),
        ('exec 9<"$(pylock path mid)"; pylock take --fd 9 mid', "must be open for reading and writing"),
        ('exec 9<>"$(pylock path b)"; pylock take --fd 9 mid', 'is not open on the lock file of "mid"'),
        ('exec 9<>"$(pylock path mid)"; rm "$PYLOCK_DIR/mid.lock"; pylock take --fd 9 mid', "was made anew meanwhile"),
        ('exec 9<>"$(pylock path mid)"; pylock release --fd 9', "descriptor 9 holds no lock"),
        ("exec 9<>$0; pylock take --fd 9 mid", 'is not open on the lock file of "mid"'),
        ("pylock release", "--fd is missing"),
    ],
)
def test_what_cannot_be_taken_or_let_go_is_told(start: Start, text: str, told: str) -> None:
    status, output, errors = start(text).end()
    assert (status, output) == (125, "")
    assert told in errors
    assert holders() == []


def test_other_kinds_of_locks_are_not_for_take(start: Start) -> None:
    with library.pool("mid", ["a", "b"]):
        assert "is a pool, not a lock" in start(f"{TAKE} -n").end()[2]


def test_path_is_that_of_a_file_with_the_mode_of_its_directory(directory: Path) -> None:
    directory.chmod(0o770)
    before = os.umask(0o077)
    try:
        done = pylock("path", "a b")
    finally:
        os.umask(before)
    assert done.stdout == f"{directory}/a%20b.lock\n"
    assert (directory / "a%20b.lock").stat().st_mode & 0o777 == 0o660


def test_token_is_printed_on_request(start: Start) -> None:
    script = start('exec 9<>"$(pylock path mid)"; token=$(pylock take --fd 9 --token mid); echo "$token"; read go')
    assert int(script.line()) == library.inspect("mid").holders[0].token
    assert holders() == [script.pid]


def test_lock_is_free_if_the_token_cannot_be_printed(start: Start) -> None:
    script = start('exec 9<>"$(pylock path mid)"; pylock take --fd 9 --token mid > /dev/full; echo $?; read go')
    assert script.line() == "125"
    assert holders() == []


@pytest.fixture
def lent() -> Iterator[int]:
    """A descriptor of the lock's file, as a script has it."""
    with library.lock("mid"):
        pass
    fd = os.open(library.inspect("mid").path, os.O_RDWR)
    yield fd
    os.close(fd)


STRUCK_AT_THE_GRANT = """
import sys
from pylock._cli import console, script
from pylock._queue.drivers import drive

def wait(steps, requests, quiet):
    drive(steps)
    raise script.Struck(15)

script.wait = wait
console()
"""


def test_signal_at_the_moment_of_the_grant_leaves_nothing_held(lent: int) -> None:
    words = [sys.executable, "-c", STRUCK_AT_THE_GRANT, "take", "--fd", str(lent), "mid"]
    with library.lock("mid"):
        take = subprocess.Popen(words, env=environment(), pass_fds=[lent])
        waiting("mid", 1)
    assert take.wait() == -signal.SIGTERM
    library.lock("mid").acquire_nowait().release()


def test_try_that_fails_half_way_leaves_nothing_held(lent: int) -> None:
    def fail(fd: int, request: Request, seat: int | None) -> None:
        assert try_lock(fd, EXCLUSIVE.lock or b"")
        raise OSError(errno.EIO, "no answer")

    own = os.open(library.inspect("mid").path, os.O_RDWR)
    try:
        with pytest.raises(OSError, match="no answer"):
            Lent(fail, lent)(own, library.lock("mid").request, None)
    finally:
        os.close(own)
    library.lock("mid").acquire_nowait().release()


def test_release_rings_the_bell_of_who_waits(lent: int, contenders: type[Contender]) -> None:
    takes = [sys.executable, "-m", "pylock", "take", "--fd", str(lent), "mid"]
    subprocess.run(takes, env=environment(), pass_fds=[lent], check=True)
    waiter = contenders()
    waiter.start_acquiring("mid")
    waiter.stop()
    release_lent(lent)
    assert is_unheard(library.inspect("mid").path, 0)
    waiter.go_on()
    assert isinstance(waiter.answer(), int)


def test_lock_whose_file_could_not_be_written_is_let_go_as_any(lent: int, contenders: type[Contender]) -> None:
    """As on a full disk, where a plain lock needs no byte."""
    assert try_lock(lent, EXCLUSIVE.lock or b"")
    waiter = contenders()
    waiter.start_acquiring("mid")
    waiting("mid", 1)
    os.ftruncate(lent, 0)
    release_lent(lent)
    assert waiter.answer(), "the token"


def test_lock_whose_file_cannot_be_read_is_let_go_all_the_same(lent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*words: object) -> bytes:
        raise OSError(errno.EIO, "no answer")

    assert try_lock(lent, EXCLUSIVE.lock or b"")
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", fail)
        with pytest.raises(OSError, match="no answer"):
            release_lent(lent)
    library.lock("mid").acquire_nowait().release()


def test_take_under_a_run_of_the_same_lock_is_told_so_and_not_that_it_is_busy() -> None:
    text = f"exec 9<>{shlex.quote(os.environ['PYLOCK_DIR'])}/mid.lock; {shlex.join(PYLOCK)} take --no-wait --fd 9 mid"
    done = pylock("run", "mid", "--", "sh", "-c", text)
    assert (done.returncode, "already runs under it" in done.stderr) == (125, True), done.stderr


def test_what_others_hold_is_not_what_a_script_runs_under(start: Start) -> None:
    """So its command, which the others are in the way of, is in no deadlock."""
    asks = "pylock run -t 0.1 -m PW mid -- true; echo $?"
    script = start(f"{TAKE} --mode concurrent_read || exit; echo held; read go; {asks}")
    assert script.line() == "held"
    with library.lock("mid", "shared"):
        script.go_on()
        assert script.line() == "75"


@pytest.mark.parametrize("path", ["/locks/50%0Aoff/x.lock", "/locks/two\nlines/x.lock", "/locks/%25/x.lock"])
def test_chain_keeps_the_paths_as_they_are(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(OuterHold(1, 2, "EX", 1, path)))
    assert [outer.path for outer in outer_holds()] == [path]
