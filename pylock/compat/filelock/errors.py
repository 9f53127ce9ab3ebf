"""The errors and warnings of filelock. Only `Timeout` ever comes; the others are there to be named."""

from __future__ import annotations

from typing import Self


class Timeout(TimeoutError):
    """The lock was not granted in time. The message says who holds it; ``__cause__`` is pylock's own error."""

    __module__ = __package__  # pickles and tracebacks name the place to import it from

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
