"""A request meets the header of the lock file: where nobody has said what the lock is, the first request does."""

from __future__ import annotations

import os

from .._errors import BadLockFile, DefinitionMismatch, LockError
from .._file.header import Definition, is_blank, put_header, read_head, read_header, write_header
from .._file.layout import NO_ROOM
from .._file.lockfile import leave_gate, refresh, take_gate
from .._request import Request, Terms


def learn(fd: int, request: Request) -> Terms:
    """Read the header and check the request against it; give the lock a definition if it has none.

    Raises BadLockFile, DefinitionMismatch, LockError, `header.Gone`, OSError.
    """
    terms = request.terms  # once, as another thread may learn something else meanwhile
    if os.pread(fd, request.header_size, 0) != terms.header:
        request.terms = terms = Terms(*_agree(fd, request))
    return terms


def read_terms(fd: int, request: Request) -> tuple[bytes, Terms]:
    """Read all that a grant must know, the bytes of which are locked by now: the head of the file, and the terms."""
    head = os.pread(fd, request.head_size, 0)
    terms = request.terms
    return head, terms if head.startswith(terms.header) else learn(fd, request)


def learn_anew(fd: int, request: Request) -> Terms:
    """As `learn`, for who waits: a closed lock is not tried, as to take it for a moment would look like holding it.

    So no lock is taken that would make what is read fresh.
    """
    terms = learn(fd, request)
    if not terms.limit and request.directory.remote:
        refresh(fd)
        terms = learn(fd, request)
    return terms


def _agree(fd: int, request: Request) -> tuple[bytes, Definition]:
    """Return the header and what it says, once the request fits it."""
    while True:
        head, terms = os.pread(fd, request.header_size, 0), request.terms
        if head == terms.header:  # as we have just written it
            return head, terms.definition
        try:
            definition = _definition(head, request)
        except BadLockFile:
            head = _reread(fd)
            definition = _definition(head, request)
        completed = request.expected if definition is None else _completed(definition, request.expected)
        if completed == definition:
            _check(definition, request)
            return head[: request.header_size], definition
        try:
            _define(fd, request, completed)
        except OSError as error:
            if error.errno not in NO_ROOM or definition is not None or completed != Definition():
                raise
            return write_header(request.name, completed), completed  # which who asks for no more does not need


def _definition(head: bytes, request: Request) -> Definition | None:
    """What the file says of itself; None if it is new."""
    return None if is_blank(head) else read_header(head, request.name, request.path)


def _reread(fd: int) -> bytes:
    """Read the header again under the gate, as it may have been just about to be written, or be of another kind."""
    gate = take_gate(fd)
    try:
        return read_head(fd)
    finally:
        if gate:
            leave_gate(fd)


def _completed(definition: Definition, mine: Definition) -> Definition:
    """The definition, with what the request expects where nobody has said anything."""
    if definition.defined or definition.kind != mine.kind:
        return definition
    capacity, policy = definition.given_capacity, definition.given_policy
    return Definition(
        mine.given_capacity if capacity is None else capacity, mine.given_policy if policy is None else policy,
        False, mine.kind, definition.places or mine.places, definition.leaving,
    )  # fmt: skip


def _define(fd: int, request: Request, wanted: Definition) -> None:
    """Write the definition under the gate, unless somebody else was faster."""
    if not take_gate(fd):
        raise LockError(
            f'lock "{request.name}" is being defined by a process that does not go on; look for a stopped one',
            name=request.name,
        )
    try:
        definition = _definition(read_head(fd), request)
        if definition is None or _completed(definition, request.expected) == wanted:
            put_header(fd, request.path, request.name, wanted)
    finally:
        leave_gate(fd)


def _check(definition: Definition, request: Request) -> None:
    mine = request.expected
    if definition.kind != mine.kind:
        raise DefinitionMismatch(
            f'"{request.name}" is a {definition.kind}, not a {mine.kind} as asked here; ask for it as what it is, or'
            " use another name",
            name=request.name,
        )
    if not definition.defined:
        for what, asked, given in (
            ("capacity", mine.given_capacity, definition.given_capacity),
            ("policy", mine.given_policy, definition.given_policy),
            ("elements", mine.elements or None, definition.elements),
        ):
            if asked is not None and asked != given:
                raise DefinitionMismatch(
                    f'{mine.kind} "{request.name}" has {what} {given}, not {asked} as asked here; ask for the same'
                    ' everywhere, or set it with pylock.define or "pylock set"',
                    name=request.name,
                )
