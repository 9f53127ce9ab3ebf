"""`run`: the supervisor for Python programs, which may have threads, children and handlers of their own."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EACCES, ENOENT
from os import PathLike
from typing import Any, Literal
from uuid import uuid4

from .._acquiring.claims import Claims
from .._acquiring.events import listeners, tell_granted, tell_refused
from .._errors import LockTimeout, Unsupported
from .._file.descriptors import keep_in_child
from .._file.records import show_child
from .._locks import Lock, checked_timeout, lock
from .._queue.drivers import drive
from .._several import Composite, Several, all_of
from .descendants import Family, become_subreaper, children
from .environment import refuse_untellable, variables
from .programs import NOT_FOUND, CannotRun, find_program
from .relay import Relay
from .signals import ignorable
from .terminal import Terminal

_COOKIE = "PYLOCK_RUN"
"""A variable of the command's environment by which its descendants are told from other children."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command under a lock."""

    exit_code: int | None
    """The command's exit status; None if a signal ended it, it did not run, or the program has reaped it elsewhere."""
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
    back unless the command exits with 0. ``timeout`` in seconds counts for the locks: None is for ever, 0 one try.
    ``wait_for="tree"`` waits for every descendant, for which this process adopts orphans from then on. The streams are
    as for subprocess.Popen, but no PIPE, as this returns after the end.

    In the main thread the signals that end programs are handed on to the command meanwhile, but those of
    ``ignore_signals`` are swallowed, and one of SIGCHLD is called after the end. Every handler is put back afterwards.
    In another thread no handler can be installed: the program's own ones stay, and a signal that ends the program
    leaves the lock with the command until that ends.

    Once the command has started, nothing but its end lets go of the lock: an exception of a handler of yours is raised
    after it. A signal that may not be handed on, as the command has become another user, is logged to "pylock".

    Raises FileNotFoundError and PermissionError for a command that cannot be run, before anything is waited for;
    ValueError; Unsupported for ``wait_for="tree"`` without /proc; and as `Lock.acquire`, save LockTimeout.
    """
    _check_wait_for(wait_for)
    _refuse_lost_status()
    environment = dict(os.environ if env is None else env)
    options = _options_of_popen(command, environment, stdin=stdin, stdout=stdout, stderr=stderr) | {"cwd": cwd}
    ignored = _checked_signals(ignore_signals)
    wanted = _several(locks)
    refuse_untellable(part.request.name for part in wanted.parts)
    seconds = checked_timeout(timeout)
    claims = wanted.new_claim()
    refusal = _wait(claims, seconds)
    if refusal is not None:
        return Outcome(None, None, refusal.waited, False)
    cookie = uuid4().hex
    status: int | None = None
    try:
        environment |= {_COOKIE: cookie} | variables(claims, wanted.spoken_of(claims))
        options |= {"env": environment, "pass_fds": [claim.fd for claim in claims.claims]}
        family = Family(f"{_COOKIE}={cookie}")
        with Relay(ignored, new_group, family) as relay:  # before the start, so that no signal falls between
            status = _supervise(relay, claims, options, new_group, family if wait_for == "tree" else None)
    finally:
        claims.release(failed=status != 0)
    relay.raise_interruption()
    return _outcome(status, claims.waited)


def _outcome(status: int | None, waited: float) -> Outcome:
    """What a return code of Popen means; None is one that is not known."""
    if status is not None and status < 0:
        return Outcome(None, -status, waited, True)
    return Outcome(status, None, waited, True)


def _check_wait_for(what: str) -> None:
    if what not in ("command", "tree"):
        raise ValueError(f'wait_for must be "command" or "tree", not {what!r}')
    if what == "tree" and children() is None:
        raise Unsupported('wait_for="tree" needs /proc, which tells the descendants of a command', path="/proc")


def _wait(claims: Claims, seconds: float | None) -> LockTimeout | None:
    """Wait for all of them; return the error of a wait in vain. After an error none is held."""
    for claim in claims.claims:
        claim.request.expect_child()
    try:
        drive(claims.steps(seconds))
        if listeners:
            tell_granted(claims)
    except BaseException as error:
        claims.give_up(error)
        if listeners:
            tell_refused(claims, error)
        if not isinstance(error, LockTimeout):
            raise
        return error
    return None


def _supervise(
    relay: Relay, claims: Claims, options: dict[str, Any], new_group: bool, tree: Family | None
) -> int | None:
    """Start the command with these options of Popen, and wait for its end; return its return code, None if unknown.

    ``tree`` are the descendants that are waited for too.
    """
    if tree is not None:
        become_subreaper()
    with _left_to_child(options["pass_fds"]):
        child = subprocess.Popen(**options, process_group=0 if new_group else None)
    relay.begin(child.pid)
    for claim in claims.claims:
        try:
            show_child(claim.fd, claim.grant.places if claim.grant else (), child.pid)
        except OSError:  # a record is for show
            break
    status = _await_end(child, new_group, relay)
    relay.end()  # before the pid is anybody else's
    child.wait()
    if tree is not None:
        tree.await_end()
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


def _options_of_popen(command: Sequence[str], environment: Mapping[str, str], **streams: object) -> dict[str, Any]:
    """Return what says how to start the command, and raise ValueError for what cannot be.

    Such as a pipe, whose other end nobody would have, so that the command could wait for ever.
    """
    if isinstance(command, str) or not command:
        raise ValueError(f"the command must be a sequence of words, not {command!r}")
    for stream, given in streams.items():
        if given == subprocess.PIPE:
            raise ValueError(
                f"{stream}=subprocess.PIPE: nobody could use its other end, as this returns when the command has ended;"
                " give an open file, or a descriptor of a pipe of your own"
            )
    return {"args": list(command), "executable": _program(command[0], environment.get("PATH")), **streams}


def _checked_signals(given: Iterable[str | int]) -> frozenset[int]:
    if isinstance(given, str):
        raise TypeError(f"ignore_signals must be several signals, as a list: [{given!r}]")
    return frozenset(map(ignorable, given))


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
        raise OSError(ENOENT if error.exit_code == NOT_FOUND else EACCES, str(error), name) from None


def _await_end(child: subprocess.Popen[bytes], new_group: bool, relay: Relay) -> int | None:
    """Wait until the command has ended, but do not reap it, so that its pid stays its own; return how, as Popen does.

    None if somebody else in this program has reaped it.
    """
    if not _is_of_python(type(child)):
        return child.wait()
    # In another thread the terminal is not taken from the main one, which may be reading it.
    terminal = Terminal() if new_group and threading.current_thread() is threading.main_thread() else None
    if terminal is not None:
        terminal.begin(child.pid)
    status = _follow_stops(child, terminal, relay)
    if terminal is not None:
        terminal.take_back_from(child.pid)
        terminal.close()
    if status is None:
        logging.getLogger("pylock").warning(
            "how pid %d ended is not known, as this program has waited for it elsewhere; it counts as failed", child.pid
        )
    return status


def _follow_stops(child: subprocess.Popen[bytes], terminal: Terminal | None, relay: Relay) -> int | None:
    """Wait for the end; where there is a terminal, this program stops and goes on with the command."""
    watched = os.WEXITED | os.WNOWAIT | (os.WSTOPPED if terminal else 0)
    while True:
        try:
            event = os.waitid(os.P_PID, child.pid, watched)
            if event is not None and event.si_code == os.CLD_STOPPED:
                event = os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOHANG)  # taken; None if it goes on already
        except ChildProcessError:
            return None
        if event is not None and event.si_code != os.CLD_STOPPED:
            return event.si_status if event.si_code == os.CLD_EXITED else -event.si_status
        if event is not None and terminal is not None:
            terminal.follow_stop(child.pid, event.si_status, relay.send)
