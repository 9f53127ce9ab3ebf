"""What type checkers say to those who use pylock: of each example in the pages, and of some calls."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

from contender import ROOT
from pages import PAGES, programs, title, together

AS_USERS_WRITE = [
    "--allow-untyped-defs", "--allow-incomplete-defs", "--allow-untyped-calls", "--allow-redefinition",
    "--disable-error-code=var-annotated", "--disable-error-code=no-redef", "--disable-error-code=union-attr",
]  # fmt: skip
"""Strict, but for what short examples leave out: types, and that the pipes of a Popen are there."""
ELSEWHERE = ["--disable-error-code=import-not-found", "--disable-error-code=import-untyped", "--allow-subclassing-any",
             "--allow-untyped-decorators"]  # fmt: skip
"""The packages that some examples are for need not be installed."""


def mypy(where: Path, *words: str) -> str:
    """Run it in that directory, where pylock is found as an installed package."""
    (where / "pylock").symlink_to(ROOT / "pylock")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={where / 'cache'}",
         "--explicit-package-bases", "--follow-imports=silent", *words],
        cwd=where, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def write_examples(where: Path) -> list[str]:
    """One module for the blocks of a page that run together, and one for each program."""
    found = []
    for page in PAGES:
        name = re.sub(r"\W", "_", title(page).removesuffix(".md"))
        if text := together(page):
            (where / f"{name}.py").write_text(text)
            found.append(f"{name}.py")
        for program in programs(page):
            text = "\n" * program.first + program.text
            if program.needs == "IPython":  # whose cells may await
                text = f"async def cells() -> None:\n{indent(text, '    ')}"
            own = f"{page.stem}_{program.name}" if program.name in found else program.name
            (where / own).write_text(text)
            found.append(own)
    assert len(found) == len(set(found))
    return found


def test_every_example_passes_a_strict_type_checker(tmp_path: Path) -> None:
    examples = write_examples(tmp_path)
    assert len(examples) > 20
    assert mypy(tmp_path, *AS_USERS_WRITE, *ELSEWHERE, *examples).startswith("Success")


CALLS = """
from collections.abc import Awaitable, Callable
from typing import assert_type
import pylock

lock, pool, number, path, time = (
    pylock.lock("a"), pylock.pool("b", ["red"]), pylock.sequence("c"), pylock.path_lock("/d"),
    pylock.timestamp("e", "%S"),
)
with pylock.all_of(lock, number, path, time) as holds:
    assert_type(holds.holds, tuple[pylock.Hold, pylock.SequenceHold, pylock.PathHold, pylock.TimestampHold])
    assert_type(holds.holds[1].value, int)
with pylock.all_of(pylock.all_of(lock, pool), number) as nested:
    assert_type(nested.holds[0].holds[1].element, str)
with pylock.all_of(*[pylock.lock(name) for name in "fghij"]) as alike:
    assert_type(alike.holds, tuple[pylock.Hold, ...])
held: pylock.Holds = pylock.all_of(lock).acquire()

@lock
def function(first: int, *, second: str) -> bytes:
    return bytes(first) + second.encode()

@pylock.all_of(lock, pool)
async def coroutine(first: int) -> str:
    return str(first)

class Report:
    @lock
    def write(self, line: str) -> int:
        return len(line)

async def main() -> None:
    assert_type(await coroutine(1), str)
    async with number as hold:
        assert_type(hold, pylock.SequenceHold)

assert_type(function(1, second=""), bytes)
assert_type(Report().write(""), int)
function(1, third="")  # wrong
function("1", second="")  # wrong
Report().write(1)  # wrong
pylock.all_of(lock, "b")  # wrong
"""


def test_types_of_what_is_given_are_known_and_wrong_calls_are_seen(tmp_path: Path) -> None:
    (tmp_path / "calls.py").write_text(CALLS)
    said = mypy(tmp_path, "calls.py")
    wrong = [number for number, line in enumerate(CALLS.splitlines(), 1) if line.endswith("# wrong")]
    assert sorted({int(line) for line in re.findall(r"calls\.py:(\d+): error", said)}) == wrong, said
