"""The submodule of that name of portalocker; to type checkers its locks are portalocker's, with overloads by mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portalocker import utils
from portalocker.utils import DEFAULT_CHECK_INTERVAL as DEFAULT_CHECK_INTERVAL
from portalocker.utils import DEFAULT_FAIL_WHEN_LOCKED as DEFAULT_FAIL_WHEN_LOCKED
from portalocker.utils import DEFAULT_TIMEOUT as DEFAULT_TIMEOUT
from portalocker.utils import LOCK_METHOD as LOCK_METHOD
from portalocker.utils import LockBase as LockBase
from portalocker.utils import coalesce as coalesce
from portalocker.utils import open_atomic

if TYPE_CHECKING:
    from portalocker import BoundedSemaphore as BoundedSemaphore
    from portalocker import Lock as Lock
    from portalocker import NamedBoundedSemaphore as NamedBoundedSemaphore
    from portalocker import PidFileLock as PidFileLock
    from portalocker import RLock as RLock
    from portalocker import TemporaryFileLock as TemporaryFileLock
else:
    from .locks import BoundedSemaphore as BoundedSemaphore
    from .locks import Lock as Lock
    from .locks import NamedBoundedSemaphore as NamedBoundedSemaphore
    from .locks import PidFileLock as PidFileLock
    from .locks import RLock as RLock
    from .locks import TemporaryFileLock as TemporaryFileLock

__all__ = ["Lock", "open_atomic"]


def __getattr__(name: str) -> object:
    return getattr(utils, name)


def __dir__() -> list[str]:
    return dir(utils)
