"""Which file a command is, as execvp(3) would find it, and why it cannot be run; told in the words of shells."""

from __future__ import annotations

import os
import stat
from errno import EAGAIN, ENOENT, ENOMEM

from .._errors import harmless

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""Exit statuses of shells for a command that cannot be run."""


class CannotRun(Exception):
    """The program cannot be run; ``exit_code`` is what shells return for that."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(harmless(message))
        self.exit_code = exit_code

    @classmethod
    def by(cls, error: OSError, name: str, program: str) -> Exception:
        """Return what it means that the program, which was there before the wait, could not be executed."""
        if error.errno in (EAGAIN, ENOMEM):  # no more processes, or no memory for one
            return OSError(error.errno, f"cannot start a process: {error.strerror}", name)
        if error.errno == ENOENT and os.path.exists(program):
            return cls(f"{name}: its interpreter, named in its first line, is not there", NOT_EXECUTABLE)
        return cls(f"{name}: {error.strerror}", NOT_FOUND if error.errno == ENOENT else NOT_EXECUTABLE)


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
    advice = "write its words apart, without quotes" if " " in name else "look at PATH, or give the whole path"
    raise denied or CannotRun(f"{name}: command not found; {advice}", NOT_FOUND)


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
