"""The commands that look after locks: set, init, clean, signals."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from shlex import quote

from .._definitions import define
from .._errors import harmless
from .._file.directories import absolute, resolve
from .._file.layout import UNLIMITED
from .._file.texts import from_os
from .._run import signals as signames
from .._status import Holder, LockStatus, inspect, shorten
from . import complain
from .options import BUSY, UsageError, exactly_one
from .settings import directory_given, place
from .table import as_table
from .view import terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._file.header import Definition
    from .options import Values

DRAIN_SECONDS = 0.1
_NO_ID = 2**32 - 1
"""What chown(2) takes for no group at all; numbers of groups are below."""


def change_definition(values: Values, operands: list[str]) -> int:
    name = from_os(exactly_one(operands, "NAME"))
    where = place(values)
    directory = where.directory
    changes = {key: values[key] for key in ("capacity", "policy", "elements", "kind") if key in values}
    _refuse_contradictions(values)
    if not changes and not values.get("drain"):
        raise UsageError("nothing to set; use --capacity, --policy, --elements, --kind or --drain")
    before = inspect(name, directory)
    is_new = not os.path.exists(before.path)
    if changes:
        define(name, directory=directory, reason=values.get("reason"), **changes)
    after = inspect(name, directory)
    affected = replace(before, definition=after.definition, closed=after.closed)
    complain(str(where))
    made = " (a new lock: nobody has used that name)" if is_new and changes else ""
    print(f'"{harmless(name)}"{made}: {harmless(definition_changes(before.definition, affected.definition))}')
    print(_effect(affected))
    if said := _said_otherwise(after):
        print(harmless(f"settings files say {said}; what is set here counts until they change"))
    if affected.holders or affected.waiters:
        print(as_table((affected,), affected.path, width=terminal_width()))
    if values.get("drain"):
        return _drain(after, directory, bool(values.get("newcomers")), values.get("timeout"))
    return 0


def _said_otherwise(lock: LockStatus) -> str:
    """What settings files said of the lock, as far as it is something else."""
    holds = {"capacity": lock.definition.capacity, "policy": lock.definition.policy}
    return ", ".join(f"{key} {said}" for key, said in (lock.settings or {}).items() if said != holds.get(key))


def _refuse_contradictions(values: Values) -> None:
    for name in ("newcomers", "timeout"):
        if name in values and not values.get("drain"):
            raise UsageError(f"--{name} is for --drain")
    if "reason" in values and values.get("capacity") != 0:
        raise UsageError("--reason is for closing a lock, with --capacity=0")


def definition_changes(old: Definition, new: Definition) -> str:
    """Say what is different."""
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


def _drain(before: LockStatus, directory: str | None, newcomers: bool, timeout: float | None) -> int:
    """Wait until those who held it before are gone, or with ``newcomers`` everybody; return the exit status."""
    sys.stdout.flush()  # what was changed shall be read meanwhile, also through a pipe
    deadline = None if timeout is None else time.monotonic() + timeout
    old, told = set(map(_grant, before.holders)), set[object]()
    while holders := [each for each in inspect(before.name, directory).holders if newcomers or _grant(each) in old]:
        if deadline is not None and time.monotonic() >= deadline:
            there = _count(len(holders), "holder")
            complain(f'gave up after {timeout} s: still {there} of "{before.name}", first {holders[0]}')
            return BUSY
        if told != (told := set(map(_grant, holders))):
            complain(f'waiting for {_count(len(holders), "holder")} of "{before.name}", first {holders[0]}')
        time.sleep(DRAIN_SECONDS)
    return 0


def _grant(holder: Holder) -> tuple[object, ...]:
    """What no two grants have in common."""
    return holder.token, holder.host, holder.pid, holder.since


def make_directory(values: Values, operands: list[str]) -> int:
    from .._file.new_directory import make_shared

    path = absolute(directory_given(values, operands) or exactly_one(operands, "DIR"))
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
