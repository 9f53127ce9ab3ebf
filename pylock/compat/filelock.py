"""The interface of the package filelock over pylock's locks: a program that comes from there changes one import.

    from pylock.compat.filelock import FileLock, Timeout

What is the same, what differs and why: docs/how-to/from-filelock.md. Programs that still use filelock itself are not
excluded: it locks with flock(2), which byte locks do not see on a local file system.
"""

from __future__ import annotations

import os
import sys
import warnings
from abc import ABCMeta, abstractmethod
from contextlib import ContextDecorator, asynccontextmanager, contextmanager, suppress
from math import inf
from threading import TIMEOUT_MAX, RLock, Thread, current_thread, get_ident, local
from time import monotonic
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, NoReturn, Self, TypedDict, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

import pylock

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from asyncio import Lock as AsyncLock
    from collections.abc import AsyncIterator, Callable, Hashable, Iterator
    from concurrent.futures import Executor
    from typing import Unpack

__all__ = [
    "AcquireReturnProxy", "AsyncAcquireReadWriteReturnProxy", "AsyncAcquireReturnProxy",
    "AsyncAcquireSoftReadWriteReturnProxy", "AsyncFileLock", "AsyncReadWriteLock", "AsyncSoftFileLock",
    "AsyncSoftReadWriteLock", "AsyncStrictSoftFileLock", "AsyncUnixFileLock", "BaseAsyncFileLock", "BaseFileLock",
    "CloseErrorPolicy", "ContextErrorPolicy", "FileLock", "LeaseSettingsMismatch", "LockOptions", "ReadWriteLock",
    "SoftFileLock", "SoftFileLockLifetimeWarning", "SoftFileLockProtocolError", "SoftReadWriteLock",
    "StrictSoftFileLock", "Timeout", "UnixFileLock", "has_fcntl", "lock_descriptor", "unlock_descriptor",
]  # fmt: skip
__version__ = version = "4.2.11"
"""Of filelock: whose interface this is."""
has_fcntl = True
asyncio: ModuleType = sys.modules[__name__]

ContextErrorPolicy = Literal["chain", "group"]
CloseErrorPolicy = Literal["default", "raise", "suppress"]

_UNSET_MODE = -1
_LEAST_INTERVAL = 0.01
"""Seconds between two looks at a cancel_check, at least; a poll_interval of 0 would spin."""

_LockT = TypeVar("_LockT", bound="BaseFileLock | ReadWriteLock")


class Timeout(TimeoutError):
    """The lock was not granted in time. The message says who holds it; ``__cause__`` is pylock's own error."""

    def __init__(self, lock_file: str, holder: str | None = None) -> None:
        super().__init__()
        self._lock_file = lock_file
        self._holder = holder

    def __str__(self) -> str:
        return f"The file lock {self._lock_file!r} could not be acquired{f': {self._holder}' if self._holder else '.'}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._lock_file!r})"

    def __reduce__(self) -> tuple[type[Self], tuple[str], dict[str, object]]:
        return type(self), (self._lock_file,), vars(self)  # a subclass may take the first argument only

    @property
    def lock_file(self) -> str:
        return self._lock_file


class LeaseSettingsMismatch(ValueError):
    """Never raised."""


class SoftFileLockProtocolError(OSError):
    """Never raised."""


class SoftFileLockLifetimeWarning(FutureWarning):
    """Never given."""


class _KeywordOptions(TypedDict, total=False):
    blocking: bool
    is_singleton: bool
    poll_interval: float
    lifetime: float | None
    context_error_policy: ContextErrorPolicy
    close_error_policy: CloseErrorPolicy
    fallback_to_soft: bool
    preserve_lock_file: bool
    on_acquired: Callable[[int], None] | None


class LockOptions(_KeywordOptions, total=False):
    """The options of a lock, for who hands them on."""

    timeout: float
    mode: int
    thread_local: bool


class _Place(NamedTuple):
    """Which pylock lock a path means."""

    directory: str
    name: str


class _Grant(NamedTuple):
    lock: pylock.Lock
    """Of this grant alone, so that its ``held`` tells whether the hold lives; in a forked child it does not."""
    hold: pylock.Hold
    holder: tuple[_Place, Hashable]
    thread: Thread


class _State:
    """A hold, how often it was acquired, and the settings that can change."""

    def __init__(self, timeout: float = -1, blocking: bool = True) -> None:
        self.timeout = timeout
        self.blocking = blocking
        self.grant: _Grant | None = None
        self.counter = 0

    @property
    def level(self) -> int:
        return self.counter if self.grant is not None and self.grant.lock.held else 0


class _ThreadState(_State, local):
    """The same, for each thread its own."""


_holders: WeakValueDictionary[tuple[_Place, Hashable], _Base] = WeakValueDictionary()
"""The object by which a thread or task holds a lock."""
_singletons: WeakValueDictionary[tuple[type, _Place], _Base] = WeakValueDictionary()
_making = RLock()


def _forget_parent() -> None:
    _making.release()
    _holders.clear()


os.register_at_fork(before=_making.acquire, after_in_parent=_making.release, after_in_child=_forget_parent)


# What the locks are made of


class _Patience:
    """How long an acquisition goes on: one wait, or short ones in a row if it can be cancelled."""

    def __init__(self, seconds: float | None, interval: float, is_cancelled: Callable[[], bool] | None) -> None:
        self.endless = seconds is None
        self._deadline = inf if seconds is None else monotonic() + seconds
        self._interval = max(interval, _LEAST_INTERVAL)
        self._is_cancelled = is_cancelled

    def tries(self) -> Iterator[float | None]:
        """Yield how long the next try may take, None for ever. There is a first one even if the time is over."""
        yield 0.0 if self._is_cancelled else self._left()
        while monotonic() < self._deadline and not (self._is_cancelled and self._is_cancelled()):
            yield self._left()

    def _left(self) -> float | None:
        left = max(0.0, self._deadline - monotonic())
        if self._is_cancelled:
            left = min(left, self._interval)
        return None if left == inf else left


class _OncePerFile(ABCMeta):
    """Gives one object to all who ask for the same file with ``is_singleton=True``."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        made = super().__call__(*args, **options)
        if not made.is_singleton:
            return made
        with _making:
            kept = _singletons.setdefault((cls, _place_of(made.lock_file)), made)
        if kept._settings != made._settings:
            raise ValueError(
                f"all who ask for {made.lock_file!r} with is_singleton=True get the object that is there; it was made"
                f" with {kept._settings}, and is asked for with {made._settings}"
            )
        return kept


class _Base(metaclass=_OncePerFile):
    """A file, and the holds of its lock that were granted to this object."""

    _settings: dict[str, object]
    """What all who share the object must ask for alike."""
    context_error_policy: ContextErrorPolicy = "chain"

    def __init__(self, lock_file: str | os.PathLike[str], mode: int, is_singleton: bool) -> None:
        self._lock_file = os.fspath(lock_file)
        self._mode = mode
        self._is_singleton = is_singleton
        self._grants: set[_Grant] = set()

    @property
    def lock_file(self) -> str:
        return self._lock_file

    @property
    def is_singleton(self) -> bool:
        return self._is_singleton

    def _lock_at(self, place: _Place, mode: str) -> pylock.Lock:
        """Return a lock to acquire, with its directory made if need be, and its file if that is to have a mode."""
        os.makedirs(place.directory, exist_ok=True)
        if self._mode != _UNSET_MODE:
            _make_file(pylock.inspect(place.name, place.directory).path, self._mode)
        return pylock.lock(place.name, mode, directory=place.directory)

    def _take(self, lock: pylock.Lock, patience: _Patience) -> pylock.Hold:
        for seconds in patience.tries():
            try:
                return lock.acquire(seconds)
            except pylock.LockTimeout as error:
                refusal = error
        raise Timeout(self._lock_file, str(refusal)) from refusal

    async def _take_async(self, lock: pylock.Lock, patience: _Patience) -> pylock.Hold:
        for seconds in patience.tries():
            try:
                return await lock.acquire_async(seconds)
            except pylock.LockTimeout as error:
                refusal = error
        raise Timeout(self._lock_file, str(refusal)) from refusal

    def _keep(self, state: _State, lock: pylock.Lock, hold: pylock.Hold, holder: tuple[_Place, Hashable]) -> None:
        state.grant = _Grant(lock, hold, holder, current_thread())
        state.counter = 1
        self._grants.add(state.grant)
        _holders[holder] = self

    def _leave(self, state: _State, force: bool) -> None:
        """Go down one level, or all; with the last the hold ends."""
        state.counter = 0 if force else state.counter - 1
        if state.counter == 0 and state.grant is not None:
            grant, state.grant = state.grant, None
            self._let_go(grant)

    def _let_go(self, grant: _Grant) -> None:
        self._grants.discard(grant)
        if _holders.get(grant.holder) is self:
            _holders.pop(grant.holder, None)
        with suppress(pylock.NotHeld):  # a forked child has none
            grant.hold.release()

    def _let_all_go(self) -> None:
        for grant in list(self._grants):
            self._let_go(grant)

    @contextmanager
    def _beside(self, error: BaseException | None) -> Iterator[None]:
        """Raise what fails in here as the policy says: with the body's error behind it, or beside it in a group."""
        try:
            yield
        except BaseException as failure:
            if error is None or self.context_error_policy == "chain":
                raise
            raise BaseExceptionGroup("the block failed, and its release too", [error, failure]) from None

    def __del__(self) -> None:
        with suppress(Exception):  # nobody is there to be told
            self._let_all_go()


def _place_of(path: str) -> _Place:
    """``DIR/NAME.lock`` is the lock NAME in DIR, whose file that is; any other ``DIR/BASE`` is the lock BASE."""
    directory, base = os.path.split(path)
    return _Place(os.path.realpath(directory), base.removesuffix(".lock") or base)


def _make_file(path: str, mode: int) -> None:
    """Make the lock file with that mode unless it is there; to pylock an empty file is a new one."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        return
    try:
        os.fchmod(fd, mode)  # open leaves out what the umask says
    finally:
        os.close(fd)


def _limit(timeout: float, blocking: bool) -> float | None:
    """Say it in pylock's way: None is for ever, 0 one try."""
    if not blocking:
        return 0.0
    return None if timeout < 0 or timeout == inf else timeout


def _seconds(timeout: float) -> float:
    if isinstance(timeout, bool):
        raise TypeError("timeout must be a number of seconds, not bool")
    return float(timeout)


# Exclusive locks


class AcquireReturnProxy(Generic[_LockT]):
    """What acquire returns: ``with`` releases at the end of the block."""

    def __init__(self, lock: _LockT) -> None:
        self.lock = lock

    def __enter__(self) -> _LockT:
        return self.lock

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self.lock._beside(error):
            self.lock.release()


class BaseFileLock(_Base, ContextDecorator):
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
        lock_file: str | os.PathLike[str],
        timeout: float = -1,
        mode: int = _UNSET_MODE,
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
        self._state = (_ThreadState if thread_local else _State)(_seconds(timeout), blocking)
        self._gate = RLock()
        self._pid = os.getpid()
        self._settings = {
            "timeout": _limit(self.timeout, blocking), "mode": mode, "thread_local": thread_local,
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
        self._state.timeout = _seconds(float(value))

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
        return self._mode != _UNSET_MODE

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
        patience = self._patience(timeout, poll_interval or poll_intervall, blocking, cancel_check)
        with self._one_thread(patience):
            if not self._join():
                lock, holder = self._request(patience)
                self._keep(self._state, lock, self._take(lock, patience), holder)
        return AcquireReturnProxy(self)

    def release(self, force: bool = False) -> None:
        """Go down one level; ``force``: all, and release what threads left behind that have ended."""
        if self.is_locked:
            with self._own_gate():
                if self.is_locked:
                    self._leave(self._state, force)
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

    def _patience(
        self,
        timeout: float | None,
        interval: float | None,
        blocking: bool | None,
        cancel_check: Callable[[], bool] | None,
    ) -> _Patience:
        timeout = self.timeout if timeout is None else _seconds(timeout)
        blocking = self.blocking if blocking is None else blocking
        return _Patience(_limit(timeout, blocking), self.poll_interval if interval is None else interval, cancel_check)

    def _join(self) -> bool:
        """Go up one level if the object holds the lock."""
        with self._own_gate():
            if held := self.is_locked:
                self._state.counter += 1
            return held

    def _request(self, patience: _Patience) -> tuple[pylock.Lock, tuple[_Place, Hashable]]:
        holder = _place_of(self._lock_file), self._scope()
        if patience.endless and holder in _holders:
            raise RuntimeError(
                f"Deadlock: {self._lock_file!r} is held through another object here, and this one would wait for ever;"
                " acquire that object again, or make both with is_singleton=True"
            )
        return self._lock_at(holder[0], "exclusive"), holder

    def _scope(self) -> Hashable:
        """Who stands still while it waits."""
        return get_ident()

    def _own_gate(self) -> RLock:
        if self._pid != os.getpid():  # the parent's other threads are not here to leave it
            self._pid, self._gate = os.getpid(), RLock()
        return self._gate

    @contextmanager
    def _one_thread(self, patience: _Patience) -> Iterator[None]:
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
        place = _place_of(self._lock_file)
        try:
            holders = pylock.inspect(place.name, place.directory).holders
        except FileNotFoundError:
            return None
        return holders[0].pid if holders else None

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


class AsyncAcquireReturnProxy:
    """What acquire returns: ``async with`` releases at the end of the block."""

    def __init__(self, lock: BaseAsyncFileLock) -> None:
        self.lock = lock

    async def __aenter__(self) -> BaseAsyncFileLock:
        return self.lock

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self.lock.__aexit__(kind, error, trace)


class BaseAsyncFileLock(BaseFileLock):
    """The same for asyncio. It waits on the running loop, without a thread: loop and executor are only kept."""

    def __init__(
        self,
        lock_file: str | os.PathLike[str],
        timeout: float = -1,
        mode: int = _UNSET_MODE,
        thread_local: bool = False,
        *,
        loop: AbstractEventLoop | None = None,
        run_in_executor: bool = True,
        executor: Executor | None = None,
        **options: Unpack[_KeywordOptions],
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
        patience = self._patience(timeout, poll_interval, blocking, cancel_check)
        async with self._one_task(patience):
            if not self._join():
                lock, holder = self._request(patience)
                self._keep(self._state, lock, await self._take_async(lock, patience), holder)
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

    def _scope(self) -> Hashable:
        return _running_task()

    @asynccontextmanager
    async def _one_task(self, patience: _Patience) -> AsyncIterator[None]:
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


def _running_task() -> Task[Any]:
    from asyncio import current_task

    task = current_task()
    assert task is not None
    return task


class AsyncUnixFileLock(BaseAsyncFileLock):
    """The same."""


AsyncFileLock = AsyncUnixFileLock


class AsyncSoftFileLock(SoftFileLock, BaseAsyncFileLock):
    """The same, with what `SoftFileLock` tells."""


class AsyncStrictSoftFileLock(StrictSoftFileLock, BaseAsyncFileLock):
    """The same."""


# Shared locks


class _ReadWriteBase(_Base):
    """A lock that many hold to read or one to write; each thread or task has a hold of its own and its levels."""

    def __init__(
        self, lock_file: str | os.PathLike[str], timeout: float, *, blocking: bool, is_singleton: bool
    ) -> None:
        super().__init__(lock_file, _UNSET_MODE, is_singleton)
        self.timeout = _seconds(timeout)
        self.blocking = blocking
        self._settings = {"timeout": _limit(self.timeout, blocking)}
        self._is_closed = False

    def _patience(self, timeout: float | None, blocking: bool | None) -> _Patience:
        timeout = self.timeout if timeout is None else _seconds(timeout)
        return _Patience(_limit(timeout, self.blocking if blocking is None else blocking), _LEAST_INTERVAL, None)

    @property
    def generation(self) -> int | None:
        """The fencing token of the hold, which grows with every writer; None if not held here."""
        grant = self._state().grant
        return grant.hold.token if grant is not None and grant.lock.held else None

    @property
    def compromise(self) -> pylock.LockLost | None:
        """How the hold was lost, if the file server gave it away or the file was removed."""
        grant = self._state().grant
        if grant is None or not grant.lock.held:
            return None
        try:
            grant.hold.check()
        except pylock.LockLost as error:
            return error
        return None

    @abstractmethod
    def _state(self) -> _State:
        """Return what this thread or task has."""

    def _join(self, mode: str) -> bool:
        """Go up one level, if this thread or task holds the lock. Raises RuntimeError if in the other mode."""
        if self._is_closed:
            raise RuntimeError(f"{self._lock_file!r} was closed; make another object")
        state = self._state()
        if not state.level or state.grant is None:
            return False
        if state.grant.lock.mode != mode:
            raise RuntimeError(f"{self._lock_file!r} is held in mode {state.grant.lock.mode} here; release it first")
        state.counter += 1
        return True

    def _down(self, force: bool) -> None:
        state = self._state()
        if state.level:
            self._leave(state, force)
        elif not force:
            raise RuntimeError(f"{self._lock_file!r} is not held here: there is nothing to release")

    def _close(self) -> None:
        self._is_closed = True
        key = type(self), _place_of(self._lock_file)
        with _making:
            if _singletons.get(key) is self:
                del _singletons[key]
        self._let_all_go()


class ReadWriteLock(_ReadWriteBase):
    """A lock that many threads and processes hold to read, or one to write."""

    def __init__(
        self,
        lock_file: str | os.PathLike[str],
        timeout: float = -1,
        *,
        blocking: bool = True,
        is_singleton: bool = True,
    ) -> None:
        super().__init__(lock_file, timeout, blocking=blocking, is_singleton=is_singleton)
        self._thread_state = _ThreadState()

    @classmethod
    def get_lock(cls, lock_file: str | os.PathLike[str], timeout: float = -1, *, blocking: bool = True) -> Self:
        return cls(lock_file, timeout, blocking=blocking)

    def acquire_read(self, timeout: float | None = None, *, blocking: bool | None = None) -> AcquireReturnProxy[Self]:
        return self._acquire("shared", timeout, blocking)

    def acquire_write(self, timeout: float | None = None, *, blocking: bool | None = None) -> AcquireReturnProxy[Self]:
        return self._acquire("exclusive", timeout, blocking)

    def release(self, *, force: bool = False) -> None:
        """Go down one level of this thread, or all. Raises RuntimeError if there is none and not ``force``."""
        self._down(force)

    @contextmanager
    def read_lock(self, timeout: float | None = None, *, blocking: bool | None = None) -> Iterator[None]:
        with self.acquire_read(timeout, blocking=blocking):
            yield

    @contextmanager
    def write_lock(self, timeout: float | None = None, *, blocking: bool | None = None) -> Iterator[None]:
        with self.acquire_write(timeout, blocking=blocking):
            yield

    def close(self) -> None:
        """Release what any thread holds through this object; it cannot be used any more."""
        self._close()

    def _acquire(self, mode: str, timeout: float | None, blocking: bool | None) -> AcquireReturnProxy[Self]:
        if not self._join(mode):
            place = _place_of(self._lock_file)
            lock = self._lock_at(place, mode)
            hold = self._take(lock, self._patience(timeout, blocking))
            self._keep(self._state(), lock, hold, (place, get_ident()))
        return AcquireReturnProxy(self)

    def _state(self) -> _State:
        return self._thread_state


class AsyncAcquireReadWriteReturnProxy:
    """What acquire_read and acquire_write return: ``async with`` releases at the end of the block."""

    def __init__(self, lock: AsyncReadWriteLock) -> None:
        self.lock = lock

    async def __aenter__(self) -> AsyncReadWriteLock:
        return self.lock

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self.lock.release()


AsyncAcquireSoftReadWriteReturnProxy = AsyncAcquireReadWriteReturnProxy


class AsyncReadWriteLock(_ReadWriteBase):
    """The same for asyncio, for each task its own. It waits on the running loop: loop and executor are only kept."""

    def __init__(
        self,
        lock_file: str | os.PathLike[str],
        timeout: float = -1,
        *,
        blocking: bool = True,
        is_singleton: bool = True,
        loop: AbstractEventLoop | None = None,
        executor: Executor | None = None,
    ) -> None:
        super().__init__(lock_file, timeout, blocking=blocking, is_singleton=is_singleton)
        self._states: WeakKeyDictionary[Task[Any], _State] = WeakKeyDictionary()
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

    async def release(self, *, force: bool = False) -> None:
        """Go down one level of this task, or all. Raises RuntimeError if there is none and not ``force``."""
        self._down(force)

    @asynccontextmanager
    async def read_lock(self, timeout: float | None = None, *, blocking: bool | None = None) -> AsyncIterator[None]:
        async with await self.acquire_read(timeout, blocking=blocking):
            yield

    @asynccontextmanager
    async def write_lock(self, timeout: float | None = None, *, blocking: bool | None = None) -> AsyncIterator[None]:
        async with await self.acquire_write(timeout, blocking=blocking):
            yield

    async def close(self) -> None:
        """Release what any task holds through this object; it cannot be used any more."""
        self._close()

    async def _acquire(
        self, mode: str, timeout: float | None, blocking: bool | None
    ) -> AsyncAcquireReadWriteReturnProxy:
        if not self._join(mode):
            place = _place_of(self._lock_file)
            lock = self._lock_at(place, mode)
            hold = await self._take_async(lock, self._patience(timeout, blocking))
            self._keep(self._state(), lock, hold, (place, _running_task()))
        return AsyncAcquireReadWriteReturnProxy(self)

    def _state(self) -> _State:
        return self._states.setdefault(_running_task(), _State())


class SoftReadWriteLock(ReadWriteLock):
    """The same. Nothing expires, so that intervals have no effect, and nobody calls back: ask ``compromise``."""

    def __init__(
        self,
        lock_file: str | os.PathLike[str],
        timeout: float = -1,
        *,
        blocking: bool = True,
        is_singleton: bool = True,
        **without_effect: object,
    ) -> None:
        super().__init__(lock_file, timeout, blocking=blocking, is_singleton=is_singleton)


class AsyncSoftReadWriteLock(AsyncReadWriteLock):
    """The same for asyncio."""

    def __init__(
        self,
        lock_file: str | os.PathLike[str],
        timeout: float = -1,
        *,
        blocking: bool = True,
        is_singleton: bool = True,
        loop: AbstractEventLoop | None = None,
        executor: Executor | None = None,
        **without_effect: object,
    ) -> None:
        super().__init__(lock_file, timeout, blocking=blocking, is_singleton=is_singleton, loop=loop, executor=executor)


# Descriptors

_descriptors: dict[int, UnixFileLock] = {}


def lock_descriptor(fd: int, *, blocking: bool = True, poll_interval: float = 0.05) -> bool:
    """Take the lock that `FileLock` takes for the path of that open file; False if it is not to be had at once.

    Closing the descriptor does not release it: call `unlock_descriptor`. Raises OSError.
    """
    from .portalocker import path_of

    path = path_of(fd)
    held = _descriptors.get(fd)
    if held is not None and held.is_locked and held.lock_file == path:
        return True
    lock = UnixFileLock(path, thread_local=False, blocking=blocking)
    try:
        lock.acquire()
    except Timeout:
        return False
    _descriptors[fd] = lock
    return True


def unlock_descriptor(fd: int) -> None:
    lock = _descriptors.pop(fd, None)
    if lock is not None:
        lock.release(force=True)


# What is not served

_LEASES = "pylock has no leases: who dies lets go at once, who lives keeps the lock; use FileLock"
_RECORDS = "use pylock.inspect to see who holds and who waits"
_WINDOWS = "pylock is for Linux; use FileLock"
_NOT_SERVED = {
    "AsyncSoftFileLease": _LEASES, "CompromiseReason": _LEASES, "LeaseCompromise": _LEASES, "SoftFileLease": _LEASES,
    "MarkerSoftFileLock": _RECORDS, "OwnerMode": _RECORDS, "OwnerRecord": _RECORDS, "StrictSoftFileClaim": _RECORDS,
    "StrictSoftFileClaimState": _RECORDS, "AsyncWindowsFileLock": _WINDOWS, "WindowsFileLock": _WINDOWS,
}  # fmt: skip


def __getattr__(name: str) -> NoReturn:
    if name in _NOT_SERVED:  # an AttributeError would not be shown by "from ... import"
        raise ImportError(f"{__name__} has no {name}: {_NOT_SERVED[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
