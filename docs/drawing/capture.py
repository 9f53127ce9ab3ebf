"""Runs real commands under real locks in a terminal, and keeps what it showed: ``make screens``.

The pictures show the host's name and the user's. Those of another host: ``unshare --uts sh -c "hostname web1; make
screens"`` as root.
"""

from __future__ import annotations

import codecs
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from .screens import COLUMNS, SCREENS
from .terminal import Run, Terminal

LINES = 12
SECONDS = 20
SETTLED = 7
"""Seconds for which the commands have run and waited when they are looked at."""
LOCKS = Path("/tmp/locks")
"""The directory of the locks, which is seen in a picture. It must not be there yet."""

RUNNING = [
    "run --reason 'nightly run' backup -- rsync -a /data /backup",
    "run --quiet backup -- report.sh",
    "run --capacity 5 --weight 2 licences -- simulate wing",
    "run --capacity 5 licences -- simulate tail",
]
BEFORE = ["run deploy -- true", "set maintain --capacity 0 --reason 'kernel update'"]
SHOWN = {
    "waiting-line": ("run backup -- figures.sh", "pylock: waiting 3 s"),
    "status": ("status", "kernel update"),
    "status-watch": ("status --watch", "kernel update"),
}
"""What is run for each picture, and what is there to be seen when it is taken."""


def main() -> None:
    with ExitStack() as stack:
        environment = stack.enter_context(place())
        for words in BEFORE:
            subprocess.run(["sh", "-c", f"exec pylock {words}"], env=environment, check=True, capture_output=True)
        for words in RUNNING:
            stack.enter_context(running(words, environment))
            time.sleep(0.5)  # each has its own place in the queue, and an age of its own
        time.sleep(SETTLED)
        taken = {name: screen(words, until, environment) for name, (words, until) in SHOWN.items()}
    SCREENS.write_text(json.dumps(taken, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def place() -> Iterator[dict[str, str]]:
    """Make a directory for locks, and one with commands that do nothing; give what makes both be found."""
    LOCKS.mkdir(0o700)
    with TemporaryDirectory() as commands:
        for name in ("rsync", "report.sh", "simulate", "figures.sh"):
            Path(commands, name).write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
            Path(commands, name).chmod(0o755)
        path = f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        try:
            yield os.environ | {"PATH": path, "PYLOCK_DIR": str(LOCKS), "TERM": "xterm-256color"}
        finally:
            rmtree(LOCKS)


@contextmanager
def running(words: str, environment: dict[str, str]) -> Iterator[None]:
    command = ["sh", "-c", f"exec pylock {words}"]
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def screen(words: str, until: str, environment: dict[str, str]) -> dict[str, object]:
    """Run the command in a terminal of its own until the text is seen there; return all that is seen."""
    terminal = Terminal(COLUMNS, LINES)
    pid, fd = pty.fork()
    if pid == 0:
        termios.tcsetwinsize(0, (LINES, COLUMNS))
        os.execvpe("sh", ["sh", "-c", f"exec pylock {words}"], environment)
    decoder = codecs.getincrementaldecoder("utf-8")()
    deadline = time.monotonic() + SECONDS
    try:
        while until not in terminal.text():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{until!r} is not seen of pylock {words}:\n{terminal.text()}")
            terminal.feed(decoder.decode(os.read(fd, 65536)))
    finally:
        os.kill(pid, signal.SIGTERM)
        os.close(fd)
        os.waitpid(pid, 0)
    lines: list[list[Run]] = terminal.runs()
    return {"command": f"pylock {words}", "lines": lines}


if __name__ == "__main__":
    main()
