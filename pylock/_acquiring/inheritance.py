"""Holds that go with a fork, to the child: for programs that take a lock and then become a daemon.

The kernel lock belongs to the open file description, of which the child has a copy; so it stays held, whatever becomes
of the parent, as long as nobody unlocks it. Here is who believes so: before the fork the parent, after it the child.
"""

from __future__ import annotations

import os
from _thread import get_ident
from _weakref import ref

from .. import _process as process
from .._deadlock.blocks import inside
from .._file.descriptors import close, keep_in_child
from .._file.header import parse_line
from .._file.layout import SLOT_SIZE
from .attempt import put_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from .claim import Claim

_passing: dict[Claim, int] = {}
"""The claims that the next fork hands to the child, and their descriptors."""
_pipes: dict[int, tuple[int, int]] = {}
"""The ends, for reading and writing, of the pipe of each thread that is forking."""


class AcrossFork:
    """The block within which claims go with each fork."""

    def __init__(self, claims: tuple[Claim, ...]) -> None:
        self._claims = claims

    def __enter__(self) -> Self:
        for claim in self._claims:
            claim.ensure_held()
        try:
            for claim in self._claims:
                _passing[claim] = claim.fd
                keep_in_child(claim.fd, True)
        except BaseException:  # a signal handler raised: no later fork is to take them along
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        went = [claim for claim in self._claims if claim.mark is process.ELSEWHERE and claim.fd >= 0]
        for claim in self._claims:
            keep_in_child(_passing.pop(claim, -1), False)
        for claim in went:
            fd, claim.fd = claim.fd, -1
            inside.pop(fd, None)
            close(fd)  # without unlocking, which would be for the child too


def _before_fork() -> None:
    """Stop believing, before the child begins to: what is here is wrong for a moment at most, and never too much.

    The pipe tells the parent whether there is a child, as its part comes also where the fork failed.
    """
    if _passing:
        _believe(process.ELSEWHERE)
        _pipes[get_ident()] = os.pipe()


def _become_parent() -> None:
    if not _passing:
        return
    if _there_is_no_child():
        _believe(process.current())
        return
    _believe(process.ELSEWHERE)
    while _passing:
        keep_in_child(_passing.popitem()[1], False)


def _become_child() -> None:
    if _passing:
        _believe(process.current())
    for claim, fd in _passing.items():
        if claim.fd == fd:  # else it was released meanwhile
            if claim.entered_by is not None:
                inside[fd] = ref(claim)
            _sign(claim)
    if get_ident() in _pipes:
        os.write(_pipes[get_ident()][1], b"!")
    while _pipes:  # those of other threads too, whose parent would wait for us
        for end in _pipes.popitem()[1]:
            os.close(end)


def _believe(mark: process.Mark) -> None:
    for claim in _passing:
        claim.mark = mark


def _there_is_no_child() -> bool:
    """Whether no child has said that it is there; if it could not, there is one, as two must never believe."""
    reading, writing = _pipes.pop(get_ident(), (-1, -1))
    if reading < 0:
        return False
    os.close(writing)
    try:
        return not os.read(reading, 1)  # nothing, once no other process has the pipe
    finally:
        os.close(reading)


def _sign(claim: Claim) -> None:
    """Write this process into the record of the claim, in place of its parent; a record is only for show."""
    request, grant = claim.request, claim.grant
    assert grant is not None
    for place in grant.places:
        try:
            before = os.pread(claim.fd, SLOT_SIZE, place)
            fields = parse_line(before) or {}
            kept: dict[str, str] = {key: str(fields[key]) for key in ("below", "value") if key in fields}
            put_record(claim.fd, request, request.record(request.since_in(before), grant.token, kept), place)
        except OSError:
            continue


os.register_at_fork(before=_before_fork, after_in_parent=_become_parent, after_in_child=_become_child)
