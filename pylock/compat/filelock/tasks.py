"""`AsyncFileLock` and its kinds: exclusive locks for the tasks of asyncio. They wait on the running loop."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Generic, NoReturn, Self, TypeVar
from weakref import WeakKeyDictionary

import pylock

from .base import Holder, LockBase
from .errors import Timeout
from .locks import BaseFileLock, SoftFileLock, StrictSoftFileLock
from .places import UNSET_MODE, AnyPath

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from asyncio import Lock as AsyncLock
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Executor
    from typing import Unpack

    from .locks import KeywordOptions
    from .patience import Patience
    from .readwrite import AsyncReadWriteLock

_LockT = TypeVar("_LockT", bound="BaseAsyncFileLock | AsyncReadWriteLock")


class AsyncProxy(Generic[_LockT]):
    """What acquire returns: ``async with`` releases at the end of the block."""

    def __init__(self, lock: _LockT) -> None:
        self.lock = lock

    async def __aenter__(self) -> _LockT:
        return self.lock

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self.lock._beside(error):
            await self.lock.release()


class AsyncAcquireReturnProxy(AsyncProxy["BaseAsyncFileLock"]):
    """The same."""


class OfTasks(LockBase):
    """How a task takes a lock: on the running loop, without a thread."""

    def _scope(self) -> object:
        from asyncio import current_task

        return current_task()

    async def _take_async(self, holder: Holder, mode: str, patience: Patience) -> None:
        lock = holder.place.lock(mode, self._mode)
        for seconds in patience.tries():
            try:
                return self._keep(lock, await lock.acquire_async(seconds), holder)
            except pylock.LockTimeout as error:
                refusal = error
        raise Timeout(self._lock_file, str(refusal)) from refusal


class BaseAsyncFileLock(OfTasks, BaseFileLock):
    """`BaseFileLock` for asyncio. It waits on the running loop, without a thread: loop and executor are only kept."""

    def __init__(
        self,
        lock_file: AnyPath,
        timeout: float = -1,
        mode: int = UNSET_MODE,
        thread_local: bool = False,
        *,
        loop: AbstractEventLoop | None = None,
        run_in_executor: bool = True,
        executor: Executor | None = None,
        **options: Unpack[KeywordOptions],
    ) -> None:
        super().__init__(lock_file, timeout, mode, thread_local, **options)
        self._gates: WeakKeyDictionary[AbstractEventLoop, AsyncLock] = WeakKeyDictionary()
        self.loop = loop
        self.run_in_executor = run_in_executor
        self.executor = executor

    async def acquire(  # type: ignore[override]
        self,
        timeout: float | None = None,
        poll_interval: float | None = None,
        *,
        blocking: bool | None = None,
        cancel_check: Callable[[], bool] | None = None,
    ) -> AsyncAcquireReturnProxy:
        interval = self.poll_interval if poll_interval is None else poll_interval
        patience = self._patience(timeout, blocking, interval, cancel_check)
        async with self._one_task(patience):
            if not self._join():
                await self._take_async(self._free_holder(patience), "exclusive", patience)
        return AsyncAcquireReturnProxy(self)

    async def release(self, force: bool = False) -> None:  # type: ignore[override]
        super().release(force)

    def __enter__(self) -> NoReturn:
        raise NotImplementedError("use async with")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        raise NotImplementedError("use async with")

    async def __aenter__(self) -> Self:
        await self.acquire()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self._beside(error):
            await self.release()

    @asynccontextmanager
    async def _one_task(self, patience: Patience) -> AsyncIterator[None]:
        """Let tasks in one by one, as `_one_thread` does threads."""
        from asyncio import Lock, get_running_loop, timeout

        gate = self._gates.setdefault(get_running_loop(), Lock())  # one of asyncio's locks serves one loop only
        for seconds in patience.tries():
            with suppress(TimeoutError):
                async with timeout(seconds):
                    await gate.acquire()
                break
        else:
            raise Timeout(self._lock_file, "another task is waiting for it with the same object")
        try:
            yield
        finally:
            gate.release()


class AsyncUnixFileLock(BaseAsyncFileLock):
    """The same."""


AsyncFileLock = AsyncUnixFileLock


class AsyncSoftFileLock(SoftFileLock, BaseAsyncFileLock):
    """The same, with what `SoftFileLock` tells."""


class AsyncStrictSoftFileLock(StrictSoftFileLock, BaseAsyncFileLock):
    """The same."""
