"""`ReadWriteLock` and `AsyncReadWriteLock`: the real ones, woken in the order in which they came."""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING

from ..real import filelock
from ..turns import Awaited, Patience, others_wait, wait

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from concurrent import futures
    from typing import Literal

LOOK = 0.05
"""Seconds between two looks at the database, for what the kernel does not tell."""
INSIST_AFTER = 0.1
"""Seconds after which a writer who is next keeps new readers out who do not wait in the queue."""


class ReadWriteLock(filelock.ReadWriteLock):
    """filelock's own; who waits is woken in turn, so that a waiting writer is next, whatever readers come."""

    def _acquire(
        self,
        mode: Literal["read", "write"],
        timeout: float,
        *,
        blocking: bool,
        holder: int | None = None,
        cancel_check: Callable[[], bool] | None = None,
    ) -> filelock.AcquireReturnProxy[ReadWriteLock]:
        seconds = filelock._core.resolve_read_write_timeout(timeout, blocking=blocking)

        def attempt(seconds: float = 0.0) -> filelock.AcquireReturnProxy[ReadWriteLock]:
            return super(ReadWriteLock, self)._acquire(
                mode, seconds, blocking=blocking, holder=holder, cancel_check=cancel_check
            )

        if not blocking or seconds == 0:
            return attempt()
        deadline = None if seconds < 0 else monotonic() + seconds
        awaited = self._awaited()
        if self._hold.level or not others_wait(awaited.status):
            try:
                return attempt()
            except filelock.Timeout:
                if cancel_check is not None and cancel_check():
                    raise
        return self._wait(awaited, attempt, Patience(deadline, LOOK, cancel_check), insists=mode == "write")

    def _wait(
        self,
        awaited: Awaited,
        attempt: Callable[..., filelock.AcquireReturnProxy[ReadWriteLock]],
        patience: Patience,
        insists: bool,
    ) -> filelock.AcquireReturnProxy[ReadWriteLock]:
        granted = []
        began = monotonic()

        def look() -> bool:
            waited = monotonic() - began
            seconds = waited / 2 if insists and waited > INSIST_AFTER else 0.0
            left = patience.left()
            try:
                granted.append(attempt(seconds if left is None else min(seconds, left)))
            except filelock.Timeout:
                return False
            return True

        wait(awaited, look, patience)
        if not granted:
            raise filelock.Timeout(self.lock_file)
        return granted[0]

    def _awaited(self) -> Awaited:
        path = os.fspath(self._canonical_path)
        return Awaited(os.stat(path), (path,), path, noisy=True)


class AsyncReadWriteLock(filelock.AsyncReadWriteLock):
    """filelock's own over the `ReadWriteLock` here."""

    def _bind(
        self,
        lock: filelock.ReadWriteLock,
        loop: asyncio.AbstractEventLoop | None,
        executor: futures.Executor | None,
    ) -> None:
        ours = ReadWriteLock(lock.lock_file, lock.timeout, blocking=lock.blocking, is_singleton=not self._owns_backend)
        super()._bind(ours, loop, executor)
