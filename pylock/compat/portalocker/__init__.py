"""The package portalocker, whose waiters are woken in the order in which they came instead of looking again and again.

    from pylock.compat import portalocker

It is portalocker's own, of which the locks, `lock` and `unlock` wait and wake in another way. Programs on portalocker
itself are excluded. What differs and why: docs/how-to/from-portalocker.md.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..real import portalocker as _real
from . import utils as utils
from .flocking import lock, unlock
from .utils import BoundedSemaphore, Lock, NamedBoundedSemaphore, PidFileLock, RLock, TemporaryFileLock

if TYPE_CHECKING:
    from portalocker import (
        LOCK_EX,
        LOCK_NB,
        LOCK_SH,
        LOCK_UN,
        AlreadyLocked,
        LockException,
        LockFlags,
        LockLostError,
        RedisLock,
        open_atomic,
    )  # fmt: skip
    from portalocker import __author__ as __author__
    from portalocker import __email__ as __email__
    from portalocker import __url__ as __url__
    from portalocker import __version__ as __version__
    from portalocker import constants as constants
    from portalocker import exceptions as exceptions
    from portalocker import types as types

__all__ = [
    "LOCK_EX",
    "LOCK_NB",
    "LOCK_SH",
    "LOCK_UN",
    "AlreadyLocked",
    "BoundedSemaphore",
    "Lock",
    "LockException",
    "LockFlags",
    "LockLostError",
    "NamedBoundedSemaphore",
    "PidFileLock",
    "RLock",
    "RedisLock",
    "TemporaryFileLock",
    "lock",
    "open_atomic",
    "unlock",
]  # fmt: skip

for _name in ("__about__", "constants", "exceptions", "portalocker", "types"):
    sys.modules[f"{__name__}.{_name}"] = getattr(_real, _name)


def __getattr__(name: str) -> object:
    return getattr(_real, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_real)})
