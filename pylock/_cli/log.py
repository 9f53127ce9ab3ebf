"""The log of ``pylock run``: a line for each grant, wait, release and refusal, in words ``key=value``."""

from __future__ import annotations

import os
import pwd
from datetime import datetime

from .._errors import harmless
from .._file.texts import from_os
from .._process import identity
from . import complain
from .options import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._request import Request

SYSLOG = "syslog"
"""Stands for the system's log, in place of a file; a file of that name is ./syslog."""
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.,:/+@%")
"""What needs no quotes."""


class Log:
    """Where the lines go. A file is opened at once, so that a wrong one is said before anybody waits."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._broken = False
        if where == SYSLOG:
            import syslog

            syslog.openlog("pylock", syslog.LOG_PID, syslog.LOG_USER)
            self._syslog = syslog.syslog
        else:
            # Appended to, and each line written at once, so that the lines of several stand one below the other.
            try:
                self._file = open(where, "ab", buffering=0)  # noqa: SIM115  # until this process ends
            except OSError as error:
                raise UsageError(f"log {where}: {error.strerror}") from None

    def write(self, event: str, request: Request, **fields: object) -> None:
        """Write one line; if that cannot be, say so once, and go on."""
        line = _line({"event": event, "lock": request.name, "mode": request.mode.name} | fields | _who(request))
        try:
            if self._where == SYSLOG:
                self._syslog(line)
            else:
                moment = datetime.now().astimezone().isoformat(timespec="milliseconds")
                self._file.write(f"time={moment} {line}\n".encode("utf-8", "backslashreplace"))
        except OSError as error:
            if not self._broken:
                complain(f"cannot write into the log {self._where}: {error.strerror}")
            self._broken = True


def _who(request: Request) -> dict[str, object]:
    me = identity()
    try:
        user = pwd.getpwuid(me.uid).pw_name
    except KeyError:
        user = str(me.uid)
    reason = {} if request.reason is None else {"reason": request.reason}
    return {
        "pid": os.getpid(), "user": user, "host": me.host, "directory": from_os(request.directory.path),
        "command": request.command, **reason,
    }  # fmt: skip


def _line(fields: dict[str, object]) -> str:
    return " ".join(f"{key}={_quoted(_text(value))}" for key, value in fields.items())


def _text(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _quoted(text: str) -> str:
    if text and _PLAIN.issuperset(text):
        return text
    return '"' + harmless(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'
