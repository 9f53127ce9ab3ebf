"""README.md on an index of packages, and what a newcomer reads first there."""

from __future__ import annotations

import re
import runpy

import pytest
from contender import ROOT

README = (ROOT / "README.md").read_text()
PAGE = runpy.run_path(str(ROOT / "docs" / "on_the_index.py"))
ADDRESS = "https://example.org/somebody/pylock"
LINK = re.compile(r"\]\(([^)]*)\)")


def test_first_is_said_that_another_project_has_the_name() -> None:
    first = README.split("\n\n")[1]
    assert "pip install pylock" in first
    assert "pylock-fcntl" in first


def test_every_link_leads_to_the_file_of_that_version() -> None:
    page = PAGE["readme_for_index"](README, ADDRESS, "1.2.3")
    links = LINK.findall(page)
    assert len(links) == len(LINK.findall(README))
    assert all(link.startswith((f"{ADDRESS}/blob/v1.2.3/", f"{ADDRESS}/raw/v1.2.3/")) for link in links)
    assert f"({ADDRESS}/raw/v1.2.3/docs/pictures/screen-status.svg)" in page


def test_without_an_address_words_stay_and_no_link_leads_nowhere() -> None:
    page = PAGE["readme_for_index"](README, "", "1.2.3")
    assert LINK.findall(page) == []
    assert "contributing" in page


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[a](docs/a.md#b)", f"[a]({ADDRESS}/blob/v1/docs/a.md#b)"),
        ("![a](a.svg)", f"![a]({ADDRESS}/raw/v1/a.svg)"),
        ("[a](https://b/c)", "[a](https://b/c)"),
        ("[a](#b)", "[a](#b)"),
    ],
)
def test_links(before: str, after: str) -> None:
    assert PAGE["readme_for_index"](before, ADDRESS, "1") == after


def test_project_links_begin_with_its_address() -> None:
    assert all(link.startswith(ADDRESS) for link in PAGE["urls"](ADDRESS).values())
