"""The rooms of the house: which there are from docs/explanation/architecture.md, and who knows whom from the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from .svg import DOCS, document, label, rectangle

PACKAGE = DOCS.parent / "pylock"
PAGE = DOCS / "explanation" / "architecture.md"
PICTURE = DOCS / "explanation" / "architecture.svg"

WIDTH, ROW, BOX, TOP = 780, 36, 28, 44
MOST = 88
"""Characters of a job that there is room for; of a longer one the first part is shown."""
LEFT = 72
"""Where the boxes begin; the arrows are left of it."""
FOR_USERS = ("pylock", "compat", "_cli")
THE_PACKAGE = ("pylock", "what a program imports: all of the below that is public")
KNOWN_ABOVE = {("_errors", "_status")}
"""For annotations alone, as the test of the architecture says."""


def rooms() -> list[tuple[str, str]]:
    """Name and job of each, from the roof down, as the page has them from the ground up."""
    table = PAGE.read_text(encoding="utf-8").partition("| room |")[2].partition("\n\n")[0]
    found = re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.MULTILINE)
    place = [name for name, _ in found].index("compat")
    return [*found[:place], THE_PACKAGE, *found[place:]][::-1]


def known_rooms() -> dict[str, set[str]]:
    """For each room the others that its modules import anything from."""
    knows: dict[str, set[str]] = {name: set() for name, _ in rooms()}
    for module in sorted(PACKAGE.rglob("*.py")):
        place = module.relative_to(PACKAGE).with_suffix("").parts
        room = "pylock" if place[0] == "__init__" else place[0]
        if room in knows:
            knows[room] |= {name for name in imported(module, list(place[:-1])) if (room, name) not in KNOWN_ABOVE}
    return {room: {name for name in names if name in knows and name != room} for room, names in knows.items()}


def imported(module: Path, package: list[str]) -> set[str]:
    """The rooms that the module of that package imports from."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) + 1 - node.level] + (node.module.split(".") if node.module else [])
            found |= {base[0]} if base else {room_or_package(alias.name) for alias in node.names}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found |= {"pylock" for name in names if name == "pylock"}
    return found


def room_or_package(name: str) -> str:
    return name if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists() else "pylock"


def arrows(knows: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Who knows whom, without what follows from others."""

    def below(room: str) -> set[str]:
        return knows[room] | {deeper for name in knows[room] for deeper in below(name)}

    return sorted(
        (room, name)
        for room, names in knows.items()
        for name in names
        if not any(name in below(other) for other in names - {name})
    )


def picture() -> str:
    """The SVG."""
    rows = rooms()
    middle = {name: TOP + place * ROW + BOX // 2 for place, (name, _) in enumerate(rows)}
    above = "An arrow leads to a room that is known; what follows from others is left out. Blue is what users meet."
    shapes = [label(LEFT, 26, above, "faint")]
    shapes += [bow(middle[room], middle[name]) for room, name in arrows(known_rooms())]
    shapes += [box(name, job, middle[name]) for name, job in rows]
    return document(
        (WIDTH, TOP + len(rows) * ROW + 8),
        "The rooms of pylock",
        "One box for each room, from the command down to the errors. An arrow leads from a room to one that it knows,"
        " which always stands below.",
        shapes,
    )


def bow(start: int, end: int) -> str:
    """An arrow left of the boxes, the further out the longer the way."""
    bulge = LEFT - min(18 + (end - start) * 0.42, LEFT)
    first, last = start + 5, end - 5
    return (
        f'<path class="arrow" d="M{LEFT} {first} C{bulge:.0f} {first}, {bulge:.0f} {last}, {LEFT - 6} {last}"/>'
        f'<path class="head" d="M{LEFT} {last} l-8 -3.5 v7 z"/>'
    )


def box(name: str, job: str, middle: int) -> str:
    kind = "box public" if name in FOR_USERS else "box"
    job = job.replace("`", "")
    job = job if len(job) <= MOST else job.partition(";")[0]
    return (
        rectangle(LEFT, middle - BOX // 2, WIDTH - LEFT - 8, BOX, kind)
        + label(LEFT + 12, middle + 5, name, "name")
        + label(LEFT + 130, middle + 5, job, "faint")
    )
