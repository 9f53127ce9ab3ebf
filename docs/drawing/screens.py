"""Pictures of a terminal, from what ``make screens`` has seen in one."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from .svg import PICTURES, document, rectangle

SCREENS = PICTURES / "screens.json"

COLUMNS, WIDE, HIGH, EDGE, TOP = 98, 7.8, 19, 16, 28
_STYLE = """  text { font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; white-space: pre; }
  svg { --red: #cf222e; --green: #1a7f37; --yellow: #9a6700; }
  @media (prefers-color-scheme: dark) { svg { --red: #ff7b72; --green: #3fb950; --yellow: #d29922; } }
  .bold { font-weight: 600; } .red { fill: var(--red); } .green { fill: var(--green); } .yellow { fill: var(--yellow); }
  .dim { fill: var(--faint); }
"""
TITLES = {
    "waiting-line": "What pylock run says while it waits",
    "status": "What pylock status shows",
    "status-watch": "What pylock status --watch shows",
}


def draw(name: str) -> str:
    seen: dict[str, Any] = json.loads(SCREENS.read_text(encoding="utf-8"))[name]
    lines = [[["$ ", "dim"], [seen["command"], "bold"]], *seen["lines"]]
    size = (2 * EDGE + COLUMNS * WIDE, TOP + HIGH * len(lines) + 8)
    shapes = [rectangle(0.5, 0.5, size[0] - 1, size[1] - 1, "box", 6)]
    for number, runs in enumerate(lines):
        column = 0
        for text, look in runs:
            shapes.append(_run(EDGE + column * WIDE, TOP + number * HIGH, text, look))
            column += len(text)
    words = "\n".join("".join(text for text, _ in runs) for runs in lines)
    return document(size, TITLES[name], words, shapes, _STYLE)


def _run(x: float, y: float, text: str, look: str) -> str:
    """Text that is as wide as its columns in whatever font there is."""
    shown = text.rstrip()
    if not shown:
        return ""
    role = f' class="{look}"' if look else ""
    return f'<text{role} x="{x:g}" y="{y:g}" textLength="{len(shown) * WIDE:g}">{escape(shown)}</text>'
