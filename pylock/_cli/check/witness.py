"""A child that touches the directory for ``pylock check``, with a deadline: a file server may hang who asks it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from .findings import BAD, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Witness:
    """One child process, which answers in lines."""

    def __init__(self, words: list[str], seconds: float) -> None:
        # Whoever writes a json.py where the caller happens to be shall not be run by it.
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[3]), "PYTHONSAFEPATH": "1"}
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(words, text=True, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)
        self._seconds = seconds

    def __enter__(self) -> Witness:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            try:
                if stream is not None:
                    stream.close()
            except BrokenPipeError:
                pass
        reap(self._child)

    def line(self) -> str:
        """The next line of its output, "" if none came in time."""
        import select

        assert self._child.stdout is not None
        ready, _, _ = select.select([self._child.stdout], [], [], self._seconds)
        return self._child.stdout.readline().strip() if ready else ""

    def tell(self) -> None:
        """Have it go on."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write("\n")
            self._child.stdin.flush()
        except BrokenPipeError:  # it has ended, which shows when its answer does not come
            pass

    def failure(self, what: str) -> Finding:
        """What it means that it did not answer as it should."""
        assert self._child.stderr is not None
        deadline = time.monotonic() + 1
        while self._child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if self._child.poll() is None:
            return Finding(
                BAD, f"{what}: no answer within {self._seconds:g} s", "whoever locks here would hang too",
                "look at the file server, the network, and the command to reach another host",
            )  # fmt: skip
        last = (self._child.stderr.read().strip().splitlines() or ["it ended without a word"])[-1]
        return Finding(
            BAD, f"{what}: {last}", "what cannot be proven cannot be relied on", "remove the cause, try again"
        )


def reap(child: subprocess.Popen[Any]) -> None:
    try:
        child.wait(1)
    except subprocess.TimeoutExpired:  # it hangs in the file system and dies when that answers
        pass
