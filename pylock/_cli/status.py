"""``pylock status``: who holds and who waits, for people, scripts and monitoring."""

from __future__ import annotations

from .._file.texts import from_os
from .._status import LockStatus, Unusable
from . import complain
from .options import UsageError, at_most_one
from .settings import place
from .table import as_json, as_table
from .view import View, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .options import Values

FREE, HELD, UNKNOWN, UNUSABLE = 0, 1, 2, 3
"""Exit statuses. Held is told with --quiet alone."""

_VIEWS = ("json", "watch", "quiet", "pids", "prometheus")


def show_status(values: Values, operands: list[str]) -> int:
    """Show it in the way that is asked for; return the exit status."""
    operand = at_most_one(operands, "NAME")
    name = None if operand is None else from_os(operand)
    views = [f"--{view}" for view in _VIEWS if view in values]
    if {"--watch", "--json"} <= set(views):
        raise UsageError("--watch shows a table; without it --json prints one look, as often as it is called")
    if len(views) > 1:
        raise UsageError(f"{views[0]} cannot be combined with {views[1]}")
    if name is None and "quiet" in values:
        raise UsageError("--quiet needs a NAME")
    where = place(values)
    view = View(where.directory, name)
    if "watch" in values:
        from .watch import watch

        return watch(view)
    locks, unusable = view.look()
    status = _say_what_is_wrong(name, locks, unusable, view.path)
    if "quiet" in values:
        return status or (HELD if _is_held(locks[0]) else FREE)
    print(_shown(values, locks, unusable, view.path, status), end="", flush=True)
    if not set(views) - {"--quiet"}:
        complain(str(where))
    return status


def _say_what_is_wrong(
    name: str | None, locks: tuple[LockStatus, ...], unusable: tuple[Unusable, ...], path: str
) -> int:
    """Say that there is no such lock, or which files are bad; return the exit status."""
    for bad in unusable:
        complain(f"{bad.path} is {bad.problem}: {bad.why}")
    if name is not None and not locks and not unusable:
        complain(f'there is no lock "{name}" in {path}; nobody has used it yet')
        return UNKNOWN
    return UNUSABLE if unusable else FREE


def _is_held(lock: LockStatus) -> bool:
    return any(holder.mode != "null" for holder in lock.holders)


def _shown(
    values: Values, locks: tuple[LockStatus, ...], unusable: tuple[Unusable, ...], path: str, status: int
) -> str:
    if "json" in values:
        return as_json(locks, path, unusable) + "\n"
    if "pids" in values:
        return "".join(f"{pid}\n" for pid in _pids(locks))
    if "prometheus" in values:
        from .prometheus import exposition

        return exposition(locks, unusable, path)
    return "" if status == UNKNOWN else as_table(locks, path, unusable, terminal_width()) + "\n"


def _pids(locks: tuple[LockStatus, ...]) -> list[int]:
    """Return the processes of this host that hold, each once."""
    return list(dict.fromkeys(holder.present[0] for lock in locks for holder in lock.holders if holder.present))
