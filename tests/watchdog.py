"""A process that watches the tests: one that hangs is made to fail, with all stacks, and the others go on.

It reads a line whenever a test begins. Where none comes for too long it sends SIGVTALRM, whose handler (in conftest)
raises in the main thread; where even that does not help, SIGABRT, at which pytest prints the stacks and dies.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from types import TracebackType
from typing import Self

TEST_SECONDS = 120
LAST_SECONDS = 15


class Watchdog:
    """The end of the tests. `fed` keeps it quiet for another while."""

    def __init__(self, seconds: float = TEST_SECONDS) -> None:
        self._words = [sys.executable, __file__, str(os.getpid()), str(seconds)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._words, stdin=subprocess.PIPE)
        return self

    def fed(self) -> None:
        assert self._process.stdin is not None
        os.write(self._process.stdin.fileno(), b"\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def watch(pid: int, seconds: float) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the tests decide when they end
    while True:
        if not select.select([0], [], [], seconds)[0]:
            os.kill(pid, signal.SIGVTALRM)
            if not select.select([0], [], [], LAST_SECONDS)[0]:
                os.kill(pid, signal.SIGABRT)
                return
        if not os.read(0, 4096):
            return


if __name__ == "__main__":
    watch(int(sys.argv[1]), float(sys.argv[2]))
