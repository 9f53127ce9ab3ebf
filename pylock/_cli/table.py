"""Status as people and programs read it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

from .._errors import harmless
from .._file.layout import UNLIMITED
from .._status import Contender, Holder, LockStatus, Waiter, shorten

_HEAD = ("LOCK", "USED", "WHO", "MODE", "WHAT", "PID", "HOST", "USER", "AGE", "COMMAND", "REASON")
_MAY_BE_EMPTY = ("WHAT", "REASON")
_COMMAND_WIDTH = 40


def as_table(locks: tuple[LockStatus, ...], directory: str) -> str:
    """Return a table with a row for each holder and waiter, and one for each lock that has neither."""
    if not locks:
        return f"no locks in {harmless(directory)}"
    rows: list[tuple[str, ...]] = [_HEAD]
    for lock in locks:
        rows += _rows(lock, time.time())
    for column in (_HEAD.index(name) for name in reversed(_MAY_BE_EMPTY)):
        if not any(row[column] for row in rows[1:]):
            rows = [row[:column] + row[column + 1 :] for row in rows]
    shown = [tuple(map(harmless, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]
    return "\n".join(lines + _closings(locks))


def _closings(locks: tuple[LockStatus, ...]) -> list[str]:
    """A line for each closed lock that somebody waits for or holds, or of which it is known who closed it."""
    return [
        harmless(f'"{shorten(lock.name)}" is closed {lock.closed or ""}'.rstrip())
        for lock in locks
        if not lock.definition.capacity and (lock.closed or lock.holders or lock.waiters)
    ]


def _rows(lock: LockStatus, now: float) -> list[tuple[str, ...]]:
    used = _used(lock)
    people: list[Contender] = [*lock.holders, *lock.waiters]
    if not people:
        return [(shorten(lock.name), used, "free" if lock.definition.capacity else "closed", *[""] * 8)]
    rows = []
    for contender in people:
        who = f"waits #{contender.place}" if isinstance(contender, Waiter) else "holds"
        weight = f" x{contender.weight}" if contender.weight > 1 else ""
        rows.append((
            shorten(lock.name), used, who, f"{contender.mode}{weight}",
            shorten(contender.below or contender.value or "", _COMMAND_WIDTH),
            str(contender.pid or "?"), contender.host or "?", contender.user or "?", _age(contender.since, now),
            shorten(contender.command or "?", _COMMAND_WIDTH), shorten(contender.reason or ""),
        ))  # fmt: skip
        used = ""
    return [rows[0], *((("", *row[1:])) for row in rows[1:])]


def _used(lock: LockStatus) -> str:
    capacity = lock.definition.capacity
    if capacity == UNLIMITED:
        return str(lock.used) if lock.used else ""
    return f"{lock.used}/{capacity}"


def _age(since: float | None, now: float) -> str:
    if since is None:
        return "?"
    seconds = max(int(now - since), 0)
    for size, unit, smaller, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            return f"{seconds // size}{unit}{seconds % size // smaller:02}{small_unit}"
    return f"{seconds}s"


def as_json(locks: tuple[LockStatus, ...]) -> str:
    """Return one JSON object: {"locks": [...]}, times in seconds since 1970, capacity null where unlimited."""
    return json.dumps({"locks": [_lock_fields(lock) for lock in locks]}, indent=2)


def _lock_fields(lock: LockStatus) -> dict[str, object]:
    definition = lock.definition
    return {
        "name": lock.name,
        "path": lock.path,
        "kind": definition.kind,
        "elements": definition.elements,
        "capacity": None if definition.capacity == UNLIMITED else definition.capacity,
        "policy": definition.policy,
        "defined": definition.defined,
        "closed": lock.closed and asdict(lock.closed),
        "settings": lock.settings,
        "used": lock.used,
        "holders": [_fields(holder) for holder in lock.holders],
        "waiters": [_fields(waiter) for waiter in lock.waiters],
    }


def _fields(contender: Holder | Waiter) -> dict[str, object]:
    return asdict(contender) | {"mode": str(contender.mode)}
