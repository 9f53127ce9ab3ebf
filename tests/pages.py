"""The pages and README.md, as tests read them: their blocks, and the programs among these.

A ```python block whose first line is ``# NAME.py`` or ``# NAME.py: needs PACKAGE`` is a program of its own. All others
of a page are one program together.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from command import environment
from contender import ROOT

SECONDS = 30

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^ *```(\w*)")
_PROGRAM = re.compile(r"# (\w+\.py)(?:: needs (\w+))?$")


def blocks(page: Path, language: str) -> Iterator[tuple[int, list[str]]]:
    """Every block in the language: how many lines of the page stand before it, and its own lines."""
    inside, first, kept = None, 0, list[str]()
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if fence is None:
            kept.append(line)
        elif inside is None:
            inside, first, kept = fence[1], number, []
        else:
            if inside == language:
                yield first, kept
            inside, kept = None, []


class Program(NamedTuple):
    """A block that is a program of its own."""

    page: Path
    first: int
    """Lines of the page before it."""
    name: str
    needs: str | None
    """What must be there to be imported."""
    text: str

    def write(self, directory: Path) -> Path:
        path = directory / self.name
        path.write_text(self.text)
        return path


def programs(page: Path) -> list[Program]:
    return [
        Program(page, first, found[1], found[2], "\n".join(lines) + "\n")
        for first, lines in blocks(page, "python")
        if (found := _PROGRAM.match(lines[0]))
    ]


def together(page: Path) -> str:
    """All Python blocks of the page that are no programs, each at its own lines, so that these stand in a traceback."""
    text: list[str] = []
    for first, lines in blocks(page, "python"):
        if not _PROGRAM.match(lines[0]):
            text += [""] * (first - len(text)) + lines
    return "\n".join(text) + "\n" if text else ""


def prose(page: Path) -> str:
    """The page without its blocks."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def title(page: Path) -> str:
    return str(page.relative_to(ROOT))


def finish(words: list[str], where: Path, **variables: str) -> str:
    """Run to the end, with whatever it leaves behind, and return what was printed; fail if it failed."""
    with TemporaryFile("w+") as output:
        child = subprocess.Popen(
            words, cwd=where, env=environment(**variables), stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            status: int | str = child.wait(SECONDS)
        except subprocess.TimeoutExpired:
            status = "it does not end"
        kill_all_in(where)
        child.wait()
        output.seek(0)
        printed = output.read()
    assert status == 0, printed
    return printed


def kill_all_in(place: Path) -> None:
    """Kill what an example left behind; it is known by its current directory, as it may have left its group."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == place:
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:  # ended meanwhile, or somebody else's
            pass
