"""The site: what mkdocs is told of the pages, and that nothing in it comes from another host."""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from check_site import in_page, in_site, in_style
from contender import ROOT

import pylock

DOCS = ROOT / "docs"
SETTINGS = (ROOT / "mkdocs.yml").read_text()
IN_MENU = re.findall(r"^ *- (?:\w+: )?([\w/-]+\.md)$", SETTINGS, re.MULTILINE)


def test_every_page_is_in_the_menu_once() -> None:
    pages = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
    above = [name for name in IN_MENU if not (DOCS / name).exists()]
    assert sorted(IN_MENU) == sorted(pages + above)
    assert all((ROOT / name).exists() for name in above)


def test_every_public_name_is_in_the_api_once() -> None:
    page = (DOCS / "reference" / "api.md").read_text()
    told = re.findall(r"^::: pylock\.([\w.]+)$", page, re.MULTILINE)
    assert sorted(name for name in told if not name.startswith("compat")) == sorted(pylock.__all__)


def test_versions_of_what_builds_it_are_pinned() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["docs"]
    pinned = dict(line.split("==") for line in (DOCS / "requirements.txt").read_text().split())
    assert [name for name in map(name_of, asked) if name not in pinned] == []
    tests = dict(line.split("==") for line in (ROOT / "tests" / "requirements.txt").read_text().split())
    assert pinned["ruff"] == tests["ruff"]


def name_of(requirement: str) -> str:
    return re.split(r"[\[>=<]", requirement)[0]


def test_terms_in_columns_of_a_docstring_become_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "griffe", SimpleNamespace(Extension=object))  # which builds the site alone
    with_lists = runpy.run_path(str(DOCS / "docstrings.py"))["with_lists"]
    text = "Does it.\n\nweight    units,\n          as many\ntimeout   seconds\n\nRaises ValueError."
    assert with_lists(text) == "Does it.\n\n- `weight`: units,\n  as many\n- `timeout`: seconds\n\nRaises ValueError."
    assert with_lists("No  such thing") == "- `No`: such thing"
    assert with_lists("Two words  here.") == "Two words  here."


@pytest.fixture
def on_page(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """What the site makes of a page's text, by the place of the page in it; mkdocs itself is not there."""
    monkeypatch.setitem(sys.modules, "mkdocs", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "mkdocs.structure", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "mkdocs.structure.files", SimpleNamespace(File=object, Files=object))
    hook = runpy.run_path(str(DOCS / "site_hooks.py"))["on_page_markdown"]
    files = SimpleNamespace(get_file_from_path=lambda name: (DOCS / name).is_file() or name in IN_MENU)
    config = SimpleNamespace(docs_dir=str(DOCS))
    return lambda here, text: hook(text, SimpleNamespace(file=SimpleNamespace(src_uri=here)), config, files)


@pytest.mark.parametrize(
    ("here", "text", "there"),
    [
        ("index.md", "[a](../CONTRIBUTING.md)", "[a](CONTRIBUTING.md)"),
        ("explanation/security.md", "[a](../../SECURITY.md#b)", "[a](../SECURITY.md#b)"),
        ("CONTRIBUTING.md", "[a](docs/explanation/protocol.md#b)", "[a](explanation/protocol.md#b)"),
        ("CONTRIBUTING.md", "![a](docs/pictures/screen-status.svg)", "![a](pictures/screen-status.svg)"),
        ("CONTRIBUTING.md", "see [the tests](tests/README.md).", "see the tests."),
        ("how-to/chain.md", "[a](../../examples/jobscheduler/chain)", "a"),
        ("how-to/chain.md", "[a](../tutorial.md)", "[a](../tutorial.md)"),
        ("how-to/chain.md", "[a](#b) [c](https://d.e/f)", "[a](#b) [c](https://d.e/f)"),
        ("how-to/chain.md", "[a](../no-such.md)", "[a](../no-such.md)"),
        ("how-to/chain.md", "```sh\n# tested\ntrue\n```", "```sh\ntrue\n```"),
        ("how-to/chain.md", r"| `a \|\| b` | c \| d |", r"| `a || b` | c \| d |"),
        ("how-to/chain.md", r"no table: `a \| b`", r"no table: `a \| b`"),
    ],
)
def test_page_is_made_fit_for_the_site(on_page: Callable[[str, str], str], here: str, text: str, there: str) -> None:
    assert on_page(here, text) == there


@pytest.mark.parametrize(
    ("page", "fetched"),
    [
        ('<script src="https://a.b/c.js"></script>', True),
        ('<script src="//a.b/c.js"></script>', True),
        ('<script src="../assets/c.js"></script>', False),
        ('<link rel="stylesheet" href="https://a.b/c.css">', True),
        ('<link rel="preconnect" href="https://a.b">', True),
        ('<link rel="canonical" href="https://a.b/page.html">', False),
        ('<img src="https://a.b/c.png">', True),
        ('<img srcset="https://a.b/c.png 2x">', True),
        ('<p style="background: url(https://a.b/c.png)">', True),
        ("<style>@import 'https://a.b/c.css';</style>", True),
        ("<style>p { color: red }</style>", False),
        ('<pre class="mermaid">', True),
        ('<a href="https://a.b">somewhere</a>', False),
        ("<code>https://a.b</code>", False),
        ("<script>var words = 'https://a.b'</script>", False),
    ],
)
def test_what_a_page_fetches_from_elsewhere_is_found(page: str, fetched: bool) -> None:
    assert bool(in_page(page)) == fetched


def test_what_a_style_fetches_from_elsewhere_is_found() -> None:
    assert in_style('@font-face { src: url("https://a.b/c.woff2") }') == ["https://a.b/c.woff2"]
    assert (
        in_style("p { background: url(data:image/svg+xml;charset=utf-8,<svg xmlns='http://www.w3.org/2000/svg'>) }")
        == []
    )


def test_every_file_of_a_site_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "page.html").write_text('<img src="//a.b/c">')
    (tmp_path / "a.css").write_text("@import '//a.b/c'")
    (tmp_path / "a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><image href="http://a.b/c"/></svg>')
    assert sorted(line.partition(":")[0] for line in in_site(tmp_path)) == ["a.css", "a.svg", "sub/page.html"]


def test_checker_fails_where_there_is_no_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["check_site.py", str(tmp_path)])
    with pytest.raises(SystemExit, match="there is no site"):
        runpy.run_path(str(DOCS / "check_site.py"), run_name="__main__")
