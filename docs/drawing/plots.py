"""The plots of docs/explanation/performance.md, from the figures that ``make bench`` has written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import ceil, floor, log10
from typing import Any

from .svg import PICTURES, document, label

FIGURES = PICTURES / "figures.json"

WIDTH = 520
KERNEL = "the kernel alone"
SHORT = {
    "raw F_OFD_SETLK, lock and unlock": KERNEL,
    "raw F_OFD_SETLKW": KERNEL,
    "F_OFD_SETLKW": KERNEL,
    "pylock, policy fair": "pylock fair",
    "pylock, new, a lock file not used lately": "pylock, idle lock file",
    "pylock, in a queue of 30: the most": "pylock, one of 30",
    "pylock fair, in a queue of 30: the most": "pylock fair, one of 30",
}
"""What the plots call some of the rows of the tables."""
_STYLE = """  .grid { stroke: var(--edge); stroke-width: 1; }
  .way { stroke: var(--edge); stroke-width: 3; }
  .dot { fill: var(--faint); } .ours .dot { fill: var(--arrow); } .ours .way { stroke: var(--arrow); }
  .ours text { font-weight: 600; } text { paint-order: stroke; stroke: var(--ground); stroke-width: 4; }
  svg { --a: #1a7f37; --b: #bc4c00; --c: #8250df; }
  @media (prefers-color-scheme: dark) { svg { --a: #3fb950; --b: #f0883e; --c: #bc8cff; } }
  .line { fill: none; stroke-width: 2; stroke: var(--arrow); } .fair { stroke-dasharray: 6 4; }
  .kernel { stroke: var(--faint); } .fasteners { stroke: var(--a); } .portalocker { stroke: var(--b); }
  .filelock { stroke: var(--c); }
"""


@dataclass(frozen=True, slots=True)
class Dots:
    """One row for each lock, and how far it is along a scale of powers of ten."""

    title: str
    question: str
    column: int
    unit: str
    without: tuple[str, ...] = ()

    def draw(self) -> str:
        found = [(row[0], value(row[self.column])) for row in table(self.question)]
        rows = [(SHORT.get(name, name), measured) for name, measured in found if not name.endswith(self.without)]
        left, right, top, high = 176, WIDTH - 66, 30, 30
        low, most = decades(measured for _, measured in rows)
        bottom = top + high * len(rows)
        shapes = [label(left, 18, self.unit, "faint", "middle")]
        for power in range(low, most + 1):
            x = left + (right - left) * (power - low) / (most - low)
            shapes += [line(x, top, x, bottom, "grid"), label(x, bottom + 18, short(10.0**power), "faint", "middle")]
        for place, (name, measured) in enumerate(sorted(rows, key=lambda row: row[1])):
            y = top + high * (place + 0.5)
            x = left + (right - left) * (log10(measured) - low) / (most - low)
            kind = "ours" if name.startswith("pylock") else "theirs"
            shapes.append(
                f'<g class="{kind}">{label(left - 12, y + 5, name, anchor="end")}{line(left, y, x, y, "way")}'
                f'<circle class="dot" cx="{x:.1f}" cy="{y:g}" r="5"/>{label(x + 10, y + 5, short(measured))}</g>'
            )
        listed = "; ".join(f"{name} {short(measured)}" for name, measured in rows)
        return document(
            (WIDTH, bottom + 28), self.title, f"In {self.unit}, on a scale of powers of ten: {listed}.", shapes, _STYLE
        )


@dataclass(frozen=True, slots=True)
class Lines:
    """One line for each lock, over the number of processes."""

    title: str
    column: int
    unit: str
    logarithmic: bool

    def draw(self) -> str:
        series = crowd(self.column)
        counts = sorted({count for points in series.values() for count, _ in points})
        left, right, top, bottom = 66, WIDTH - 120, 34, 290
        low, most = decades(y for points in series.values() for _, y in points) if self.logarithmic else (0, 1)

        def across(count: float) -> float:
            return left + (right - left) * (log10(count) - log10(counts[0])) / (log10(counts[-1]) - log10(counts[0]))

        def upright(measured: float) -> float:
            part = (log10(measured) - low) / (most - low) if self.logarithmic else measured
            return bottom - (bottom - top) * part

        shapes = [label(8, 18, self.unit, "faint"), label(right, bottom + 34, "processes", "faint", "end")]
        marks = [10.0**power for power in range(low, most + 1)] if self.logarithmic else [0, 0.25, 0.5, 0.75, 1]
        for mark in marks:
            y = upright(mark)
            shapes += [line(left, y, right, y, "grid"), label(left - 8, y + 5, short(mark), "faint", "end")]
        for count in counts:
            shapes += [label(across(count), bottom + 18, str(count), "faint", "middle")]
        ends = apart({name: upright(points[-1][1]) for name, points in series.items()})
        for name, points in series.items():
            way = " ".join(f"{across(count):.1f},{upright(y):.1f}" for count, y in points)
            shapes.append(f'<polyline class="line {kind_of(name)}" points="{way}"/>')
            shapes.append(label(right + 8, ends[name] + 4, name, "" if "pylock" in name else "faint"))
        listed = "; ".join(
            f"{name}: {', '.join(f'{short(y)} with {count}' for count, y in points)}" for name, points in series.items()
        )
        return document((WIDTH, bottom + 44), self.title, f"{self.unit}. {listed}.", shapes, _STYLE)


PLOTS: dict[str, Dots | Lines] = {
    "uncontended": Dots(
        "A lock that nobody else wants: acquire and release", "uncontended", 1, "µs", without=("flock packed anew",)
    ),
    "handover": Dots("From a release to the waiter's next statement", "handover", 1, "µs"),
    "crash": Dots("From kill -9 of the holder to the grant of a waiter", "crash", 1, "µs"),
    "waiting": Dots(
        "Wake-ups of one that waits, while nothing happens", "waiting", 1, "wake-ups a second", without=("the fewest",)
    ),
    "contention": Lines("Operations a second of all processes together", 1, "operations a second", True),
    "fairness": Lines("How evenly the processes are served", 5, "Jain's index; at 1 all get the same", False),
    "startup": Dots("What an import adds to the start of a program", "startup", 2, "ms", without=("nothing",)),
}


@cache
def figures() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return found


def table(question: str) -> list[list[str]]:
    """The rows of its first table."""
    rows: list[list[str]] = figures()["questions"][question][0]["rows"]
    return rows


def crowd(column: int) -> dict[str, list[tuple[int, float]]]:
    """Of the question of contention, by lock, a number for each count of processes."""
    series: dict[str, list[tuple[int, float]]] = {}
    for row in table("contention"):
        count, _, name = row[0].strip().partition(" ")
        series.setdefault(SHORT.get(name, name), []).append((int(count), value(row[column])))
    return series


def value(text: str) -> float:
    return float(text.replace(",", ""))


def short(measured: float) -> str:
    """The number, with no more digits than were measured."""
    return f"{measured:,.0f}" if measured >= 10 else f"{measured:.2g}"


def decades(values: Iterable[float]) -> tuple[int, int]:
    """The powers of ten below and above all of them."""
    logs = [log10(measured) for measured in values]
    return floor(min(logs)), max(ceil(max(logs)), floor(min(logs)) + 1)


def apart(ends: dict[str, float]) -> dict[str, float]:
    """The heights of the names at the ends of lines, moved until none is on another."""
    ordered = sorted(ends, key=ends.__getitem__)
    moved = {name: ends[name] for name in ordered}
    for above, below in pairwise(ordered):
        moved[below] = max(moved[below], moved[above] + 15)
    return moved


def kind_of(name: str) -> str:
    return {KERNEL: "kernel", "pylock fair": "fair"}.get(name, name)


def line(x: float, y: float, to_x: float, to_y: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" y1="{y:g}" x2="{to_x:.1f}" y2="{to_y:g}"/>'
