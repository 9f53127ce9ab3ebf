"""Holds that go with a fork, to the child: for programs that take a lock and then become a daemon.

The kernel lock belongs to the open file description, of which the child has a copy; so it stays held, whatever becomes
of the parent, as long as nobody unlocks it. Here is who believes so: before the fork the parent, after it the child.
"""

from __future__ import annotations

import os
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


class AcrossFork:
    """The block within which claims go with each fork."""

    def __init__(self, claims: tuple[Claim, ...]) -> None:
        self._claims = claims

    def __enter__(self) -> Self:
        for claim in self._claims:
            if not claim.is_alive:
                raise claim.not_held()
        for claim in self._claims:
            _passing[claim] = claim.fd
            keep_in_child(claim.fd, True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for claim in self._claims:
            fd = _passing.pop(claim, -1)
            keep_in_child(fd, False)
            if claim.mark is process.ELSEWHERE and claim.fd >= 0:
                claim.fd = -1
                inside.pop(fd, None)
                close(fd)  # without unlocking, which would be for the child too


def _become_parent() -> None:
    for claim in _passing:
        claim.mark = process.ELSEWHERE


def _become_child() -> None:
    for claim, fd in _passing.items():
        if claim.fd == fd:
            claim.mark = process.current()
            if claim.entered_by is not None:
                inside[fd] = ref(claim)
            _sign(claim)


def _sign(claim: Claim) -> None:
    """Write this process into the record of the claim, in place of its parent; a record is only for show."""
    request, grant = claim.request, claim.grant
    assert grant is not None
    for place in grant[3]:
        try:
            fields = parse_line(os.pread(claim.fd, SLOT_SIZE, place)) or {}
            kept: dict[str, str] = {key: str(fields[key]) for key in ("below", "value") if key in fields}
            since = fields.get("since")
            put_record(claim.fd, request, request.record(since if isinstance(since, int) else 0, grant[0], kept), place)
        except OSError:
            continue


os.register_at_fork(after_in_parent=_become_parent, after_in_child=_become_child)
