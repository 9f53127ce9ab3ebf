"""Status in the text format that Prometheus reads, for the textfile collector of node_exporter."""

from __future__ import annotations

import time
from collections import Counter

from .._file.layout import UNLIMITED
from .._status import Holder, LockStatus, Unusable, Waiter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Sample = tuple[dict[str, str], float]

_PROBLEMS = ("damaged", "foreign", "unreadable")


def exposition(locks: tuple[LockStatus, ...], unusable: tuple[Unusable, ...], directory: str) -> str:
    """Return all gauges. Source: Prometheus, exposition formats, text-based format 0.0.4."""
    lines: list[str] = []
    for name, meaning, samples in _gauges(locks, unusable):
        found = list(samples)
        if found:
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
            lines += [f"{name}{_labels({'directory': directory} | labels)} {value:.17g}" for labels, value in found]
    return "".join(f"{line}\n" for line in lines)


def _gauges(
    locks: tuple[LockStatus, ...], unusable: tuple[Unusable, ...]
) -> Iterator[tuple[str, str, Iterator[Sample]]]:
    now = time.time()
    by_problem = Counter(bad.problem for bad in unusable)
    limited = [lock for lock in locks if lock.definition.capacity != UNLIMITED]
    yield "pylock_holders", "Holders of the lock, by mode.", _holders(locks)
    yield "pylock_waiters", "Who waits for the lock.", (_sample(lock, len(lock.waiters)) for lock in locks)
    yield (
        "pylock_longest_wait_seconds",
        "How long the longest waiter has waited; 0 if nobody waits.",
        (_sample(lock, _longest(lock.waiters, now)) for lock in locks),
    )
    yield (
        "pylock_longest_hold_seconds",
        "How long the longest holder has held the lock; 0 if nobody holds it.",
        (_sample(lock, _longest(lock.holders, now)) for lock in locks),
    )
    yield "pylock_used_units", "Units of the capacity that are held.", (_sample(lock, lock.used) for lock in limited)
    yield (
        "pylock_capacity_units",
        "Units that shared holders may have together; 0 is closed.",
        (_sample(lock, lock.definition.capacity) for lock in limited),
    )
    yield (
        "pylock_unusable_files",
        "Files that are called like lock files, and cannot be used.",
        (({"problem": problem}, by_problem[problem]) for problem in _PROBLEMS),
    )
    yield "pylock_time_seconds", "When this was looked at, in seconds since 1970.", iter([({}, now)])


def _holders(locks: tuple[LockStatus, ...]) -> Iterator[Sample]:
    for lock in locks:
        modes = Counter(str(holder.mode) for holder in lock.holders) or Counter({"exclusive": 0})
        for mode, count in sorted(modes.items()):
            yield {"lock": lock.name, "mode": mode}, count


def _sample(lock: LockStatus, value: float) -> Sample:
    return {"lock": lock.name}, value


def _longest(people: tuple[Holder, ...] | tuple[Waiter, ...], now: float) -> float:
    return max((now - each.since for each in people if each.since), default=0.0)


def _labels(labels: dict[str, str]) -> str:
    """Labels are UTF-8: what of a name is none is written as it is printed."""
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
