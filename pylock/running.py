"""`run`: the supervisor for Python programs, which may have threads, children and handlers of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from time import monotonic, sleep
from types import FrameType
from typing import Any, Literal, Self
from uuid import uuid4

from . import nesting
from .descendants import become_subreaper, children
from .errors import LockTimeout
from .locks import Lock, lock
from .several import Composite, Several, all_of
from .signames import ignorable
from .supervisor import FORWARDED, NOT_FOUND, RESUMING, CannotRun, find_program
from .terminal import Terminal, in_foreground

_COOKIE = "PYLOCK_RUN"
"""A variable of the command's environment by which its descendants are told from other children."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command under a lock."""

    exit_code: int | None
    """The command's exit status; None if a signal ended it or it did not run."""
    signal: int | None
    """The signal that ended it."""
    waited: float
    """Seconds from the call to the grant, or until it was given up."""
    ran: bool
    """False if the lock could not be had in time."""


def run(
    command: Sequence[str],
    locks: str | Lock | Composite[Any] | Iterable[Lock | Composite[Any]],
    *,
    timeout: float | None = None,
    ignore_signals: Iterable[str | int] = (),
    new_group: bool = False,
    wait_for: Literal["command", "tree"] = "command",
    env: Mapping[str, str] | None = None,
    cwd: str | PathLike[str] | None = None,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
) -> Outcome:
    """Run a command under a lock, or under several, and let go only after it has ended.

    ``locks`` is a name, a lock of any kind, what `all_of` returns, or locks. A transactional value of a sequence goes
    back unless the command exits with 0. ``timeout`` in seconds counts for the locks: None is
    for ever, 0 one try. In the main thread the signals that end programs are handed on to the command meanwhile, but
    those of ``ignore_signals`` are swallowed; every handler is put back afterwards. In another thread no handler can
    be installed: the program's own ones stay, and a signal that ends the program leaves the lock with the command until
    that ends. ``wait_for="tree"`` waits for every descendant, for which this process adopts orphans from then on.

    Raises FileNotFoundError and PermissionError for a command that cannot be run, before anything is waited for;
    ValueError; and as `Lock.acquire`, save LockTimeout.
    """
    if isinstance(command, str) or not command:
        raise ValueError(f"the command must be a sequence of words, not {command!r}")
    if wait_for not in ("command", "tree"):
        raise ValueError(f'wait_for must be "command" or "tree", not {wait_for!r}')
    environment = dict(os.environ if env is None else env)
    _refuse_lost_status()
    program = _program(command[0], environment.get("PATH"))
    ignored = frozenset(ignorable(name) for name in ignore_signals)
    wanted = _several(locks)
    begun = monotonic()
    try:
        holds = wanted.acquire(timeout)
    except LockTimeout as error:
        return Outcome(None, None, error.waited, False)
    waited = monotonic() - begun
    cookie, status = uuid4().hex, -1
    try:
        environment |= {_COOKIE: cookie} | nesting.variables(holds._each(), holds.holds[0]._each()[-1])
        options = {
            "args": list(command), "executable": program, "env": environment, "cwd": cwd, "stdin": stdin,
            "stdout": stdout, "stderr": stderr, "pass_fds": [hold._fd for hold in holds._each()],
        }  # fmt: skip
        with _Relay(ignored, new_group, cookie) as relay:  # before the start, so that no signal falls between
            status = _supervise(relay, options, new_group, cookie if wait_for == "tree" else None)
    finally:
        holds._finish(status != 0)
    return Outcome(None, -status, waited, True) if status < 0 else Outcome(status, None, waited, True)


def _supervise(relay: _Relay, options: dict[str, Any], new_group: bool, tree: str | None) -> int:
    """Start the command with these options of Popen, and wait for its end; return its return code.

    ``tree`` is the cookie of the descendants that are waited for too.
    """
    if tree is not None:
        become_subreaper()
    child = subprocess.Popen(**options, process_group=0 if new_group else None)
    relay.begin(child)
    status = _wait(child, new_group)
    if tree is not None:
        _await_tree(tree)
    return status


def _refuse_lost_status() -> None:
    """Where SIGCHLD is ignored, the kernel keeps no exit status for anybody; only the main thread can change that."""
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN and threading.current_thread() is not threading.main_thread():
        raise ValueError(
            "this program ignores SIGCHLD, so that it cannot learn how a command ends; use"
            " signal.signal(SIGCHLD, SIG_DFL) in the main thread"
        )


def _several(locks: str | Lock | Composite[Any] | Iterable[Lock | Composite[Any]]) -> Several:
    if isinstance(locks, Several):
        return locks
    if isinstance(locks, str):
        return all_of(lock(locks))
    return all_of(locks) if isinstance(locks, Lock | Composite) else all_of(*locks)


def _program(name: str, path: str | None) -> str:
    try:
        return find_program(name, path)
    except CannotRun as error:
        kind = FileNotFoundError if error.exit_code == NOT_FOUND else PermissionError
        raise kind(2 if error.exit_code == NOT_FOUND else 13, str(error), name) from None


def _wait(child: subprocess.Popen[bytes], new_group: bool) -> int:
    """Wait for the command, whatever a handler of the caller raises meanwhile: the lock is not let go before."""
    interruption: BaseException | None = None
    # In another thread the terminal is not taken from the main one, which may be reading it.
    terminal = Terminal() if new_group and threading.current_thread() is threading.main_thread() else None
    while True:
        try:
            if terminal is not None:
                terminal.begin(child.pid)
                _follow_stops(child, terminal)
                terminal.take_back_from(child.pid)
                terminal.close()
            status = child.wait()
            break
        except BaseException as error:
            interruption = error
    if interruption is not None:
        raise interruption
    return status


def _follow_stops(child: subprocess.Popen[bytes], terminal: Terminal) -> None:
    """Wait until the command has ended, but not for its exit status; this program stops and goes on with it."""
    while True:
        try:
            event = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
            if event is not None and event.si_code == os.CLD_STOPPED:
                event = os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOHANG)  # taken; None if it goes on already
        except ChildProcessError:  # somebody else in this program has waited for it
            return
        if event is not None and event.si_code != os.CLD_STOPPED:
            return
        if event is not None:
            terminal.follow_stop(child.pid, event.si_status, lambda number: os.killpg(child.pid, number))


class _Relay:
    """In the main thread, hands signals on to the command for the time of the block; elsewhere it does nothing."""

    def __init__(self, ignored: frozenset[int], new_group: bool, cookie: str) -> None:
        self._ignored = ignored
        self._cookie = cookie
        self._send = os.killpg if new_group else os.kill
        self._from_terminal = () if new_group or not in_foreground() else (signal.SIGINT, signal.SIGQUIT)
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
                self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number in FORWARDED | self._ignored:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before.setdefault(number, signal.signal(number, self._take))
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def begin(self, child: subprocess.Popen[bytes]) -> None:
        """Hand on what came before there was a command, and from now on what comes."""
        self._child = child
        for number in self._early:
            self._take(number, None)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if number in self._ignored or number in self._from_terminal:
            return
        if self._child is None:
            self._early.append(number)
            return
        if self._child.returncode is None:
            self._send(self._child.pid, number)
            if number in RESUMING:
                self._send(self._child.pid, signal.SIGCONT)
        else:  # its descendants are waited for
            for pid in _descendants(self._cookie):
                os.kill(pid, number)
                if number in RESUMING:
                    os.kill(pid, signal.SIGCONT)


def _await_tree(cookie: str) -> None:
    """Reap every descendant that was left to this process, and wait for the others."""
    while descendants := _descendants(cookie):
        os.waitpid(descendants[0], 0)


def _descendants(cookie: str) -> list[int]:
    """The orphans of our command that this process has adopted."""
    return [pid for pid in children() if _has_cookie(pid, cookie)]


def _has_cookie(pid: int, cookie: str) -> bool:
    """Whether the process stems from our command; of a zombie, which has no environment any more, it is not known."""
    try:
        while not (environment := _read(pid, "environ")) and _is_becoming_another_program(pid):
            sleep(0.001)
    except OSError:
        return False
    return f"{_COOKIE}={cookie}".encode() in environment.split(b"\0")


def _is_becoming_another_program(pid: int) -> bool:
    """Whether it is in the middle of an execve(2), in which it has neither words nor variables."""
    state = _read(pid, "stat").rpartition(b")")[2].split()[0]
    return state not in (b"Z", b"X") and not _read(pid, "cmdline")


def _read(pid: int, what: str) -> bytes:
    with open(f"/proc/{pid}/{what}", "rb") as file:
        return file.read()
