"""A terminal in memory: what is seen after a program wrote to it. It knows what pylock and rich write, and no more."""

from __future__ import annotations

import re
from collections.abc import Callable

Cell = tuple[str, str]
"""A character and how it looks: of bold, dim and a colour those that apply."""
Run = tuple[str, str]
"""A text that looks alike."""

_LOOKS = {1: "bold", 2: "dim", 31: "red", 32: "green", 33: "yellow"}
_SEQUENCE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|(.)", re.DOTALL)
_BLANK: Cell = (" ", "")


class Terminal:
    """So many columns wide; it does not scroll, so that a program has to keep to what fits."""

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self._rows = [[_BLANK] * columns for _ in range(lines)]
        self._x = self._y = 0
        self._look = ""

    def feed(self, text: str) -> None:
        for found in _SEQUENCE.finditer(text):
            arguments, command, character = found.groups()
            if command:
                self._commands[command](self, arguments)
            elif character == "\r":
                self._x = 0
            elif character == "\n":
                self._y += 1
            elif self._x < self.columns:  # else it stands in the last column, waiting to wrap
                self._rows[self._y][self._x] = (character, self._look)
                self._x += 1

    def text(self) -> str:
        return "\n".join("".join(character for character, _ in row).rstrip() for row in self._rows).rstrip()

    def runs(self) -> list[list[Run]]:
        """The lines, each as the texts in it that look alike, without what is empty at the ends."""
        found = [_joined(row) for row in self._rows]
        while found and not found[-1]:
            found.pop()
        return found

    def _home(self, arguments: str) -> None:
        if arguments:
            raise ValueError(f"a place other than the corner: {arguments}")
        self._x = self._y = 0

    def _clear(self, arguments: str) -> None:
        self._rows[self._y :] = [[_BLANK] * self.columns for _ in range(self.lines - self._y)]

    def _clear_line(self, arguments: str) -> None:
        self._rows[self._y][self._x :] = [_BLANK] * (self.columns - self._x)

    def _looks(self, arguments: str) -> None:
        for number in map(int, arguments.split(";")):
            self._look = f"{self._look} {_LOOKS[number]}".strip() if number else ""

    def _mode(self, arguments: str) -> None:
        """The cursor hidden, the other screen: nothing of it is seen in a picture."""

    _commands: dict[str, Callable[[Terminal, str], None]] = {  # noqa: RUF012
        "H": _home, "J": _clear, "K": _clear_line, "m": _looks, "h": _mode, "l": _mode,
    }  # fmt: skip


def _joined(row: list[Cell]) -> list[Run]:
    """The row's cells by how they look; blanks take the look of what is before them."""
    runs: list[Run] = []
    for character, look in row:
        if runs and (look == runs[-1][1] or character == " "):
            runs[-1] = (runs[-1][0] + character, runs[-1][1])
        else:
            runs.append((character, look))
    if runs:
        runs[-1] = (runs[-1][0].rstrip(), runs[-1][1])
    return [run for run in runs if run[0]]
