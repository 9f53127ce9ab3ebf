"""`define`: setting what a lock is, also while it is held and waited for."""

from __future__ import annotations

import os
from time import sleep

from ._acquiring.attempt import PLAIN, put_record
from ._acquiring.waiting import ring_next
from ._errors import DefinitionMismatch, LockError, explained
from ._file.byterange import let_go
from ._file.descriptors import drop
from ._file.header import Definition, Gone, is_blank, put_header, read_head, read_header
from ._file.layout import DEFINER_SLOT, KINDS, LOCK, POOL, now
from ._file.lockfile import open_file, take_gate
from ._file.removal import finish_removal
from ._kinds.pools import check_elements, rearranged
from ._request import Request, Terms, check_capacity, check_policy, make_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike


class _Change:
    """What is to be set; None leaves as it is."""

    def __init__(
        self, capacity: int | None, policy: str | None, elements: tuple[str, ...] | None, kind: str | None
    ) -> None:
        self.capacity = capacity
        self.policy = policy
        self.elements = elements
        self.kind = POOL if elements is not None and kind is None else kind

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
    directory: str | PathLike[str] | None = None,
) -> Definition:
    """Set a lock's capacity, policy, or elements of a pool; None leaves as it is. Returns what holds from now on.

    It wins over what `lock` calls ask for, touches no holder, and is on the disk when this returns. Capacity 0 closes
    the lock: nobody is granted it, in any mode but null, until it is opened again; those who wait keep their place.
    An element that is taken out while it is held is not given out again. ``kind`` makes a lock that nobody has used
    yet a "path", "pool", "sequence" or "timestamp"; one that is in use has its kind already.

    Raises ValueError, TypeError, BadLockFile, OSError; DefinitionMismatch for a lock of another kind; LockError if a
    stopped process stands in the gate of the lock file.
    """
    check_capacity(capacity)
    check_policy(policy)
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    change = _Change(capacity, policy, None if elements is None else check_elements(elements), kind)
    request = make_request(name, "exclusive", directory=directory, kind=PLAIN)
    for _ in range(1000):
        fd = open_file(request.path, request.directory)
        try:
            definition = _define(fd, request, change)
            ring_next(fd, request)
            os.fsync(fd)
            return definition
        except Gone:
            finish_removal(request.path)
            sleep(0.001)
        except OSError as error:
            raise explained(error, request.path) from error.__cause__
        finally:
            drop(fd)
    raise LockError(f"{request.path} vanishes as often as it is opened", name=name)


def _define(fd: int, request: Request, change: _Change) -> Definition:
    if not take_gate(fd):
        raise LockError(
            f'"{request.name}" cannot be defined now: a process that does not go on stands in its gate; look for a'
            " stopped one",
            name=request.name,
        )
    try:
        head = read_head(fd)
        blank = is_blank(head)
        old = Definition(kind=change.kind or LOCK) if blank else read_header(head, request.name, request.path)
        new = change.apply(fd, old, request)
        request.terms = Terms(put_header(fd, request.path, request.name, new), new)
        put_record(fd, request, request.record(now(), None), request.slot_offset(DEFINER_SLOT))
        return new
    finally:
        let_go(fd)  # the gate, and units of a pool that changed hands
