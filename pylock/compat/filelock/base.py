"""What all the locks are made of: a file, and the holds of its lock that were granted to an object."""

from __future__ import annotations

import os
from abc import ABCMeta, abstractmethod
from contextlib import contextmanager, suppress
from threading import RLock, Thread, current_thread
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakValueDictionary, ref

import pylock

from .errors import Timeout
from .patience import Patience, as_seconds, limit
from .places import AnyPath, Place, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .locks import ContextErrorPolicy


class Holder(NamedTuple):
    place: Place
    scope: ref[object]
    """To the thread or task: it may refer to the lock, and `holders` would then keep both for ever."""


class Grant(NamedTuple):
    lock: pylock.Lock
    """Of this grant alone, so that its ``held`` tells whether the hold lives; in a forked child it does not."""
    hold: pylock.Hold
    holder: Holder
    thread: Thread


class State:
    """A hold, how often it was acquired, and the settings that can change."""

    def __init__(self, timeout: float = -1, blocking: bool = True) -> None:
        self.timeout = timeout
        self.blocking = blocking
        self.grant: Grant | None = None
        self.counter = 0

    @property
    def hold(self) -> pylock.Hold | None:
        return self.grant.hold if self.grant is not None and self.grant.lock.held else None

    @property
    def level(self) -> int:
        return 0 if self.hold is None else self.counter


holders: WeakValueDictionary[Holder, LockBase] = WeakValueDictionary()
"""The object by which a thread or task holds a lock."""
_singletons: WeakValueDictionary[tuple[type, Place], LockBase] = WeakValueDictionary()
_making = RLock()


def _forget_parent() -> None:
    _making.release()
    holders.clear()


os.register_at_fork(before=_making.acquire, after_in_parent=_making.release, after_in_child=_forget_parent)


class OncePerFile(ABCMeta):
    """Gives one object to all who ask for the same file with ``is_singleton=True``."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        made = super().__call__(*args, **options)
        if not made.is_singleton:
            return made
        with _making:
            kept = _singletons.setdefault((cls, place_of(made.lock_file)), made)
        if kept._settings != made._settings:
            raise ValueError(
                f"all who ask for {made.lock_file!r} with is_singleton=True get the object that is there; it was made"
                f" with {kept._settings}, and is asked for with {made._settings}"
            )
        return kept


class LockBase(metaclass=OncePerFile):
    """Takes the lock for who asks, keeps the grant, and lets go when the object is dropped."""

    timeout: float
    blocking: bool
    context_error_policy: ContextErrorPolicy = "chain"
    _settings: dict[str, object]
    """What all who share the object must ask for alike."""

    def __init__(self, lock_file: AnyPath, mode: int, is_singleton: bool) -> None:
        self._lock_file = os.fspath(lock_file)
        self._mode = mode
        self._is_singleton = is_singleton
        self._grants: set[Grant] = set()

    @property
    def lock_file(self) -> str:
        return self._lock_file

    @property
    def is_singleton(self) -> bool:
        return self._is_singleton

    def __del__(self) -> None:
        with suppress(Exception):  # nobody is there to be told
            self._let_all_go()

    @abstractmethod
    def _state_here(self) -> State:
        """Return what this thread or task has."""

    def _scope(self) -> object:
        """Who stands still while it waits: this thread or task."""
        return current_thread()

    def _holder(self) -> Holder:
        """Who would hold the lock, if it were granted here."""
        return Holder(place_of(self._lock_file), ref(self._scope()))

    def _patience(
        self,
        timeout: float | None,
        blocking: bool | None,
        interval: float = 0,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> Patience:
        timeout = self.timeout if timeout is None else as_seconds(timeout)
        return Patience(limit(timeout, self.blocking if blocking is None else blocking), interval, is_cancelled)

    def _take(self, holder: Holder, mode: str, patience: Patience) -> None:
        lock = holder.place.lock(mode, self._mode)
        for seconds in patience.tries():
            try:
                return self._keep(lock, lock.acquire(seconds), holder)
            except pylock.LockTimeout as error:
                refusal = error
        raise Timeout(self._lock_file, str(refusal)) from refusal

    def _keep(self, lock: pylock.Lock, hold: pylock.Hold, holder: Holder) -> None:
        state = self._state_here()
        state.grant = Grant(lock, hold, holder, current_thread())
        state.counter = 1
        self._grants.add(state.grant)
        holders[holder] = self

    def _leave(self, force: bool) -> None:
        """Go down one level, or all; with the last the hold ends."""
        state = self._state_here()
        state.counter = 0 if force else state.counter - 1
        if state.counter == 0 and state.grant is not None:
            grant, state.grant = state.grant, None
            self._let_go(grant)

    def _let_go(self, grant: Grant) -> None:
        self._grants.discard(grant)
        if holders.get(grant.holder) is self:
            holders.pop(grant.holder, None)
        with suppress(pylock.NotHeld):  # a forked child has none
            grant.hold.release()

    def _retire(self) -> None:
        """Let who asks for the one object of the file get another."""
        key = type(self), place_of(self._lock_file)
        with _making:
            if _singletons.get(key) is self:
                del _singletons[key]

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
