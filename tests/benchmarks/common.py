"""What the questions share: rounds by turns, medians, tables as aligned text, targets, a place for lock files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from statistics import median
from tempfile import TemporaryDirectory
from textwrap import fill
from typing import TypeVar

Key = TypeVar("Key")
Sample = tuple[float, ...]
"""What one round measured of one subject: one number per column."""

WIDTH = 110
NO_GROWTH = 1.5
"""Where something must not grow, a ratio up to this one is taken for noise."""


def interleaved(rounds: int, measures: Mapping[Key, Callable[[], Sample]]) -> dict[Key, Sample]:
    """Measure the subjects by turns, A B C A B C ..., and return the medians of each one's numbers."""
    samples: dict[Key, list[Sample]] = {key: [] for key in measures}
    for _ in range(rounds):
        for key, measure in measures.items():
            samples[key].append(measure())
    return {key: tuple(median(column) for column in zip(*taken, strict=True)) for key, taken in samples.items()}


@dataclass(slots=True)
class Table:
    """The answer to one question: the first column is text, the others are numbers."""

    title: str
    columns: Sequence[str]
    note: str
    rows: list[Sequence[str]] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = [_aligned(line, widths) for line in lines]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        note = fill(self.note, WIDTH) if self.note else ""
        return "\n".join(filter(None, [f"## {self.title}", text[0], rule, *text[1:], note, *self.verdicts]))


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(line, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)])


def number(value: float) -> str:
    """Write a measured number with about three digits that mean something."""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def micro(seconds: float) -> str:
    return number(seconds * 1e6)


def times(value: float, floor: float) -> str:
    return number(value / floor)


def at_most(what: str, limit: float, measured: float, unit: str = "x") -> str:
    """Compare with a target that must not be exceeded."""
    return verdict(what, f"<= {limit:g} {unit}", f"{number(measured)} {unit}", measured <= limit)


def at_least(what: str, limit: float, measured: float, unit: str = "x") -> str:
    """Compare with a target that must be reached."""
    return verdict(what, f">= {limit:g} {unit}", f"{number(measured)} {unit}", measured >= limit)


def verdict(what: str, target: str, measured: str, met: bool) -> str:
    return f"{what}: target {target}: {measured}, {'met' if met else 'MISSED'}"


@contextmanager
def workplace(parent: str) -> Iterator[str]:
    """Make a fresh directory in the parent the working one and pylock's default one; remove it afterwards.

    pylock is then asked for a lock by its bare name, as a program does that has set PYLOCK_DIR or needs no other.
    """
    with TemporaryDirectory(prefix="pylock-benchmarks-", dir=parent) as path, chdir(path):
        os.environ["PYLOCK_DIR"] = path
        try:
            yield path
        finally:
            del os.environ["PYLOCK_DIR"]
