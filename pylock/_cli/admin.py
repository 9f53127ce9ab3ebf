"""The commands that look after locks: set, init, clean, signals."""

from __future__ import annotations

import time
from dataclasses import replace
from shlex import quote

from .._definitions import define
from .._file.directories import absolute, resolve
from .._file.layout import UNLIMITED
from .._file.texts import from_os, harmless
from .._run import signals as signames
from .._status import LockStatus, inspect, shorten
from . import complain
from .options import UsageError
from .settings import directory_given, place
from .table import as_table
from .view import terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .options import Values

DRAIN_SECONDS = 0.1
_NO_ID = 2**32 - 1
"""What chown(2) takes for no group at all; numbers of groups are below."""


def _at_most_one(operands: list[str], what: str) -> str | None:
    if len(operands) > 1:
        raise UsageError(f"one {what} at most, not {' '.join(operands)}")
    return operands[0] if operands else None


def _exactly_one(operands: list[str], what: str) -> str:
    if len(operands) != 1:
        raise UsageError(f"needs one {what}, not {len(operands)}")
    return operands[0]


def change_definition(values: Values, operands: list[str]) -> int:
    name = from_os(_exactly_one(operands, "NAME"))
    where = place(values)
    directory = where.directory
    changes = {key: values[key] for key in ("capacity", "policy", "elements", "kind") if key in values}
    if not changes and not values.get("drain"):
        raise UsageError("nothing to set; use --capacity, --policy, --elements, --kind or --drain")
    before = inspect(name, directory)
    if changes:
        define(name, directory=directory, **changes)
    affected = replace(before, definition=inspect(name, directory).definition, definer=None)
    complain(str(where))
    print(f'"{harmless(name)}": {harmless(_changes(before, affected))}')
    print(_effect(affected))
    if affected.holders or affected.waiters:
        print(as_table((affected,), affected.path, width=terminal_width()))
    if values.get("drain"):
        _drain(name, directory)
    return 0


def _changes(before: LockStatus, after: LockStatus) -> str:
    old, new = before.definition, after.definition
    changes = []
    if old.capacity != new.capacity:
        changes.append(f"capacity {capacity_text(old.capacity)} -> {capacity_text(new.capacity)}")
    if old.policy != new.policy:
        changes.append(f"policy {old.policy} -> {new.policy}")
    if old.elements != new.elements:
        changes.append(f"elements {', '.join(old.elements) or 'none'} -> {', '.join(new.elements) or 'none'}")
    if old.kind != new.kind:
        changes.append(f"kind {old.kind} -> {new.kind}")
    return ", ".join(changes) or f"unchanged: capacity {capacity_text(new.capacity)}, policy {new.policy}"


def capacity_text(capacity: int) -> str:
    return "unlimited" if capacity == UNLIMITED else "0 (closed)" if capacity == 0 else str(capacity)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _effect(affected: LockStatus) -> str:
    people = f"{_count(len(affected.holders), 'holder')}, {_count(len(affected.waiters), 'waiter')}"
    over = affected.used - affected.definition.capacity
    if affected.definition.capacity == 0:
        return f"{people}; nobody starts{', the holders go on' if affected.holders else ''}"
    return f"{people}; {over} units too many are held, which nobody gets when they are let go" if over > 0 else people


def _drain(name: str, directory: str | None) -> None:
    told = 0
    while holders := inspect(name, directory).holders:
        if told != len(holders):
            told = len(holders)
            complain(f'waiting for {_count(told, "holder")} of "{name}", first {holders[0]}')
        time.sleep(DRAIN_SECONDS)


def make_directory(values: Values, operands: list[str]) -> int:
    from .._file.new_directory import make_shared

    path = absolute(directory_given(values, operands) or _exactly_one(operands, "DIR"))
    group = values.get("group")
    mode = 0o1777 if group is None else 0o2770
    make_shared(path, mode, -1 if group is None else _number_of_group(group), force="force" in values)
    print(f"{harmless(path)}: mode {mode:04o}, for {'everybody' if group is None else f'group {harmless(group)}'}")
    print(f"use it with: export PYLOCK_DIR={harmless(quote(path))}")
    return 0


def _number_of_group(group: str) -> int:
    """Return the number of a group given by name or number. Raises UsageError."""
    import grp

    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        number = int(group) if group.isascii() and group.isdigit() and len(group) < 11 else _NO_ID
    if number >= _NO_ID:
        raise UsageError(f"there is no group {shorten(group)!r}")
    return number


def clean_directory(values: Values, operands: list[str]) -> int:
    from .._file.removal import clean

    where = resolve(place(values, directory_given(values, operands)).directory)
    dry_run = bool(values.get("dry_run"))
    count = 0
    for name in clean(where, dry_run):
        print(f"{'would remove' if dry_run else 'removed'} {harmless(name)}")
        count += 1
    if where.remote:
        stay = f"lock files stay: {where.path} is on {where.mount.type}, where other hosts may still be opening them"
        print(harmless(stay))
    if not count:
        print(f"nothing to remove in {harmless(where.path)}")
    return 0


def list_signals(values: Values, operands: list[str]) -> int:
    if operands:
        raise UsageError("signals takes no operands")
    for name, number in signames.signals().items():
        print(f"{number:3} {name}")
    return 0
