"""`ReadWriteLock` and its kinds: locks that many hold to read or one to write, for threads and for tasks."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Self, TypedDict
from weakref import WeakKeyDictionary

import pylock

from .base import LockBase, State
from .locks import AcquireReturnProxy
from .patience import as_seconds, limit
from .places import UNSET_MODE, AnyPath
from .tasks import AsyncProxy, OfTasks

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator, Iterator
    from concurrent.futures import Executor
    from typing import Unpack


class _Options(TypedDict, total=False):
    blocking: bool
    is_singleton: bool


class _ReadWriteBase(LockBase):
    """Each thread or task has a hold of its own and its levels."""

    def __init__(
        self, lock_file: AnyPath, timeout: float = -1, *, blocking: bool = True, is_singleton: bool = True
    ) -> None:
        super().__init__(lock_file, UNSET_MODE, is_singleton)
        self.timeout = as_seconds(timeout)
        self.blocking = blocking
        self._settings = {"timeout": limit(self.timeout, blocking)}
        self._states: WeakKeyDictionary[object, State] = WeakKeyDictionary()
        self._is_closed = False

    @property
    def generation(self) -> int | None:
        """The fencing token of the hold, which grows with every writer; None if not held here."""
        hold = self._state_here().hold
        return None if hold is None else hold.token

    @property
    def compromise(self) -> pylock.LockLost | None:
        """How the hold was lost, if the file server gave it away or the file was removed."""
        hold = self._state_here().hold
        try:
            if hold is not None:
                hold.check()
        except pylock.LockLost as error:
            return error
        return None

    def release(self, *, force: bool = False) -> None:
        """Go down one level of this thread or task, or all. Raises RuntimeError if there is none and not ``force``."""
        if self._state_here().level:
            self._leave(force)
        elif not force:
            raise RuntimeError(f"{self._lock_file!r} is not held here: there is nothing to release")

    def close(self) -> None:
        """Release what any thread or task holds through this object; it cannot be used any more."""
        self._is_closed = True
        self._retire()
        self._let_all_go()

    def _state_here(self) -> State:
        return self._states.setdefault(self._scope(), State())

    def _join(self, mode: str) -> bool:
        """Go up one level, if this thread or task holds the lock. Raises RuntimeError if in the other mode."""
        if self._is_closed:
            raise RuntimeError(f"{self._lock_file!r} was closed; make another object")
        state = self._state_here()
        if state.hold is None:
            return False
        if state.hold.mode != mode:
            raise RuntimeError(f"{self._lock_file!r} is held in mode {state.hold.mode} here; release it first")
        state.counter += 1
        return True


class ReadWriteLock(_ReadWriteBase):
    """A lock that many threads and processes hold to read, or one to write."""

    @classmethod
    def get_lock(cls, lock_file: AnyPath, timeout: float = -1, *, blocking: bool = True) -> Self:
        return cls(lock_file, timeout, blocking=blocking)

    def acquire_read(self, timeout: float | None = None, *, blocking: bool | None = None) -> AcquireReturnProxy[Self]:
        return self._acquire("shared", timeout, blocking)

    def acquire_write(self, timeout: float | None = None, *, blocking: bool | None = None) -> AcquireReturnProxy[Self]:
        return self._acquire("exclusive", timeout, blocking)

    @contextmanager
    def read_lock(self, timeout: float | None = None, *, blocking: bool | None = None) -> Iterator[None]:
        with self.acquire_read(timeout, blocking=blocking):
            yield

    @contextmanager
    def write_lock(self, timeout: float | None = None, *, blocking: bool | None = None) -> Iterator[None]:
        with self.acquire_write(timeout, blocking=blocking):
            yield

    def _acquire(self, mode: str, timeout: float | None, blocking: bool | None) -> AcquireReturnProxy[Self]:
        if not self._join(mode):
            self._take(self._holder(), mode, self._patience(timeout, blocking))
        return AcquireReturnProxy(self)


class SoftReadWriteLock(ReadWriteLock):
    """The same. Nothing expires, so that intervals have no effect, and nobody calls back: ask ``compromise``."""

    def __init__(
        self, lock_file: AnyPath, timeout: float = -1, *, blocking: bool = True, is_singleton: bool = True,
        **without_effect: object,
    ) -> None:  # fmt: skip
        super().__init__(lock_file, timeout, blocking=blocking, is_singleton=is_singleton)


class AsyncAcquireReadWriteReturnProxy(AsyncProxy["AsyncReadWriteLock"]):
    """What acquire_read and acquire_write return."""


AsyncAcquireSoftReadWriteReturnProxy = AsyncAcquireReadWriteReturnProxy


class AsyncReadWriteLock(OfTasks, _ReadWriteBase):
    """`ReadWriteLock` for tasks. It waits on the running loop, without a thread: loop and executor are only kept."""

    def __init__(
        self,
        lock_file: AnyPath,
        timeout: float = -1,
        *,
        loop: AbstractEventLoop | None = None,
        executor: Executor | None = None,
        **options: Unpack[_Options],
    ) -> None:
        super().__init__(lock_file, timeout, **options)
        self.loop = loop
        self.executor = executor

    async def acquire_read(
        self, timeout: float | None = None, *, blocking: bool | None = None
    ) -> AsyncAcquireReadWriteReturnProxy:
        return await self._acquire("shared", timeout, blocking)

    async def acquire_write(
        self, timeout: float | None = None, *, blocking: bool | None = None
    ) -> AsyncAcquireReadWriteReturnProxy:
        return await self._acquire("exclusive", timeout, blocking)

    async def release(self, *, force: bool = False) -> None:  # type: ignore[override]
        super().release(force=force)

    @asynccontextmanager
    async def read_lock(self, timeout: float | None = None, *, blocking: bool | None = None) -> AsyncIterator[None]:
        async with await self.acquire_read(timeout, blocking=blocking):
            yield

    @asynccontextmanager
    async def write_lock(self, timeout: float | None = None, *, blocking: bool | None = None) -> AsyncIterator[None]:
        async with await self.acquire_write(timeout, blocking=blocking):
            yield

    async def close(self) -> None:  # type: ignore[override]
        super().close()

    async def _acquire(
        self, mode: str, timeout: float | None, blocking: bool | None
    ) -> AsyncAcquireReadWriteReturnProxy:
        if not self._join(mode):
            await self._take_async(self._holder(), mode, self._patience(timeout, blocking))
        return AsyncAcquireReadWriteReturnProxy(self)


class AsyncSoftReadWriteLock(AsyncReadWriteLock):
    """`SoftReadWriteLock` for asyncio."""

    def __init__(
        self, lock_file: AnyPath, timeout: float = -1, *, blocking: bool = True, is_singleton: bool = True,
        loop: AbstractEventLoop | None = None, executor: Executor | None = None, **without_effect: object,
    ) -> None:  # fmt: skip
        super().__init__(lock_file, timeout, blocking=blocking, is_singleton=is_singleton, loop=loop, executor=executor)
