"""A function that runs under a lock: what a lock is as a decorator. Each call takes the lock anew."""

from __future__ import annotations

from functools import partial, wraps
from types import AsyncGeneratorType, CoroutineType, GeneratorType

from .._errors import harmless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ParamSpec, TypeVar

    Given = ParamSpec("Given")
    Result = TypeVar("Result")

_COROUTINE, _GENERATORS = 0x80, 0x20 | 0x200
"""Of code.co_flags: to ask inspect takes as long to load as all of pylock."""

_LATER = (GeneratorType, AsyncGeneratorType, CoroutineType)
"""What has not begun to run when the call that made it is over."""


def guarded(lock: Any, function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Return the function under the lock; of a coroutine function one that waits as a task.

    Raises TypeError for a generator function, which would run when the lock is let go, and for what is no function.
    """
    if isinstance(function, type | staticmethod | classmethod) or not callable(function):
        raise TypeError(
            f"a lock decorates functions, not {function!r}; of a class decorate its methods, below @staticmethod or"
            " @classmethod"
        )
    flags = _flags_of(function)
    if flags & _GENERATORS:
        raise _runs_later(lock, function, "is a generator function")
    return _in_task(lock, function) if flags & _COROUTINE else _in_thread(lock, function)


def _in_thread(lock: Any, function: Callable[Given, Result]) -> Callable[Given, Result]:
    @wraps(function)
    def under_lock(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        with lock:
            result = function(*args, **kwargs)
            if isinstance(result, _LATER):
                if isinstance(result, CoroutineType):
                    result.close()  # else Python would say that it was never awaited
                raise _runs_later(lock, function, f"returned a {type(result).__name__}")
            return result

    return under_lock


def _in_task(lock: Any, function: Callable[..., Any]) -> Any:
    @wraps(function)
    async def under_lock(*args: Any, **kwargs: Any) -> Any:
        async with lock:
            return await function(*args, **kwargs)

    return under_lock


def _flags_of(function: Any) -> int:
    """What its code is, also of a method, a partial and an object that can be called."""
    while isinstance(function, partial):
        function = function.func
    if not hasattr(function, "__code__") and not hasattr(function, "__func__"):
        function = type(function).__call__
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return getattr(code, "co_flags", 0)


def _runs_later(lock: Any, function: object, what: str) -> TypeError:
    name = getattr(function, "__qualname__", repr(function))
    return TypeError(
        f'{harmless(name)} {what}, which would run without "{harmless(lock.name)}", as that is let go when the call'
        " returns; take the lock inside it by a with block"
    )
