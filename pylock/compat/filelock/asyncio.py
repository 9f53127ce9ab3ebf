"""The submodule of that name of filelock."""

from filelock.asyncio import *  # the rest is filelock's own
from filelock.asyncio import __all__ as __all__

from ..real import filelock
from .tasks import AsyncUnixFileLock as AsyncUnixFileLock


def __dir__() -> list[str]:
    return dir(filelock.asyncio)
