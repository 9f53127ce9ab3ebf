"""The interface of the package filelock over pylock's locks: a program that comes from there changes one import.

    from pylock.compat.filelock import FileLock, Timeout

What is the same, what differs and why: docs/how-to/from-filelock.md. Programs that still use filelock itself are not
excluded: it locks with flock(2), which byte locks do not see on a local file system.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import NoReturn

from .descriptors import lock_descriptor, unlock_descriptor
from .errors import LeaseSettingsMismatch, SoftFileLockLifetimeWarning, SoftFileLockProtocolError, Timeout
from .locks import (
    AcquireReturnProxy,
    BaseFileLock,
    CloseErrorPolicy,
    ContextErrorPolicy,
    FileLock,
    LockOptions,
    SoftFileLock,
    StrictSoftFileLock,
    UnixFileLock,
)
from .readwrite import (
    AsyncAcquireReadWriteReturnProxy,
    AsyncAcquireSoftReadWriteReturnProxy,
    AsyncReadWriteLock,
    AsyncSoftReadWriteLock,
    ReadWriteLock,
    SoftReadWriteLock,
)
from .tasks import (
    AsyncAcquireReturnProxy,
    AsyncFileLock,
    AsyncSoftFileLock,
    AsyncStrictSoftFileLock,
    AsyncUnixFileLock,
    BaseAsyncFileLock,
)

__all__ = [
    "AcquireReturnProxy", "AsyncAcquireReadWriteReturnProxy", "AsyncAcquireReturnProxy",
    "AsyncAcquireSoftReadWriteReturnProxy", "AsyncFileLock", "AsyncReadWriteLock", "AsyncSoftFileLock",
    "AsyncSoftReadWriteLock", "AsyncStrictSoftFileLock", "AsyncUnixFileLock", "BaseAsyncFileLock", "BaseFileLock",
    "CloseErrorPolicy", "ContextErrorPolicy", "FileLock", "LeaseSettingsMismatch", "LockOptions", "ReadWriteLock",
    "SoftFileLock", "SoftFileLockLifetimeWarning", "SoftFileLockProtocolError", "SoftReadWriteLock",
    "StrictSoftFileLock", "Timeout", "UnixFileLock", "has_fcntl", "lock_descriptor", "unlock_descriptor",
]  # fmt: skip
__version__ = version = "4.2.11"
"""Of filelock: whose interface this is."""
has_fcntl = True
asyncio: ModuleType = sys.modules[__name__]

_LEASES = "pylock has no leases: who dies lets go at once, who lives keeps the lock; use FileLock"
_RECORDS = "use pylock.inspect to see who holds and who waits"
_WINDOWS = "pylock is for Linux; use FileLock"
_NOT_SERVED = {
    "AsyncSoftFileLease": _LEASES, "CompromiseReason": _LEASES, "LeaseCompromise": _LEASES, "SoftFileLease": _LEASES,
    "MarkerSoftFileLock": _RECORDS, "OwnerMode": _RECORDS, "OwnerRecord": _RECORDS, "StrictSoftFileClaim": _RECORDS,
    "StrictSoftFileClaimState": _RECORDS, "AsyncWindowsFileLock": _WINDOWS, "WindowsFileLock": _WINDOWS,
}  # fmt: skip


def __getattr__(name: str) -> NoReturn:
    if name in _NOT_SERVED:  # an AttributeError would not be shown by "from ... import"
        raise ImportError(f"{__name__} has no {name}: {_NOT_SERVED[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
