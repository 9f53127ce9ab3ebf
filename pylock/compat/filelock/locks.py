"""`FileLock` and its kinds: exclusive locks for threads."""

from __future__ import annotations

import os
import warnings
from contextlib import ContextDecorator, contextmanager
from threading import TIMEOUT_MAX, RLock, local
from typing import TYPE_CHECKING, Generic, Literal, Self, TypedDict, TypeVar

from .base import Holder, LockBase, State, holders
from .errors import Timeout
from .patience import Patience, as_seconds, limit
from .places import UNSET_MODE, AnyPath, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .readwrite import ReadWriteLock

ContextErrorPolicy = Literal["chain", "group"]
CloseErrorPolicy = Literal["default", "raise", "suppress"]

_LockT = TypeVar("_LockT", bound="BaseFileLock | ReadWriteLock")


class KeywordOptions(TypedDict, total=False):
    blocking: bool
    is_singleton: bool
    poll_interval: float
    lifetime: float | None
    context_error_policy: ContextErrorPolicy
    close_error_policy: CloseErrorPolicy
    fallback_to_soft: bool
    preserve_lock_file: bool
    on_acquired: Callable[[int], None] | None


class LockOptions(KeywordOptions, total=False):
    """The options of a lock, for who hands them on."""

    timeout: float
    mode: int
    thread_local: bool


class AcquireReturnProxy(Generic[_LockT]):
    """What acquire returns: ``with`` releases at the end of the block."""

    def __init__(self, lock: _LockT) -> None:
        self.lock = lock

    def __enter__(self) -> _LockT:
        return self.lock

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self.lock._beside(error):
            self.lock.release()


class _ThreadState(State, local):
    """`State`, for each thread its own."""


class BaseFileLock(LockBase, ContextDecorator):
    """An exclusive lock that the same object can acquire again; it is free when it was released as often.

    timeout        seconds to wait; below 0 for ever, 0 one try
    mode           permissions of the lock file, if it is made; by default those that its directory gives
    thread_local   whether each thread has a hold, a counter and settings of its own
    poll_interval  how often a cancel_check is asked; waiting does not poll
    lifetime       is ignored with a warning: pylock takes no lock from a living holder

    The others have no effect, but for on_acquired, which raises NotImplementedError.
    """

    def __init__(
        self,
        lock_file: AnyPath,
        timeout: float = -1,
        mode: int = UNSET_MODE,
        thread_local: bool = True,
        *,
        blocking: bool = True,
        is_singleton: bool = False,
        poll_interval: float = 0.05,
        lifetime: float | None = None,
        context_error_policy: ContextErrorPolicy = "chain",
        close_error_policy: CloseErrorPolicy = "default",
        fallback_to_soft: bool = True,
        preserve_lock_file: bool = False,
        on_acquired: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(lock_file, mode, is_singleton)
        if on_acquired is not None:
            raise NotImplementedError("on_acquired: pylock lends nobody its lock file; write to a file of your own")
        self._thread_local = thread_local
        self._state = (_ThreadState if thread_local else State)(as_seconds(timeout), blocking)
        self._gate = RLock()
        self._pid = os.getpid()
        self._settings = {
            "timeout": limit(self.timeout, blocking), "mode": mode, "thread_local": thread_local,
            "context_error_policy": context_error_policy,
        }  # fmt: skip
        self.poll_interval = poll_interval
        self.lifetime = lifetime
        self.context_error_policy = context_error_policy
        self.close_error_policy = close_error_policy
        self.fallback_to_soft = fallback_to_soft
        self.preserve_lock_file = preserve_lock_file
        self.on_acquired = on_acquired

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._lock_file!r} {'held' if self.is_locked else 'not held'}>"

    def is_thread_local(self) -> bool:
        return self._thread_local

    @property
    def timeout(self) -> float:
        return self._state.timeout

    @timeout.setter
    def timeout(self, value: float | str) -> None:
        self._state.timeout = as_seconds(float(value))

    @property
    def blocking(self) -> bool:
        return self._state.blocking

    @blocking.setter
    def blocking(self, value: bool) -> None:
        self._state.blocking = value

    @property
    def lifetime(self) -> float | None:
        """Always None."""
        return None

    @lifetime.setter
    def lifetime(self, value: float | None) -> None:
        if value is not None:
            warnings.warn("lifetime is ignored: a holder that died is out at once, one that lives stays", stacklevel=3)

    @property
    def mode(self) -> int:
        return self._mode if self.has_explicit_mode else 0o644

    @property
    def has_explicit_mode(self) -> bool:
        return self._mode != UNSET_MODE

    @property
    def is_locked(self) -> bool:
        """Whether this object holds the lock; in this thread, if it is thread local."""
        return self._state.level > 0

    @property
    def lock_counter(self) -> int:
        return self._state.level

    def acquire(
        self,
        timeout: float | None = None,
        poll_interval: float | None = None,
        *,
        poll_intervall: float | None = None,
        blocking: bool | None = None,
        cancel_check: Callable[[], bool] | None = None,
    ) -> AcquireReturnProxy[Self]:
        """Wait for the lock; what is None is as the object was made. Raises Timeout, RuntimeError for a deadlock.

        A cancel_check is asked every poll_interval, and each time this request goes to the end of the queue.
        """
        interval = poll_interval or poll_intervall or self.poll_interval
        patience = self._patience(timeout, blocking, interval, cancel_check)
        with self._one_thread(patience):
            if not self._join():
                self._take(self._free_holder(patience), "exclusive", patience)
        return AcquireReturnProxy(self)

    def release(self, force: bool = False) -> None:
        """Go down one level; ``force``: all, and release what threads left behind that have ended."""
        if self.is_locked:
            with self._own_gate():
                if self.is_locked:
                    self._leave(force)
        if force:
            for grant in list(self._grants):
                if not grant.thread.is_alive():
                    self._let_go(grant)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self._beside(error):
            self.release()

    def _state_here(self) -> State:
        return self._state

    def _join(self) -> bool:
        """Go up one level if the object holds the lock."""
        with self._own_gate():
            if held := self.is_locked:
                self._state.counter += 1
            return held

    def _free_holder(self, patience: Patience) -> Holder:
        """Return who would hold the lock. Raises RuntimeError if it does so already, and would wait for itself."""
        holder = self._holder()
        if patience.endless and holder in holders:
            raise RuntimeError(
                f"Deadlock: {self._lock_file!r} is held through another object here, and this one would wait for ever;"
                " acquire that object again, or make both with is_singleton=True"
            )
        return holder

    def _own_gate(self) -> RLock:
        if self._pid != os.getpid():  # the parent's other threads are not here to leave it
            self._pid, self._gate = os.getpid(), RLock()
        return self._gate

    @contextmanager
    def _one_thread(self, patience: Patience) -> Iterator[None]:
        """Let threads that share the hold in one by one, so that the next finds what this one was granted."""
        if self._thread_local:
            yield
            return
        gate = self._own_gate()
        if not any(gate.acquire(timeout=_for_threads(seconds)) for seconds in patience.tries()):
            raise Timeout(self._lock_file, "another thread is waiting for it with the same object")
        try:
            yield
        finally:
            gate.release()


def _for_threads(seconds: float | None) -> float:
    return -1 if seconds is None else min(seconds, TIMEOUT_MAX)


class UnixFileLock(BaseFileLock):
    """The same."""


FileLock = UnixFileLock


class SoftFileLock(BaseFileLock):
    """The same, and what filelock's own reads from the lock file. It is not the file's existence that locks."""

    @property
    def pid(self) -> int | None:
        """Of the process that holds the lock; None if none does."""
        try:
            status = place_of(self._lock_file).inspect()
        except FileNotFoundError:
            return None
        return status.holders[0].pid if status.holders else None

    @property
    def is_lock_held_by_us(self) -> bool:
        return self.pid == os.getpid()

    def break_lock(self) -> None:
        """Raise NotImplementedError if somebody holds the lock: whoever does is alive."""
        if self.pid is not None:
            raise NotImplementedError(
                f"break_lock: pid {self.pid} lives and holds {self._lock_file!r}; end it, and the lock is free"
            )


class StrictSoftFileLock(BaseFileLock):
    """The same. There are no claims to look at or break; `pylock.inspect` shows who holds and who waits."""
