"""What a kind of lock remembers in its own file, over crashes and power cuts.

Behind the header stand two copies, written by turns and each with a number and a checksum: while one is being written
the other is whole. Call everything under the gate.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from errno import ENOSPC
from typing import Any

from .._acquiring.attempt import LET_GO, attempt_units, put_record
from .._errors import BadLockFile, LockError
from .._file.bytemap import UNIT_COUNT
from .._file.byterange import let_go
from .._file.header import checksum, parse_line
from .._file.layout import STATE_SIZE, now
from .._file.lockfile import leave_gate, take_gate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from .._request import Grant, Pieces, Request

    Result = TypeVar("Result")

State = dict[str, Any]

_TRIES = 60_000
_SHORT = 200
"""Tries of one who can come again."""
_NEVER, _SECOND = -1, 1
"""Number 0 is the state in which no value was given; the copy that is written second tells whether one was."""
_NO_COPY = b"\0\n"
_NUMBERS = 1 << 63
"""What is given, and every time, is below."""


class GateTakenError(LockError):
    """Somebody else changes the state, and takes longer than was waited for."""


def changed(fd: int, request: Request, change: Callable[[State], Result | None], tries: int = _TRIES) -> Result | None:
    """Let ``change`` change the state under the gate, and keep it on the disk if its result is not None.

    Everybody holds the gate until the disk has the state, so it is waited for: ``tries`` milliseconds at least.
    Raises GateTakenError, BadLockFile for a damaged state, OSError.
    """
    if not take_gate(fd, tries):
        raise GateTakenError(
            f'the state of "{request.name}" is being changed by a process that does not go on; look for a stopped one',
            name=request.name,
        )
    try:
        number, state = _read(fd, request)
        if number == _NEVER:
            number += 1
            _write(fd, request, number, state)  # so that there is a whole copy from now on
            _sync_name(request)
        result = change(state)
        if result is not None:
            _write(fd, request, number + 1, state)
        return result
    finally:
        leave_gate(fd)


def attempt_with_value(fd: int, request: Request, value_for: Callable[[State, Pieces], Result | None]) -> Grant | None:
    """Take units, and note the value that they give; None if it is not to be had now."""
    grant = attempt_units(fd, request)
    if grant is None:
        return None
    try:
        value = changed(fd, request, lambda state: value_for(state, grant.pieces), _SHORT)
    except GateTakenError:
        value = None
    if value is None:
        let_go(fd, LET_GO)
        return None
    put_record(fd, request, request.record(now(), grant.token, {"value": str(value)}), grant.places[0])
    grant.value = value
    return grant


def _read(fd: int, request: Request) -> tuple[int, State]:
    """Return the newest whole copy with its number; nothing if no value can have been given yet."""
    copies = [os.pread(fd, STATE_SIZE, _offset(request, turn)) for turn in (0, 1)]
    whole = [fields for copy in copies if (fields := _parse(copy)) is not None]
    if not whole:
        if copies[_SECOND].strip(b"\0"):
            raise BadLockFile(
                f"{request.path} cannot be used: what it remembers of earlier values is damaged; restore it, or remove"
                " it if values may be given once more",
                path=request.path,
            )
        return _NEVER, {}
    newest = max(whole, key=lambda fields: int(fields["number"]))
    return int(newest.pop("number")), newest


def _write(fd: int, request: Request, number: int, state: State) -> None:
    text = json.dumps({**state, "number": number}, separators=(",", ":"))[:-1]
    line = f'{text},"check":"{checksum(text.encode()):08x}"}}\n'.encode()
    if len(line) > STATE_SIZE:
        raise LockError(f'"{request.name}" has more values out than its file can remember', name=request.name)
    try:
        if os.pwrite(fd, line, _offset(request, number % 2)) != len(line):
            raise OSError(ENOSPC, "cannot write all of the state", request.path)
        os.fdatasync(fd)
    except BaseException:
        with suppress(OSError):
            os.pwrite(fd, _NO_COPY, _offset(request, number % 2))  # what may not last shall not be read meanwhile
        raise


def _sync_name(request: Request) -> None:
    """Make the file's name in the directory as durable as the file."""
    fd = os.open(request.directory.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _offset(request: Request, turn: int) -> int:
    return request.header_size + turn * STATE_SIZE


def _parse(copy: bytes) -> State | None:
    """Return the fields of a whole copy; None also for one that no pylock wrote, whatever its checksum says."""
    text, comma, _ = copy.partition(b"\n")[0].rpartition(b',"check"')
    fields = parse_line(copy) if comma else None
    if fields is None or fields.pop("check", None) != f"{checksum(text):08x}" or "number" not in fields:
        return None
    return fields if all(_SHAPES[key](value) for key, value in fields.items() if key in _SHAPES) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _NUMBERS


def _are_numbers(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))


def _are_numbers_by_unit(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_unit, value)) and all(map(_is_number, value.values()))


def _is_unit(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20 and int(text) < UNIT_COUNT


_SHAPES = {
    "number": _is_number, "last": _is_number, "utc": _is_number, "wall": _is_number, "back": _are_numbers,
    "out": _are_numbers_by_unit,
}  # fmt: skip
"""What the fields of all kinds look like."""
