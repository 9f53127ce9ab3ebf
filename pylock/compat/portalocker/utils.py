"""The submodule of that name of portalocker, whose settings are portalocker's: set here, they hold there too.

To type checkers its locks are portalocker's, as a subclass cannot have their overloads by mode.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from ..real import portalocker as _real

if TYPE_CHECKING:
    from portalocker import BoundedSemaphore as BoundedSemaphore
    from portalocker import Lock as Lock
    from portalocker import NamedBoundedSemaphore as NamedBoundedSemaphore
    from portalocker import PidFileLock as PidFileLock
    from portalocker import RLock as RLock
    from portalocker import TemporaryFileLock as TemporaryFileLock
    from portalocker import utils
    from portalocker.utils import DEFAULT_CHECK_INTERVAL as DEFAULT_CHECK_INTERVAL
    from portalocker.utils import DEFAULT_FAIL_WHEN_LOCKED as DEFAULT_FAIL_WHEN_LOCKED
    from portalocker.utils import DEFAULT_TIMEOUT as DEFAULT_TIMEOUT
    from portalocker.utils import LOCK_METHOD as LOCK_METHOD
    from portalocker.utils import LockBase as LockBase
    from portalocker.utils import coalesce as coalesce
    from portalocker.utils import open_atomic as open_atomic
else:
    utils = _real.utils
    from .locks import BoundedSemaphore as BoundedSemaphore
    from .locks import Lock as Lock
    from .locks import NamedBoundedSemaphore as NamedBoundedSemaphore
    from .locks import PidFileLock as PidFileLock
    from .locks import RLock as RLock
    from .locks import TemporaryFileLock as TemporaryFileLock

__all__ = ["Lock", "open_atomic"]  # what is not here is looked for in portalocker


class _Settings(ModuleType):
    """Source: Python's data model, "Customizing module attribute access"."""

    def __getattr__(self, name: str) -> object:
        return getattr(utils, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name in vars(self) or not hasattr(utils, name):
            super().__setattr__(name, value)
        else:
            _as_it_was.setdefault(name, getattr(utils, name))
            setattr(utils, name, value)

    def __delattr__(self, name: str) -> None:
        if name in _as_it_was:
            setattr(utils, name, _as_it_was[name])
        else:
            super().__delattr__(name)

    def __dir__(self) -> list[str]:
        return dir(utils)


_as_it_was: dict[str, object] = {}
"""What portalocker's settings were before they were set here."""

sys.modules[__name__].__class__ = _Settings
