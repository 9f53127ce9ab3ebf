"""`define`: setting what a lock is, also while it is held and waited for."""

from __future__ import annotations

import os
from time import monotonic, sleep

from . import _process as process
from ._acquiring.attempt import PLAIN
from ._acquiring.place import ring_next
from ._errors import DefinitionMismatch, LockError, explained
from ._file.byterange import ANYBODY, is_free, let_go
from ._file.closing import note_closing, note_settings, settings_fields
from ._file.descriptors import drop
from ._file.directories import resolve
from ._file.header import Definition, Gone, is_blank, put_header, read_head, read_header
from ._file.layout import KINDS, LIFE_SLOT, LOCK, NO_ROOM, POOL, SLOT_SIZE, file_name, now, slots_start
from ._file.lockfile import leave_gate, open_file, take_gate
from ._file.removal import finish_removal
from ._kinds.pools import check_elements, rearranged
from ._request import Request, Terms, check_capacity, check_policy, make_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from os import PathLike
    from typing import TypeVar

    Result = TypeVar("Result")

_FIRST_WORDS = 0.1
"""Seconds within which who has taken a new lock has written what it is, if there is room."""


class _Change:
    """What is to be set; None leaves as it is."""

    def __init__(
        self, capacity: int | None, policy: str | None, elements: tuple[str, ...] | None, kind: str | None
    ) -> None:
        self.capacity = capacity
        self.policy = policy
        self.elements = elements
        self.kind = kind if elements is None else POOL

    def apply(self, fd: int, old: Definition, request: Request) -> Definition:
        if self.kind not in (None, old.kind):
            raise DefinitionMismatch(
                f'"{request.name}" is a {old.kind}, which cannot become a {self.kind}; use another name',
                name=request.name,
            )
        places, leaving = old.places, old.leaving
        if self.elements is not None:
            places, leaving = rearranged(fd, old, self.elements)
        return Definition(
            old.given_capacity if self.capacity is None else self.capacity,
            old.given_policy if self.policy is None else self.policy,
            True, old.kind, places, leaving,
        )  # fmt: skip


def define(
    name: str,
    *,
    capacity: int | None = None,
    policy: str | None = None,
    elements: Iterable[str] | None = None,
    kind: str | None = None,
    reason: str | None = None,
    directory: str | PathLike[str] | None = None,
) -> Definition:
    """Set a lock's capacity, policy, or elements of a pool; None leaves as it is. Returns what holds from now on.

    It wins over what `lock` calls ask for, touches no holder, and is on the disk when this returns. Capacity 0 closes
    the lock: nobody is granted it, in any mode but null, until it is opened again; those who wait keep their place, and
    are told who closed it, since when, and the ``reason``, which is for closing only.
    An element that is taken out while it is held is not given out again. ``kind`` makes a lock that nobody has used
    yet a "path", "pool", "sequence" or "timestamp"; one that is in use has its kind already.

    Raises ValueError, TypeError, BadLockFile, OSError; DefinitionMismatch for a lock of another kind; LockError if a
    stopped process stands in the gate of the lock file.
    """
    check_capacity(capacity)
    check_policy(policy)
    if reason is not None and capacity != 0:
        raise ValueError("a reason is for closing a lock, with capacity 0")
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if elements is not None and kind not in (None, POOL):
        raise ValueError(f"elements are for a {POOL}, not for a {kind}")
    change = _Change(capacity, policy, None if elements is None else check_elements(elements), kind)
    return _changed(name, directory, lambda fd, request: _define(fd, request, change, reason))


def settle(
    name: str, settings: Mapping[str, object], where: str, directory: str | PathLike[str] | None, *, makes: bool
) -> tuple[Definition, Definition] | None:
    """Let the lock be as the settings files say, in the words of `define`, if they say something else than last time.

    Return what held before and what holds now, if that differs. What `define` said goes on counting until the settings
    change, and a closed lock stays closed. ``makes``: a lock that nobody has used yet is made, a plain one.
    Raises as `define`; DefinitionMismatch, naming the place ``where``, if a program asked for something else.
    """
    path = os.path.join(resolve(directory).path, file_name(name))
    if not (makes or os.path.exists(path)):
        return None
    before, after = _changed(name, directory, lambda fd, request: _settle(fd, request, settings, where, makes))
    return None if (before.capacity, before.policy) == (after.capacity, after.policy) else (before, after)


def _changed(name: str, directory: str | PathLike[str] | None, work: Callable[[int, Request], Result]) -> Result:
    """Open the lock file, do the work, wake who may go on, and see to it that it is on the disk."""
    request = make_request(name, "exclusive", directory=directory, kind=PLAIN)
    for _ in range(1000):
        fd = open_file(request.path, request.directory)
        try:
            result = work(fd, request)
            ring_next(fd, request)
            os.fsync(fd)
            return result
        except Gone:
            finish_removal(request.path)
            sleep(0.001)
        except OSError as error:
            raise explained(error, request.path) from error.__cause__
        finally:
            drop(fd)
    raise LockError(f"{request.path} vanishes as often as it is opened", name=name)


def _define(fd: int, request: Request, change: _Change, reason: str | None) -> Definition:
    _enter_gate(fd, request)
    try:
        head = _settled_head(fd, request)
        # A plain lock may be held without a header, where there was no room for one.
        first = Definition(kind=change.kind or LOCK) if is_free(fd, ANYBODY) else Definition()
        old = first if is_blank(head) else read_header(head, request.name, request.path)
        new = change.apply(fd, old, request)
        request.terms = Terms(put_header(fd, request.path, request.name, new), new)
        if change.capacity is not None:
            _note_who_closed(fd, slots_start(request.name, new.kind), new, reason)
        return new
    finally:
        let_go(fd)  # the gate, and units of a pool that changed hands


def _enter_gate(fd: int, request: Request) -> None:
    if not take_gate(fd):
        raise LockError(
            f'"{request.name}" cannot be defined now: a process that does not go on stands in its gate; look for a'
            " stopped one",
            name=request.name,
        )


def _settled_head(fd: int, request: Request) -> bytes:
    """Read the header; if there is none, let who has just taken the lock write one, which takes the gate."""
    deadline = monotonic() + _FIRST_WORDS
    while is_blank(head := read_head(fd)) and not is_free(fd, ANYBODY) and monotonic() < deadline:
        leave_gate(fd)
        sleep(0.001)
        _enter_gate(fd, request)
    return head


def _note_who_closed(fd: int, start: int, definition: Definition, reason: str | None) -> None:
    """Keep who closed the lock, for as long as it is closed, and as far as the disk has room."""
    me = process.identity()
    who = None if definition.capacity else {"uid": me.uid, "host": me.host, "since": now(), "reason": reason}
    _put_life(fd, start, note_closing(fd, start, who))


def _settle(
    fd: int, request: Request, settings: Mapping[str, object], where: str, makes: bool
) -> tuple[Definition, Definition]:
    """Return what held before and what holds from now on."""
    _enter_gate(fd, request)
    try:
        head = read_head(fd)
        if is_blank(head) and not makes:
            return Definition(), Definition()
        old = Definition() if is_blank(head) else read_header(head, request.name, request.path)
        start = slots_start(request.name, old.kind)
        known = settings_fields(fd, start)
        new = old
        if known != settings and old.capacity:
            wanted = Definition(
                settings.get("capacity", old.given_capacity), settings.get("policy", old.given_policy),  # type: ignore[arg-type]
                True, old.kind, old.places, old.leaving,
            )  # fmt: skip
            if is_blank(head):
                old = new = Definition(wanted.given_capacity, wanted.given_policy)
                request.terms = Terms(put_header(fd, request.path, request.name, new), new)
            elif known is not None:
                new = wanted
                request.terms = Terms(put_header(fd, request.path, request.name, new), new)
            elif not old.defined:
                _refuse_contradiction(request, old, wanted, where)
            _put_life(fd, start, note_settings(fd, start, settings))
        return old, new
    finally:
        let_go(fd)


def _refuse_contradiction(request: Request, old: Definition, wanted: Definition, where: str) -> None:
    """Raise DefinitionMismatch if the lock has been defined otherwise by a program that asked for it."""
    for what in ("capacity", "policy"):
        given, said = getattr(old, f"given_{what}"), getattr(wanted, f"given_{what}")
        if given is not None and given != said:
            raise DefinitionMismatch(
                f'"{request.name}" has {what} {given}, as a program asked for it ({request.path}), and {said} in'
                f' [locks."{request.name}"] of {where}; change one of them, or say which by "pylock set"',
                name=request.name,
            )


def _put_life(fd: int, start: int, line: bytes | None) -> None:
    """Write the slot of the life, as far as the disk has room."""
    try:
        if line is not None:
            os.pwrite(fd, line, start + LIFE_SLOT * SLOT_SIZE)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
