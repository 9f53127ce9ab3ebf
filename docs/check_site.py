"""Fails if a page of the built site asks another host for anything while it is read: ``check_site.py DIRECTORY``.

Links that a reader may follow are no such thing. Scripts may name hosts that they never ask: for other browsers, or
for what no page has. Pages that load one of the known ones are told of as well.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

_ABROAD = re.compile(r"\s*(https?:|wss?:)?//", re.IGNORECASE)
_IN_STYLE = re.compile(r"url\(\s*[\"']?((?:https?:)?//[^\"')]*)|@import\s+[\"']((?:https?:)?//[^\"']*)", re.IGNORECASE)
_LOADS = ("src", "srcset", "data", "poster", "href", "xlink:href", "action")
_ONLY_SAY = frozenset(("a", "area"))
_SAYING_RELATIONS = frozenset(("canonical", "next", "prev", "alternate", "license", "author"))
"""What a ``<link>`` may tell without anything being fetched."""
_LOADED_LATE = frozenset(("mermaid", "arithmatex"))
"""Classes of elements for which the theme's script fetches a library from elsewhere."""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _ONLY_SAY or (tag == "link" and (dict(attrs).get("rel") or "") in _SAYING_RELATIONS):
            return
        for name, value in attrs:
            text = value or ""
            if name in _LOADS and _ABROAD.match(text):
                self.found.append(f"<{tag} {name}={text}>")
            elif name == "style":
                self.found += in_style(text)
            elif name == "class" and _LOADED_LATE & set(text.split()):
                self.found.append(f"<{tag} class={text}>, for which a script is fetched")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "style":
            self.found += in_style(data)


def in_page(text: str) -> list[str]:
    """What a browser would fetch from elsewhere for this page."""
    page = _Page()
    page.feed(text)
    return page.found


def in_style(text: str) -> list[str]:
    return [url or imported for url, imported in _IN_STYLE.findall(text)]


def in_site(site: Path) -> Iterator[str]:
    for kind, look in ((".html", in_page), (".svg", in_page), (".css", in_style)):
        for file in sorted(site.rglob(f"*{kind}")):
            for found in look(file.read_text(encoding="utf-8")):
                yield f"{file.relative_to(site)}: {found}"


if __name__ == "__main__":
    site = Path(sys.argv[1])
    if not (site / "index.html").exists():
        sys.exit(f"there is no site in {site}")
    sys.exit("\n".join(in_site(site)) or 0)
