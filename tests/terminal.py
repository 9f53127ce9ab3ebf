"""Programs on a terminal of their own, and an interactive shell there, of which a test has the other end."""

from __future__ import annotations

import errno
import os
import pty
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager

from command import environment


def on_terminal(words: list[str], **variables: str) -> tuple[int, int]:
    """Start a command as a shell in a terminal does, in the foreground; return its pid and our end."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.execve(words[0], words, environment(**variables))
        finally:
            os._exit(99)
    return pid, terminal


@contextmanager
def interactive_shell() -> Iterator[int]:
    """A shell with job control in a terminal, of which this is our end."""
    pid, terminal = on_terminal(["/bin/bash", "--norc", "-i"], PS1="$ ", HISTFILE="/dev/null")
    try:
        read_until(terminal, "$ ")
        yield terminal
        os.write(terminal, b"exit\n")
        os.waitpid(pid, 0)
    finally:
        os.close(terminal)


def read_until(terminal: int, text: str) -> str:
    seen = ""
    deadline = time.monotonic() + 30
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], max(deadline - time.monotonic(), 0))
        assert ready, f"{text!r} did not come, only {seen!r}"
        try:
            seen += os.read(terminal, 4096).decode()
        except OSError as error:
            assert error.errno == errno.EIO
            raise AssertionError(f"{text!r} did not come, only {seen!r}") from None
    return seen
