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
from .holds import Hold
from .layout import UNLIMITED, Definition
from .locks import Lock, lock
from .process import loading as _loading

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .census import Holder, Waiter
    from .definitions import define
    from .enums import Mode
    from .kinds.paths import PathHold, PathLock, path_lock
    from .kinds.pools import ElementHold, Pool, pool
    from .kinds.sequences import Sequence, SequenceHold, sequence
    from .kinds.timestamps import Timestamp, TimestampHold, timestamp
    from .running import Outcome, run
    from .several import Several, all_of
    from .signames import signals
    from .survey import LockStatus, inspect, status

__all__ = [
    "UNLIMITED", "BadLockFile", "Deadlock", "Definition", "DefinitionMismatch", "ElementHold", "Hold", "Holder",
    "Lock", "LockError", "LockLost", "LockStatus", "LockTimeout", "Mode", "NotHeld", "Outcome", "PathHold",
    "PathLock", "Pool", "Sequence", "SequenceHold", "Several", "Timestamp", "TimestampHold", "Unsupported", "Waiter",
    "WouldBlock", "all_of", "define", "inspect", "lock", "path_lock", "pool", "run", "sequence", "signals", "status",
    "timestamp",
]  # fmt: skip

_ROOMS = {
    "census": "Holder Waiter",
    "definitions": "define",
    "enums": "Mode",
    "kinds.paths": "PathHold PathLock path_lock",
    "kinds.pools": "ElementHold Pool pool",
    "kinds.sequences": "Sequence SequenceHold sequence",
    "kinds.timestamps": "Timestamp TimestampHold timestamp",
    "running": "Outcome run",
    "several": "Several all_of",
    "signames": "signals",
    "survey": "LockStatus inspect status",
}
_LATER = {name: room for room, names in _ROOMS.items() for name in names.split()}
"""Imported when first used, so that a program which only locks starts fast."""


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _loading:
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
