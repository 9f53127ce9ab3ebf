"""The pages and README.md: their examples run, their links lead somewhere, and the reference has every option.

A ```sh block is run if its first line is ``# tested``; what a command prints has to contain the text of the lines
``# prints: TEXT`` that follow it.
"""

from __future__ import annotations

import code
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from contender import ROOT
from pages import PAGES, blocks, finish, prose, title, together

from pylock._cli.commands import ALL
from pylock._cli.options import Command, Option

TESTED, PRINTS = "# tested", "# prints: "
MARK = "-- what was printed up to here belongs to the last command --"

_LINK = re.compile(r"\]\(([^)\s]+)\)")


def marked_blocks(page: Path) -> list[tuple[int, list[str]]]:
    return [(first, lines) for first, lines in blocks(page, "sh") if lines and lines[0] == TESTED]


def by_page(has: Callable[[Path], object]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", [page for page in PAGES if has(page)], ids=title)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty directory to run examples in."""
    path = tmp_path / "place"
    path.mkdir()
    return path


@pytest.fixture
def path_with_pylock(tmp_path: Path) -> str:
    """A PATH on which the checkout's own ``pylock`` comes first."""
    script = tmp_path / "bin" / "pylock"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m pylock "$@"\n')
    script.chmod(0o755)
    return f"{script.parent}:{os.environ['PATH']}"


@by_page(together)
def test_python_blocks_of_a_page_run_one_after_the_other(page: Path, place: Path, tmp_path: Path) -> None:
    script = tmp_path / f"{page.stem}.py"
    script.write_text(together(page))
    finish([sys.executable, "-W", "error::ResourceWarning", str(script)], place)


@by_page(marked_blocks)
def test_shell_blocks_marked_as_tested_do_what_they_say(
    page: Path, place: Path, path_with_pylock: str, directory: Path
) -> None:
    for first, lines in marked_blocks(page):
        here, locks = place / str(first), directory / str(first)
        here.mkdir()
        locks.mkdir(mode=0o700)
        script, expected = with_marks(lines)
        printed = finish(["sh", "-euc", script], here, PATH=path_with_pylock, PYLOCK_DIR=str(locks), HOME=str(here))
        parts = printed.split(f"{MARK}\n")
        for part, texts in zip(parts, expected, strict=False):
            for text in texts:
                assert text in part, f"{title(page)}, block after line {first}:\n{printed}"
        assert len(parts) > len(expected)


def with_marks(lines: list[str]) -> tuple[str, list[list[str]]]:
    """Replace the expectations by commands that print a mark; return the script, and what each part has to contain."""
    script: list[str] = []
    expected: list[list[str]] = []
    before = ""
    for line in lines:
        if not line.startswith(PRINTS):
            script.append(line)
        elif before.startswith(PRINTS):
            expected[-1].append(line.removeprefix(PRINTS))
        else:
            script.append(f"echo '{MARK}'")
            expected.append([line.removeprefix(PRINTS)])
        before = line
    return "\n".join(script), expected


@by_page(lambda page: True)
def test_links_lead_to_files(page: Path) -> None:
    targets = [target.partition("#")[0] for target in _LINK.findall(prose(page)) if "://" not in target]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


@by_page(lambda page: True)
def test_links_lead_to_headings(page: Path) -> None:
    missing = []
    for target in _LINK.findall(prose(page)):
        path, _, anchor = target.partition("#")
        to = page.parent / path if path else page
        if anchor and "://" not in target and to.suffix == ".md" and to.exists() and anchor not in anchors(to):
            missing.append(target)
    assert missing == []


def anchors(page: Path) -> set[str]:
    """Of the headings, as the usual renderers of Markdown make them."""
    headings = re.findall(r"^#+ +(.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_page_is_on_the_map() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in _LINK.findall(prose(index))}
    assert [title(page) for page in PAGES if page.parent != ROOT and page != index and page not in linked] == []


OPTIONS = [(command, option) for command in ALL for option in command.options]
REFERENCE = ROOT / "docs" / "reference" / "command.md"


def part_about(command: Command) -> str:
    """The part of the reference under the command's heading."""
    found = re.search(rf"^## {command.name}\n(.*?)(?=^## |\Z)", REFERENCE.read_text(), re.DOTALL | re.MULTILINE)
    assert found, f"docs/reference/command.md has no part about {command.name}"
    return found[1]


@pytest.mark.parametrize("command", ALL, ids=[command.name for command in ALL])
def test_every_command_is_in_the_reference_with_its_usage(command: Command) -> None:
    assert command.usage in part_about(command)


@pytest.mark.parametrize(
    ("command", "option"), OPTIONS, ids=[f"{command.name}-{option.long}" for command, option in OPTIONS]
)
def test_every_option_is_in_the_reference_as_it_is_spelled(command: Command, option: Option) -> None:
    value = f" {option.metavar}" if option.metavar else ""
    spelled = f"`-{option.short}`, `--{option.long}{value}`" if option.short else f"`--{option.long}{value}`"
    assert f"| {spelled} |" in part_about(command)


def test_tutorial_can_be_typed_at_the_prompt() -> None:
    """There a line at the margin ends no block, and an empty one ends each."""
    for first, lines in blocks(ROOT / "docs" / "tutorial.md", "python"):
        is_open = False
        buffer: list[str] = []
        for number, line in enumerate([*lines, ""], first + 1):
            buffer.append(line)
            try:
                is_open = code.compile_command("\n".join(buffer)) is None
            except SyntaxError as error:
                pytest.fail(f"tutorial.md:{number}: {error.msg}")
            buffer = buffer if is_open else []
        assert not is_open, f"tutorial.md:{first}: a block is left open"
