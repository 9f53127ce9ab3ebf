"""`run`: the supervisor for Python programs, which may have threads, children and handlers of their own."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from types import FrameType
from typing import Any, Literal, Self
from uuid import uuid4

from .._acquiring.claims import Claims
from .._errors import LockTimeout, Unsupported
from .._file.descriptors import keep_in_child
from .._locks import Lock, checked_timeout, lock
from .._queue.drivers import drive
from .._several import Composite, Several, all_of
from .descendants import become_subreaper, children, environment_of
from .environment import variables
from .signals import ignorable, name_of
from .supervisor import FORWARDED, NOT_FOUND, RESUMING, CannotRun, find_program, undelivered
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

    Once the command has started, nothing but its end lets go of the lock: an exception of a handler of yours is raised
    after it. A signal that may not be handed on, as the command has become another user, is logged to "pylock".

    Raises FileNotFoundError and PermissionError for a command that cannot be run, before anything is waited for;
    ValueError; Unsupported for ``wait_for="tree"`` without /proc; and as `Lock.acquire`, save LockTimeout.
    """
    if isinstance(command, str) or not command:
        raise ValueError(f"the command must be a sequence of words, not {command!r}")
    _check_wait_for(wait_for)
    _refuse_lost_status()
    environment = dict(os.environ if env is None else env)
    program = _program(command[0], environment.get("PATH"))
    ignored = frozenset(ignorable(name) for name in ignore_signals)
    wanted = _several(locks)
    seconds = checked_timeout(timeout)
    claims = wanted.new_claim()
    refusal = _wait(claims, seconds)
    if refusal is not None:
        return Outcome(None, None, refusal.waited, False)
    cookie, status = uuid4().hex, -1
    try:
        environment |= {_COOKIE: cookie} | variables(claims, wanted.spoken_of(claims))
        options = {
            "args": list(command), "executable": program, "env": environment, "cwd": cwd, "stdin": stdin,
            "stdout": stdout, "stderr": stderr, "pass_fds": [claim.fd for claim in claims.claims],
        }  # fmt: skip
        with _Relay(ignored, new_group, cookie) as relay:  # before the start, so that no signal falls between
            status = _supervise(relay, options, new_group, cookie if wait_for == "tree" else None)
    finally:
        claims.release(failed=status != 0)
    relay.raise_interruption()
    return Outcome(None, -status, claims.waited, True) if status < 0 else Outcome(status, None, claims.waited, True)


def _check_wait_for(what: str) -> None:
    if what not in ("command", "tree"):
        raise ValueError(f'wait_for must be "command" or "tree", not {what!r}')
    if what == "tree" and children() is None:
        raise Unsupported('wait_for="tree" needs /proc, which tells the descendants of a command', path="/proc")


def _wait(claims: Claims, seconds: float | None) -> LockTimeout | None:
    """Wait for all of them; return the error of a wait in vain. After an error none is held."""
    try:
        drive(claims.steps(seconds, False))
    except LockTimeout as error:
        claims.give_up(error)
        return error
    except BaseException as error:
        claims.give_up(error)
        raise
    return None


def _supervise(relay: _Relay, options: dict[str, Any], new_group: bool, tree: str | None) -> int:
    """Start the command with these options of Popen, and wait for its end; return its return code.

    ``tree`` is the cookie of the descendants that are waited for too.
    """
    if tree is not None:
        become_subreaper()
    with _left_to_child(options["pass_fds"]):
        child = subprocess.Popen(**options, process_group=0 if new_group else None)
    relay.begin(child.pid)
    _await_end(child, new_group, relay)
    relay.end()  # before the pid is anybody else's
    status = child.wait()
    if tree is not None:
        _await_tree(tree)
    return status


@contextmanager
def _left_to_child(fds: Iterable[int]) -> Iterator[None]:
    """Within the block a command that is started gets these, also by gevent, which forks in Python.

    There a child closes its copies first of all, before it becomes another program.
    """
    forks_in_python = not _is_of_python(subprocess.Popen)
    try:
        for fd in fds if forks_in_python else ():
            keep_in_child(fd, True)
        yield
    finally:
        for fd in fds if forks_in_python else ():
            keep_in_child(fd, False)


def _is_of_python(popen: type) -> bool:
    """Whether it is not that of gevent or eventlet, which see to it that others run while a command does."""
    return popen.__module__ == "subprocess"


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


def _await_end(child: subprocess.Popen[bytes], new_group: bool, relay: _Relay) -> None:
    """Wait until the command has ended, but leave its exit status, so that its pid stays its own."""
    if not _is_of_python(type(child)):
        child.wait()
        return
    # In another thread the terminal is not taken from the main one, which may be reading it.
    terminal = Terminal() if new_group and threading.current_thread() is threading.main_thread() else None
    if terminal is not None:
        terminal.begin(child.pid)
    _follow_stops(child, terminal, relay)
    if terminal is not None:
        terminal.take_back_from(child.pid)
        terminal.close()


def _follow_stops(child: subprocess.Popen[bytes], terminal: Terminal | None, relay: _Relay) -> None:
    """Wait for the end; where there is a terminal, this program stops and goes on with the command."""
    watched = os.WEXITED | os.WNOWAIT | (os.WSTOPPED if terminal else 0)
    while True:
        try:
            event = os.waitid(os.P_PID, child.pid, watched)
            if event is not None and event.si_code == os.CLD_STOPPED:
                event = os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOHANG)  # taken; None if it goes on already
        except ChildProcessError:  # somebody else in this program has waited for it
            return
        if event is not None and event.si_code != os.CLD_STOPPED:
            return
        if event is not None and terminal is not None:
            terminal.follow_stop(child.pid, event.si_status, relay.send)


class _Relay:
    """In the main thread, hands signals on to the command for the time of the block; elsewhere it does nothing.

    The program's own handlers of other signals run meanwhile; what they raise waits for the end of the command.
    """

    def __init__(self, ignored: frozenset[int], new_group: bool, cookie: str) -> None:
        self._ignored = ignored
        self._cookie = cookie
        self._send = os.killpg if new_group else os.kill
        self._from_terminal = () if new_group or not in_foreground() else (signal.SIGINT, signal.SIGQUIT)
        self._child: int | None = None
        self._ended = False
        self._early: list[int] = []
        self._undelivered: set[int] = set()
        self._interruption: BaseException | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in signal.valid_signals():
                handler = signal.getsignal(number)
                if number == signal.SIGCHLD and handler is signal.SIG_IGN:
                    self._install(number, signal.SIG_DFL)
                elif number in FORWARDED | self._ignored and handler not in (signal.SIG_IGN, None):
                    self._install(number, self._take)
                elif callable(handler):
                    self._install(number, self._guarded(handler))
        return self

    def _install(self, number: int, handler: Any) -> None:
        try:
            self._before[number] = signal.signal(number, handler)
        except ValueError:  # the main thread of a subinterpreter, which cannot have handlers
            pass

    def _guarded(self, handler: Callable[[int, FrameType | None], Any]) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            try:
                handler(number, frame)
            except BaseException as error:
                self._interruption = error

        return handle

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def raise_interruption(self) -> None:
        """Raise what a handler of the program raised last."""
        if self._interruption is not None:
            raise self._interruption

    def begin(self, child: int) -> None:
        """Hand on what came before there was a command, and from now on what comes."""
        self._child = child
        for number in self._early:
            self._take(number, None)

    def end(self) -> None:
        """From now on hand on to its descendants only."""
        self._ended = True

    def send(self, number: int) -> None:
        """Signal the command, which has not been reaped, so that the pid is its own."""
        assert self._child is not None
        self._deliver(self._send, self._child, number)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if number in self._ignored or number in self._from_terminal:
            return
        if self._child is None:
            self._early.append(number)
        elif not self._ended:
            self.send(number)
        else:
            for pid in _descendants(self._cookie):
                self._deliver(os.kill, pid, number)

    def _deliver(self, send: Callable[[int, int], None], pid: int, number: int) -> None:
        try:
            send(pid, number)
            if number in RESUMING:
                send(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass
        except OSError as error:
            if number not in self._undelivered:
                self._undelivered.add(number)
                logging.getLogger("pylock").warning("%s", undelivered(name_of(number), pid, error))


def _await_tree(cookie: str) -> None:
    """Reap every descendant that was left to this process, and wait for the others."""
    while descendants := _descendants(cookie):
        try:
            os.waitpid(descendants[0], 0)
        except ChildProcessError:  # somebody else in this program has waited for it
            pass


def _descendants(cookie: str) -> list[int]:
    """The orphans of our command that this process has adopted; of zombies it is not known."""
    variable = f"{_COOKIE}={cookie}".encode()
    return [pid for pid in children() or () if variable in (environment_of(pid) or b"").split(b"\0")]
