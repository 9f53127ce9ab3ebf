"""Everything pylock raises of its own; and what an OSError of a lock file means.

    LockError
    ├── WouldBlock          a plain try, and somebody holds the lock or stands before you
    ├── LockTimeout         the time to wait is over            (also a TimeoutError)
    ├── Deadlock            waiting would never end
    ├── NotHeld             release or check of what is not held any more
    ├── LockLost            the hold is gone although nobody released it
    ├── DefinitionMismatch  the request contradicts the lock's capacity or policy
    ├── BadLockFile         the lock file is not one, is damaged, or is of a newer pylock
    └── Unsupported         the file system cannot lock bytes for all who share it

Errors of open, read and write come out as the OSError they are, with the path.
Every error can be pickled, with its fields.
"""

from __future__ import annotations

from errno import EINVAL, EISDIR, ELOOP, ENOLCK, ENOSYS, ENXIO, EOPNOTSUPP, ESPIPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._status import Holder, Waiter


def harmless(text: str) -> str:
    """Return the text with whatever could move a cursor, ring, hide or turn text round spelled out, as \\x1b."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class LockError(Exception):
    """The base of all errors that are pylock's own. Their text is harmless, whatever it tells of others."""

    name: str | None = None
    """The name of the lock, where there is one."""

    def __init__(self, message: str, **fields: object) -> None:
        super().__init__(harmless(message))
        for field, value in fields.items():
            setattr(self, field, value)

    def __reduce__(self) -> tuple[object, ...]:
        fields = dict(vars(self))
        if isinstance(self, OSError):  # whose errno is not among the variables
            fields["errno"] = self.errno
        return _rebuild, (type(self), str(self), fields)


def _rebuild(kind: type[LockError], message: str, fields: dict[str, object]) -> LockError:
    return kind(message, **fields)


class _Refused(LockError):
    mode: str
    """The mode that was asked for."""
    waited: float
    """Seconds from the request to the refusal."""
    holders: tuple[Holder, ...] = ()
    """Who held the lock at that moment."""
    exists: bool = True
    """False if nobody used the lock, and it was not to be created."""
    waiters: tuple[Waiter, ...] = ()
    """Who else waited at that moment, in the order of the queue."""


class WouldBlock(_Refused):
    """A plain try found the lock held, closed, or promised to somebody who waits."""


class LockTimeout(_Refused, TimeoutError):
    """The lock was not granted in the time given."""


RefusalType = type[WouldBlock] | type[LockTimeout]
"""What is raised where a lock is not had: by a plain try, or by one that has a timeout."""


class Deadlock(LockError):
    """Waiting would never end, because who waits also holds what it waits for."""

    cycle: tuple[str, ...] = ()
    """Where several wait for each other: each of them, the one that gets this error first."""


class NotHeld(LockError):
    """There is nothing to release: released already, never acquired, or the hold belongs to the parent process."""


class LockLost(LockError):
    """The hold is gone: the lock file was removed or replaced, or a file server dropped the lock."""


class DefinitionMismatch(LockError, ValueError):
    """The request and the lock's definition contradict each other, so that it could never be granted as asked."""


class BadLockFile(LockError):
    """The file at the lock's path cannot be used as a lock file. Nothing was granted and nothing was changed."""

    path: str


class Unsupported(LockError, OSError):
    """The file system does not lock bytes, or hides the locks of one host from the others."""

    path: str


NO_LOCKS_HERE = frozenset((EINVAL, ENOLCK, ENOSYS, EOPNOTSUPP))
_NO_LOCK_FILES = {ELOOP: "a symbolic link", EISDIR: "a directory", ENXIO: "a socket", ESPIPE: "a FIFO"}


def bad_file(path: str, why: str) -> BadLockFile:
    return BadLockFile(
        f"{path} cannot be used as a lock file: {why}; if no program uses it, remove it, else restore it", path=path
    )


def explained(error: OSError, path: str) -> Exception:
    """Return what is to be raised for an error of the lock file: with its path, as BadLockFile if it is none."""
    if error.errno in _NO_LOCK_FILES:
        return bad_file(path, f"it is {_NO_LOCK_FILES[error.errno]}")
    if error.filename is None and error.errno is not None:
        error.filename = path
    return error


def unsupported(error: OSError, path: str, mount: str) -> Unsupported:
    """Return what is to be raised where the bytes of the file cannot be locked, which is on that mount."""
    return Unsupported(
        f"cannot lock {path}: {error.strerror}; {_why_not(error.errno, mount)}", path=path, errno=error.errno
    )


def _why_not(errno: int | None, mount: str) -> str:
    if errno in (EINVAL, ENOSYS):
        return (
            "this kernel, or the sandbox around it, has no open file description locks (F_OFD_SETLK, Linux 3.15); run"
            " it on one that has"
        )
    return (
        f"the file system {mount} does not lock bytes as it is mounted; start its lock service or use another directory"
    )
