"""The package filelock, whose waiters are woken in the order in which they came instead of looking again and again.

    from pylock.compat.filelock import FileLock, Timeout

It is filelock's own, of which `FileLock`, `AsyncFileLock`, `ReadWriteLock`, `AsyncReadWriteLock`, `lock_descriptor` and
`unlock_descriptor` wait and wake in another way. Programs on filelock itself are excluded. What differs and why:
docs/how-to/from-filelock.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..real import filelock
from .locks import FileLock, UnixFileLock, lock_descriptor, unlock_descriptor
from .version import version as version

if TYPE_CHECKING:
    from filelock import (
        AcquireReturnProxy,
        AcquireWait,
        AsyncAcquireReadWriteReturnProxy,
        AsyncAcquireReturnProxy,
        AsyncAcquireSoftReadWriteReturnProxy,
        AsyncSoftFileLease,
        AsyncSoftFileLock,
        AsyncSoftReadWriteLock,
        AsyncStrictSoftFileLock,
        AsyncWindowsFileLock,
        BaseAsyncFileLock,
        BaseFileLock,
        CloseErrorPolicy,
        CompromiseReason,
        ContextErrorPolicy,
        FileLockContext,
        InFlight,
        LeaseClaim,
        LeaseCompromise,
        LeaseHeartbeat,
        LeaseSettingsMismatch,
        LockOptions,
        MarkerSoftFileLock,
        OwnerMode,
        OwnerRecord,
        ReleasePendingError,
        SoftFileLease,
        SoftFileLock,
        SoftFileLockLifetimeWarning,
        SoftFileLockProtocolError,
        SoftReadWriteLock,
        StrictRelease,
        StrictSoftFileClaim,
        StrictSoftFileClaimState,
        StrictSoftFileLock,
        Timeout,
        WindowsFileLock,
        __version__,
        has_fcntl,
    )  # fmt: skip

    from . import asyncio
    from .readwrite import AsyncReadWriteLock, ReadWriteLock
    from .tasks import AsyncFileLock, AsyncUnixFileLock

__all__ = [
    "AcquireReturnProxy",
    "AcquireWait",
    "AsyncAcquireReadWriteReturnProxy",
    "AsyncAcquireReturnProxy",
    "AsyncAcquireSoftReadWriteReturnProxy",
    "AsyncFileLock",
    "AsyncReadWriteLock",
    "AsyncSoftFileLease",
    "AsyncSoftFileLock",
    "AsyncSoftReadWriteLock",
    "AsyncStrictSoftFileLock",
    "AsyncUnixFileLock",
    "AsyncWindowsFileLock",
    "BaseAsyncFileLock",
    "BaseFileLock",
    "CloseErrorPolicy",
    "CompromiseReason",
    "ContextErrorPolicy",
    "FileLock",
    "FileLockContext",
    "InFlight",
    "LeaseClaim",
    "LeaseCompromise",
    "LeaseHeartbeat",
    "LeaseSettingsMismatch",
    "LockOptions",
    "MarkerSoftFileLock",
    "OwnerMode",
    "OwnerRecord",
    "ReadWriteLock",
    "ReleasePendingError",
    "SoftFileLease",
    "SoftFileLock",
    "SoftFileLockLifetimeWarning",
    "SoftFileLockProtocolError",
    "SoftReadWriteLock",
    "StrictRelease",
    "StrictSoftFileClaim",
    "StrictSoftFileClaimState",
    "StrictSoftFileLock",
    "Timeout",
    "UnixFileLock",
    "WindowsFileLock",
    "__version__",
    "asyncio",
    "has_fcntl",
    "lock_descriptor",
    "unlock_descriptor",
]  # fmt: skip

_OURS = {
    "AsyncFileLock": "tasks", "AsyncUnixFileLock": "tasks",
    "AsyncReadWriteLock": "readwrite", "ReadWriteLock": "readwrite",
}  # fmt: skip
"""What takes long to load, and in which module it is."""


def __getattr__(name: str) -> object:
    if name == "asyncio":
        return import_module(".asyncio", __name__)
    if name not in _OURS:
        return getattr(filelock, name)
    if filelock.ReadWriteLock is None:  # a Python without sqlite3
        return None
    return getattr(import_module("." + _OURS[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(filelock)})
