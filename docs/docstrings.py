"""What mkdocstrings does besides for the site: words with what they mean beside them, in columns, become a list."""

from __future__ import annotations

import re
from typing import Any

import griffe

_TERM = re.compile(r"(\w+) {2,}(\S.*)")


def with_lists(docstring: str) -> str:
    """Write each paragraph that has a term at the beginning of its first line as a list in Markdown."""
    return "\n\n".join(_as_list(part) if _TERM.match(part) else part for part in docstring.split("\n\n"))


def _as_list(paragraph: str) -> str:
    lines = []
    for line in paragraph.splitlines():
        found = _TERM.match(line)
        lines.append(f"- `{found[1]}`: {found[2]}" if found else f"  {line.strip()}")
    return "\n".join(lines)


class Lists(griffe.Extension):
    def on_object(self, *, obj: Any, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = with_lists(obj.docstring.value)
