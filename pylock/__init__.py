"""Locks between processes, from fcntl byte ranges in a shared directory: exclusive, shared and counted; no daemon.

with pylock.lock("backup"):
    ...
"""

from .errors import (
    BadLockFile,
    Deadlock,
    DefinitionMismatch,
    LockError,
    LockLost,
    LockTimeout,
    NotHeld,
    Unsupported,
    WouldBlock,
)
from .lockfile import UNLIMITED, Definition
from .locks import Hold, Lock, lock

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .census import Holder, Waiter
    from .definitions import define
    from .enums import Mode
    from .running import Outcome, run
    from .several import Several, all_of
    from .signames import signals
    from .survey import LockStatus, inspect, status

__all__ = [
    "UNLIMITED", "BadLockFile", "Deadlock", "Definition", "DefinitionMismatch", "Hold", "Holder", "Lock", "LockError",
    "LockLost", "LockStatus", "LockTimeout", "Mode", "NotHeld", "Outcome", "Several", "Unsupported", "Waiter",
    "WouldBlock", "all_of", "define", "inspect", "lock", "run", "signals", "status",
]  # fmt: skip

_LATER = {
    "Holder": "census", "LockStatus": "survey", "Mode": "enums", "Waiter": "census", "define": "definitions",
    "inspect": "survey", "status": "survey", "run": "running", "Outcome": "running", "all_of": "several",
    "Several": "several", "signals": "signames",
}  # fmt: skip
"""Imported when first used, so that a program which only locks starts fast."""


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
