"""`AsyncFileLock`: the real one, whose tasks are woken in the order in which they came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..real import filelock
from ..turns import wait_async
from .locks import UnixFileLock

if TYPE_CHECKING:
    from collections.abc import Callable


class AsyncUnixFileLock(UnixFileLock, filelock.asyncio.AsyncUnixFileLock):
    """filelock's own `AsyncFileLock`; it waits on the running loop, and without a thread."""

    async def _async_poll_until_acquired(
        self,
        *,
        blocking: bool,
        cancel_check: Callable[[], bool] | None,
        timeout: float,
        poll_interval: float,
        start_time: float,
    ) -> None:
        with self._while_waiting(
            filelock.AcquireWait(blocking, cancel_check, timeout, poll_interval, start_time)
        ) as waiting:
            await super()._async_poll_until_acquired(
                blocking=blocking, cancel_check=waiting.is_cancelled, timeout=timeout, poll_interval=poll_interval,
                start_time=start_time,
            )  # fmt: skip

    async def _run_acquire_attempt(self) -> None:
        waiting = self._waiting()
        if waiting is not None and waiting.awaited is not None:
            await wait_async(waiting.awaited, waiting.attempt, waiting.patience)
        await super()._run_acquire_attempt()

    def _poll_delay(self, poll_interval: float, attempt: int) -> float:
        """Leave the wait to the next attempt, as nothing can be awaited here."""
        return 0.0 if self._prepared() else filelock.UnixFileLock._poll_delay(self, poll_interval, attempt)


AsyncFileLock = AsyncUnixFileLock
