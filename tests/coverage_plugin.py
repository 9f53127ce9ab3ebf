"""For `make coverage`: counts threads that `threading` does not know, and processes that die of a signal of their own.

Loaded by coverage wherever it begins to measure, before anything of pylock is imported.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from coverage import Coverage
from coverage.plugin_support import Plugins

_SPARES = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH, signal.SIGTSTP, signal.SIGSTOP}
"""Signals that by default end nobody: signal(7)."""


def coverage_init(registry: Plugins, options: dict[str, Any]) -> None:
    """Called by coverage when it begins."""
    start, kill = _thread.start_new_thread, os.kill

    def start_counted(function: Callable[..., object], *words: Any) -> int:
        def counted(*given: Any, **named: Any) -> object:
            sys.settrace(threading.gettrace())
            return function(*given, **named)

        return start(counted, *words)

    def kill_saved(pid: int, number: int) -> None:
        ends_us = pid == os.getpid() and number and number not in _SPARES
        if ends_us and (number == signal.SIGKILL or signal.getsignal(number) is signal.SIG_DFL):
            _save()
        kill(pid, number)

    _thread.start_new_thread, os.kill = start_counted, kill_saved


def _save() -> None:
    coverage = Coverage.current()
    if coverage is not None:
        coverage.stop()
        coverage.save()
