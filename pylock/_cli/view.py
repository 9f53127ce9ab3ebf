"""What a look at the locks shows, and how much room there is for it."""

from __future__ import annotations

import os
import sys

from .._errors import BadLockFile
from .._file.directories import resolve
from .._status import LockStatus, Unusable, describe, find_lock, survey


class View:
    """What is looked at: a directory, or one lock of it."""

    def __init__(self, directory: str | None, name: str | None) -> None:
        self.path = resolve(directory).path
        self._name = name

    def look(self) -> tuple[tuple[LockStatus, ...], tuple[Unusable, ...]]:
        """Return the locks, and the files that should be locks and are none."""
        if self._name is None:
            return survey(self.path)
        try:
            found = find_lock(self._name, self.path)
        except BadLockFile as error:
            return (), (describe(error, error.path),)
        except OSError as error:
            return (), (describe(error, str(error.filename)),)
        return (() if found is None else (found,)), ()


def terminal_width() -> int | None:
    """Return how wide the terminal on standard output is; None if there is none."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return None
