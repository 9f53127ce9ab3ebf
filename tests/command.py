"""The command ``pylock`` as tests start it: a real process, in a group of its own if need be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from contender import ROOT

PYLOCK = [sys.executable, "-m", "pylock"]


def environment(**variables: str) -> dict[str, str]:
    """Where pylock is found elsewhere, `make coverage` counts nothing: its plugin stands beside the real one."""
    given = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    if str(ROOT) not in given["PYTHONPATH"].split(os.pathsep):
        given.pop("COVERAGE_PROCESS_CONFIG", None)
    return given


def pylock(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    options.setdefault("env", environment())
    return subprocess.run([*PYLOCK, *words], capture_output=True, text=True, timeout=60, check=False, **options)


class Running:
    """A pylock command that runs in the background, in a process group of its own."""

    def __init__(self, *words: str, **options: Any) -> None:
        options.setdefault("env", environment())
        self.process = subprocess.Popen(
            [*PYLOCK, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            **options,
        )  # fmt: skip
        self.pid = self.process.pid

    def line(self) -> str:
        """The next line of the command's output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        os.killpg(self.pid, number)

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; return the return code, the rest of the output, and the errors."""
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output, errors

    def close(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.communicate()


Start = Callable[..., Running]
"""What the fixture `start` gives."""
