"""Ending as another process ended, so that a shell sees the same."""

from __future__ import annotations

import os

from .signames import UNSTOPPABLE
from .supervisor import raw


def die_of(signal: int) -> int:
    """Die of the signal, without a core; where that cannot be, return the exit status that a shell makes of it."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if signal not in UNSTOPPABLE:
        raw.signal(signal, raw.SIG_DFL)
    raw.pthread_sigmask(raw.SIG_UNBLOCK, [signal])
    os.kill(os.getpid(), signal)
    return 128 + signal
