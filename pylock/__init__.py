"""Locks between processes, from fcntl byte ranges in a shared directory: exclusive, shared and counted; no daemon.

with pylock.lock("backup"):
    ...
"""

from ._acquiring.events import Event, log_event, on_event
from ._errors import (
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
from ._file.header import Definition
from ._file.layout import UNLIMITED
from ._holds import Hold
from ._locks import Lock, lock
from ._process import loading as _loading

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._definitions import define
    from ._enums import Mode
    from ._kinds.paths import PathHold, PathLock, path_lock
    from ._kinds.pools import ElementHold, Pool, pool
    from ._kinds.sequences import Sequence, SequenceHold, sequence
    from ._kinds.timestamps import Timestamp, TimestampHold, timestamp
    from ._run.embedded import Outcome, run
    from ._run.signals import signals
    from ._several import Holds, Several, all_of
    from ._status import Holder, LockStatus, Waiter, inspect, status

__all__ = [
    "UNLIMITED", "BadLockFile", "Deadlock", "Definition", "DefinitionMismatch", "ElementHold", "Event", "Hold",
    "Holder", "Holds", "Lock", "LockError", "LockLost", "LockStatus", "LockTimeout", "Mode", "NotHeld", "Outcome",
    "PathHold", "PathLock", "Pool", "Sequence", "SequenceHold", "Several", "Timestamp", "TimestampHold", "Unsupported",
    "Waiter", "WouldBlock", "all_of", "define", "inspect", "lock", "log_event", "on_event", "path_lock", "pool", "run",
    "sequence", "signals", "status", "timestamp",
]  # fmt: skip

_ROOMS = {
    "_definitions": "define",
    "_enums": "Mode",
    "_kinds.paths": "PathHold PathLock path_lock",
    "_kinds.pools": "ElementHold Pool pool",
    "_kinds.sequences": "Sequence SequenceHold sequence",
    "_kinds.timestamps": "Timestamp TimestampHold timestamp",
    "_run.embedded": "Outcome run",
    "_run.signals": "signals",
    "_several": "Holds Several all_of",
    "_status": "Holder LockStatus Waiter inspect status",
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
