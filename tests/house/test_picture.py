"""The pictures of the pages are those of the code, the figures and the screens that they were drawn from."""

from __future__ import annotations

import json
import os
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from benchmarks import figures
from benchmarks.common import Table
from command import environment
from contender import ROOT
from drawing import architecture, capture, plots, protocol
from drawing.gallery import GALLERY
from drawing.svg import PICTURES
from drawing.terminal import Terminal
from pages import PAGES
from rules import ORDER, UPWARDS

import pylock

SVG = "{http://www.w3.org/2000/svg}"


def each_picture() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)


@each_picture()
def test_picture_was_drawn_from_what_is_there(path: Path) -> None:
    assert path.read_text() == GALLERY[path](), "the picture is stale: make pictures"


@each_picture()
def test_picture_is_whole_xml_with_words_for_who_cannot_see_it(path: Path) -> None:
    tree = ET.parse(path)
    for words in ("title", "desc"):
        found = tree.find(f"{SVG}{words}")
        assert found is not None
        assert found.text


@each_picture()
def test_picture_shows_nothing_outside_its_edges(path: Path) -> None:
    root = ET.parse(path).getroot()
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for shape in root.iter():
        if shape.tag in (f"{SVG}text", f"{SVG}rect"):
            assert 0 <= float(shape.get("x", 0)) <= width, shape.attrib
            assert 0 <= float(shape.get("y", 0)) <= height, shape.attrib


@each_picture()
def test_picture_is_in_a_page(path: Path) -> None:
    assert any(f"{path.name})" in page.read_text() for page in PAGES)


def test_there_is_no_picture_that_nothing_draws() -> None:
    assert set(PICTURES.glob("*.svg")) == set(GALLERY) - {architecture.PICTURE}


def test_picture_has_every_room_and_leads_downwards_only() -> None:
    rooms = [name for name, _ in architecture.rooms()]
    assert [{"pylock": "__init__"}.get(name, name) for name in rooms[::-1]] == ORDER[:-1]
    for room, name in architecture.arrows(architecture.known_rooms()):
        assert rooms.index(room) < rooms.index(name)
    assert set(UPWARDS) == architecture.KNOWN_ABOVE


def test_jobs_of_the_rooms_fit_into_their_boxes() -> None:
    drawn = ET.parse(architecture.PICTURE).iter(f"{SVG}text")
    jobs = [text.text or "" for text in drawn if text.get("x") == str(architecture.LEFT + 130)]
    assert len(jobs) == len(architecture.rooms())
    assert [job for job in jobs if len(job) > architecture.MOST] == []


@pytest.mark.parametrize(
    ("offset", "written"),
    [(0, "0"), (17, "17"), (1 << 14, "2¹⁴"), ((1 << 55) - 2, "2⁵⁵ - 2"), ((1 << 63) - 1, "2⁶³ - 1")],
)
def test_offsets_are_written_as_powers_of_two(offset: int, written: str) -> None:
    assert protocol.power(offset) == written


def test_figures_on_the_page_are_of_the_run_that_is_plotted() -> None:
    page = (ROOT / "docs" / "explanation" / "performance.md").read_text()
    run = plots.figures()["circumstances"]
    told = [value for value in run.values() if isinstance(value, str)]
    told[told.index(run["pylock"])] = f"pylock {run['pylock']}"
    told += [f"{peer} {version}" for peer, version in run["peers"].items()]
    assert [text for text in told if text not in page] == []


def test_plot_tells_its_numbers_in_words() -> None:
    measured = {row[0]: row[1] for row in plots.table("handover")}
    words = ET.fromstring(plots.PLOTS["handover"].draw()).findtext(f"{SVG}desc") or ""
    assert f"filelock {measured['filelock']}" in words
    assert "the kernel alone" in words


def test_names_at_the_ends_of_lines_are_not_on_one_another() -> None:
    moved = plots.apart({"a": 100.0, "b": 101.0, "c": 90.0, "d": 200.0})
    assert moved == {"c": 90.0, "a": 105.0, "b": 120.0, "d": 200.0}


def test_screen_is_what_a_real_command_shows_in_a_terminal(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "pylock").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pylock "$@"\n')
    (tmp_path / "pylock").chmod(0o755)
    with pylock.lock("shown", directory=directory, reason="to be seen"):
        surroundings = environment(PATH=f"{tmp_path}:{os.environ['PATH']}", PYLOCK_DIR=str(directory))
        seen = capture.screen("status shown", "to be seen", surroundings)
    assert seen["command"] == "pylock status shown"
    assert "LOCK" in str(seen["lines"])
    assert "holds" in str(seen["lines"])


def test_benchmarks_write_what_the_plots_read(tmp_path: Path) -> None:
    table = Table("Title", ["lock", "µs"], "", rows=[["pylock", "1,234"]], verdicts=["met"])
    figures.write(tmp_path / "figures.json", str(tmp_path), {"question": [table]})
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["questions"]["question"][0]["rows"] == [["pylock", "1,234"]]
    assert plots.value("1,234") == 1234
    assert set(written["circumstances"]) == set(plots.figures()["circumstances"])
    assert written["circumstances"]["pylock"] == pylock.__version__


def test_terminal_shows_what_a_program_wrote() -> None:
    terminal = Terminal(20, 3)
    terminal.feed("\x1b[?25l\x1b[1mHEAD\x1b[0m\r\n\x1b[32mok\x1b[0m then\r\nlong")
    assert terminal.text() == "HEAD\nok then\nlong"
    assert terminal.runs() == [[("HEAD", "bold")], [("ok ", "green"), ("then", "")], [("long", "")]]
    terminal.feed("\r\x1b[Knew\x1b[H\x1b[J")
    assert terminal.text() == ""


def test_terminal_says_what_it_does_not_know() -> None:
    with pytest.raises(KeyError):
        Terminal(20, 3).feed("\x1b[4A")
