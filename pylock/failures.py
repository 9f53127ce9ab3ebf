"""What an OSError of a lock file means: with its path, and with what to do where the file or its place is unfit."""

from __future__ import annotations

from errno import EINVAL, EISDIR, ELOOP, ENOLCK, ENOSYS, ENXIO, EOPNOTSUPP, ESPIPE

from .errors import BadLockFile, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .mounts import Mount

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


def unsupported(error: OSError, path: str, mount: Mount) -> Unsupported:
    """Return what is to be raised where the bytes of the file cannot be locked, which is on that mount."""
    return Unsupported(
        f"cannot lock {path}: {error.strerror}; {_why_not(error.errno, mount)}", path=path, errno=error.errno
    )


def _why_not(errno: int | None, mount: Mount) -> str:
    if errno in (EINVAL, ENOSYS):
        return (
            "this kernel, or the sandbox around it, has no open file description locks (F_OFD_SETLK, Linux 3.15); run"
            " it on one that has"
        )
    return (
        f"the file system {mount.type} at {mount.point} ({mount.source}) does not lock bytes as it is mounted; start"
        " its lock service or use another directory"
    )
