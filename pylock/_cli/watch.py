"""``pylock status --watch``: the table, kept up to date until interrupted."""

from __future__ import annotations

import os
import sys
import time

from .._errors import harmless
from .._run.terminal import is_dumb
from .table import as_table, columns_of
from .view import View

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

SECONDS = 1.0

_STYLES = {"holds": "green", "waits": "yellow", "closed": "red", "free": "dim"}
"""Colours of a row, by the first word of WHO; what else stands there is a file that cannot be used."""
_BAD = "bold red"


def watch(view: View) -> NoReturn:
    """Show it on a terminal in place, elsewhere one look below the other."""
    if not sys.stdout.isatty() or is_dumb():
        _watch_in_lines(view)
    try:
        from rich.live import Live
    except ImportError:
        _watch_in_place(view)
    with Live(auto_refresh=False, screen=True) as live:
        while True:
            live.update(_rich_table(view, *live.console.size), refresh=True)
            time.sleep(SECONDS)


def _watch_in_lines(view: View) -> NoReturn:
    while True:
        print(_table(view, None), flush=True)
        time.sleep(SECONDS)


def _watch_in_place(view: View) -> NoReturn:
    while True:
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
        shown = cropped([_title(view, columns), *_table(view, columns).splitlines()], lines)
        print("\x1b[H\x1b[J" + "\n".join(shown), end="", flush=True)
        time.sleep(SECONDS)


def _table(view: View, width: int | None) -> str:
    locks, unusable = view.look()
    return as_table(locks, view.path, unusable, width)


def _title(view: View, width: int) -> str:
    now = time.strftime("%H:%M:%S")
    return f"{harmless(view.path)[: max(width - len(now) - 2, 0)]}  {now}"


def cropped(lines: list[str], room: int) -> list[str]:
    """As many lines as there is room for; the last one says how many more there are."""
    return lines if len(lines) <= room else [*lines[: room - 1], f"... and {len(lines) - room + 1} more"]


def _rich_table(view: View, width: int, height: int) -> Any:
    """The same table, in colours that say who holds, who waits and what is wrong."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    locks, unusable = view.look()
    if not locks and not unusable:
        return Text(f"{_title(view, width)}\nno locks", no_wrap=True)
    columns = columns_of(locks, unusable, width)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for head in columns:
        table.add_column(head, no_wrap=True, justify="right" if head in ("PID", "AGE") else "left")
    rows = list(zip(*columns.values(), strict=True))
    room = max(height - 2, 1)
    shown = rows if len(rows) <= room else rows[: room - 1]
    for row, who in zip(shown, columns["WHO"], strict=False):
        table.add_row(*map(Text, row), style=_STYLES.get(who.partition(" ")[0], _BAD))
    rest = [] if len(shown) == len(rows) else [Text(f"... and {len(rows) - len(shown)} more")]
    return Group(Text(_title(view, width), style="bold", no_wrap=True), table, *rest)
