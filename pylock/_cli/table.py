"""Status as people and programs read it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

from .._errors import harmless
from .._file.layout import SHARED_FIRST, UNLIMITED
from .._modes import BY_NAME
from .._status import Closing, Contender, Holder, LockStatus, Unusable, Waiter, shorten

JSON_FORMAT = 1
"""Counts up when a program that reads the JSON of before would misread it; new fields alone do not count."""

_HEAD = ("LOCK", "USED", "POLICY", "WHO", "MODE", "WHAT", "PID", "HOST", "USER", "AGE", "COMMAND", "REASON")
_MAY_BE_EMPTY = ("POLICY", "WHAT", "REASON")
_COMMAND_WIDTH = 40
_GAP = "  "

_CODES, _NOTHING = -1, 0
_NARROWER = (
    ("COMMAND", 12), ("HOST", 8), ("USER", 6), ("MODE", _CODES), ("REASON", 24), ("USER", _NOTHING), ("HOST", _NOTHING),
    ("REASON", 12), ("POLICY", _NOTHING), ("WHAT", 8), ("LOCK", 12), ("WHAT", _NOTHING), ("COMMAND", _NOTHING),
)  # fmt: skip
"""What is done to a table that is wider than the terminal, one after another until it fits: a column is cut, to so many
characters at least, spelled by codes, or left out. AGE never is."""

Columns = dict[str, list[str]]
"""The cells of a table, by the heads of its columns."""


def as_table(
    locks: tuple[LockStatus, ...], directory: str, unusable: tuple[Unusable, ...] = (), width: int | None = None
) -> str:
    """Return a table with a row for each holder and waiter, and one for each lock that has neither, and each bad file.

    ``width`` is what there is room for; None for as wide as need be.
    """
    if not locks and not unusable:
        return f"no locks in {harmless(directory)}"
    columns = columns_of(locks, unusable, width)
    widths = [max(len(head), *map(len, cells)) for head, cells in columns.items()]
    rows = [tuple(columns), *zip(*columns.values(), strict=True)]
    lines = (_GAP.join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines if width is None else (shorten(line, max(width, 2)) for line in lines))


def columns_of(locks: tuple[LockStatus, ...], unusable: tuple[Unusable, ...], width: int | None) -> Columns:
    """Return the table by columns, those in use first; all cells are harmless, and fit into the width together."""
    now = time.time()
    rows = [row for lock in sorted(locks, key=_order) for row in _rows(lock, now)]
    rows += [_row_of_unusable(bad) for bad in unusable]
    columns: Columns = {head: list(map(harmless, cells)) for head, *cells in zip(_HEAD, *rows, strict=True)}
    for head in _MAY_BE_EMPTY:
        if not any(columns[head]):
            del columns[head]
    if width is not None:
        _fit(columns, width)
    return columns


def _order(lock: LockStatus) -> tuple[int, str]:
    """Who holds and waits first, then what is closed, then what is free."""
    in_use = lock.holders or lock.waiters
    return (0 if in_use else 1 if lock.definition.capacity == 0 else 2), lock.name


def _fit(columns: Columns, width: int) -> None:
    """Make the table as narrow as is needed, at the cost of what tells least."""
    for head, least in _NARROWER:
        over = _width(columns) - width
        if over <= 0:
            return
        if head not in columns:
            continue
        if least == _NOTHING:
            del columns[head]
        elif least == _CODES:
            columns[head] = [_code(cell) for cell in columns[head]]
        else:
            most = max(least, _width_of(head, columns) - over)
            cut = _cut_path if head in ("LOCK", "WHAT") else shorten
            columns[head] = [cut(cell, most) for cell in columns[head]]


def _cut_path(text: str, most: int = 60) -> str:
    """As `shorten`; but a path keeps its end, by which those of one branch differ."""
    text = harmless(text)
    return f"…{text[1 - most :]}" if text.startswith(("/", "…")) and len(text) > most else shorten(text, most)


def _width(columns: Columns) -> int:
    return sum(_width_of(head, columns) for head in columns) + len(_GAP) * (len(columns) - 1)


def _width_of(head: str, columns: Columns) -> int:
    return max(len(head), *map(len, columns[head]))


def _code(mode: str) -> str:
    """The code of a mode, with the weight that may stand behind it."""
    name, space, weight = mode.partition(" ")
    return (BY_NAME[name].code if name in BY_NAME else name) + space + weight


def _rows(lock: LockStatus, now: float) -> list[tuple[str, ...]]:
    closed = lock.definition.capacity == 0
    people: list[Contender] = [*lock.holders, *lock.waiters]
    rows = [_row_of(contender, now) for contender in people]
    if closed:
        rows.insert(0, _row_of_closed(lock.closed, now))
    elif not people:
        rows = [("free", *[""] * 8)]
    policy = lock.definition.policy
    first = (_cut_path(lock.name), _used(lock), "" if policy == SHARED_FIRST else policy)
    return [(*first, *rows[0]), *(("", "", "", *row) for row in rows[1:])]


def _row_of(contender: Contender, now: float) -> tuple[str, ...]:
    who = f"waits #{contender.place}" if isinstance(contender, Waiter) else "holds"
    who += " (stopped)" if contender.is_stopped else ""
    weight = f" x{contender.weight}" if contender.weight > 1 else ""
    return (
        who, f"{contender.mode}{weight}", _cut_path(contender.below or contender.value or "", _COMMAND_WIDTH),
        *_process(contender, now), shorten(contender.reason or ""),
    )  # fmt: skip


def _row_of_closed(closed: Closing | None, now: float) -> tuple[str, ...]:
    """By whom, since when and why, if that is known."""
    if closed is None:
        return ("closed", *[""] * 8)
    return (
        "closed", "", "", "", closed.host or "?", closed.user or "?", _age(closed.since, now), "",
        shorten(closed.reason or ""),
    )  # fmt: skip


def _process(contender: Contender, now: float) -> tuple[str, ...]:
    return (
        _pid(contender), contender.host or "?", contender.user or "?", _age(contender.since, now),
        shorten(contender.command or ("?" if contender.pid else str(contender)), _COMMAND_WIDTH),
    )  # fmt: skip


def _pid(contender: Contender) -> str:
    """In parentheses if it is none of this host that can be seen from here, so that nobody takes it for one."""
    text = str(contender.shown_pid or "?")
    return text if contender.whereabouts in ("here", "unknown") else f"({text})"


def _row_of_unusable(bad: Unusable) -> tuple[str, ...]:
    return (shorten(bad.file), "", "", bad.problem, *[""] * 7, shorten(bad.why, 120))


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


def as_json(locks: tuple[LockStatus, ...], directory: str, unusable: tuple[Unusable, ...] = ()) -> str:
    """Return one JSON object; times in seconds since 1970, capacity null where unlimited."""
    fields = {
        "format": JSON_FORMAT,
        "directory": directory,
        "locks": [_lock_fields(lock) for lock in locks],
        "unusable": [asdict(bad) for bad in unusable],
    }
    return json.dumps(fields, indent=2)


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
    told = {"mode": str(contender.mode), "pid": contender.shown_pid, "whereabouts": contender.whereabouts}
    return asdict(contender) | told | {"stopped": contender.is_stopped}
