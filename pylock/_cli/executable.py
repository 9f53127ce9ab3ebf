"""The command ``flom`` as a file, for what no alias reaches: scripts, cron, other programs."""

from __future__ import annotations

import os
import sys
from shlex import quote

_MARK = '# Written by "pylock flom --install": the command of FLoM, carried out by pylock.'
_START = "import sys; sys.path.append({!r}); from pylock._cli import console; console()"
_MODE = 0o755


def install(directory: str) -> str:
    """Write the executable ``flom`` into the directory, and return what to say about it.

    It needs nothing of its environment: the interpreter and the place of pylock are written down in it. An earlier one
    is replaced at one moment, so that it can be in use. Raises ValueError if the directory is not there, or has a flom
    that pylock did not write; OSError.
    """
    if not os.path.isdir(directory):
        raise ValueError(f"--install: {directory!r} is no directory; make it first, or name another one on the PATH")
    path = os.path.join(os.path.abspath(directory), "flom")
    _refuse_another(path)
    fresh = f"{path}.{os.getpid()}"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        with open(fd, "wb") as file:
            file.write(os.fsencode(_script()))
            os.fchmod(fd, _MODE)
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise
    return f"wrote {path}"


def _script() -> str:
    """A script for sh, as the first line of one for Python could neither be long nor have spaces."""
    if not sys.executable:
        raise ValueError("this interpreter does not know where it is, so that no script can start it")
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # -P: what lies in the current directory, or beside the script, is never imported.
    return f'#!/bin/sh\n{_MARK}\nexec {quote(sys.executable)} -P -c {quote(_START.format(package))} flom "$@"\n'


def _refuse_another(path: str) -> None:
    try:
        with open(path, "rb") as file:
            if _MARK.encode() in file.read(4096):
                return
    except FileNotFoundError:
        if not os.path.islink(path):
            return
    raise ValueError(f"{path} is there, and not written by pylock; move it away, or name another directory")
