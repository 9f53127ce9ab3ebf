"""Finding the program of a command before anybody waits for a lock, as execvp(3) would find it."""

from __future__ import annotations

import os
import stat

NOT_EXECUTABLE, NOT_FOUND = 126, 127


class CannotRun(Exception):
    """The program cannot be run; ``exit_code`` is what shells return for that."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def find_program(name: str, path: str | None) -> str:
    """Return the file to execute. Raises CannotRun."""
    if not name:
        raise CannotRun("the command is an empty string", NOT_FOUND)
    if "/" in name:
        return _checked(name, name)
    denied = None
    for directory in (os.defpath if path is None else path).split(os.pathsep):
        candidate = os.path.join(directory or ".", name)
        try:
            return _checked(candidate, name)
        except CannotRun as error:
            if error.exit_code == NOT_EXECUTABLE:
                denied = denied or error
    raise denied or CannotRun(f"{name}: command not found; look at PATH, or give the whole path", NOT_FOUND)


def _checked(path: str, name: str) -> str:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise CannotRun(f"{name}: {error.strerror}", NOT_FOUND) from None
    if stat.S_ISDIR(mode):
        raise CannotRun(f"{name}: is a directory", NOT_EXECUTABLE)
    if not os.access(path, os.X_OK):
        raise CannotRun(f"{name}: permission denied; it is not executable", NOT_EXECUTABLE)
    return path
