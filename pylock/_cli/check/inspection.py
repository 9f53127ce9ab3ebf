"""What a look at a directory finds: its mount, its permissions, who cleans it, and the lock files in it.

Run as a program it prints all as one line of JSON, for the process that does not want to hang.
"""

from __future__ import annotations

import json
import os
import stat
import sys

from ..._errors import BadLockFile
from ..._file.directories import Mount, mount_of
from ..._file.header import Gone, look_at_header
from ..._file.layout import SUFFIX
from ..._file.lockfile import Look
from .findings import BAD, NOTE, OK, Finding
from .sweepers import sweeper_of
from .witness import Witness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST = 5
"""As many lock files are named one by one."""

DIRECTORY, LOCK_FILES = "directory", "lock-files"
"""What can be looked at."""


def look(at: str, path: str, seconds: float) -> list[Finding]:
    """Look at the directory in a child, which alone hangs if the file system does."""
    with Witness([sys.executable, "-m", "pylock._cli.check.inspection", at, path], seconds) as witness:
        line = witness.line()
        if line:
            return [Finding(*fields) for fields in json.loads(line)]
        return [witness.failure(f"the file system of {path}")]


def directory_findings(path: str) -> Iterator[Finding]:
    if not os.path.isdir(path):
        yield Finding(BAD, f"{path} is not a directory", "lock files live in one", "make it: pylock init, or mount it")
        return
    yield Finding(OK, f"{path} is a directory")
    yield from mount_findings(mount_of(path))
    yield from _permission_findings(path)
    sweeper = sweeper_of(path)
    if sweeper:
        yield Finding(
            NOTE, f"old files here are removed by {sweeper}",
            "a lock file that is removed while it is held lets a second one in; systemd-tmpfiles spares those that"
            " pylock made, by their sticky bit, others may not",
            "use a directory that nobody cleans, such as one in /var/lib or /srv, or have this one spared",
        )  # fmt: skip


def mount_findings(mount: Mount) -> Iterator[Finding]:
    yield Finding(OK, f"on {mount.type}, mounted at {mount.point} from {mount.source}")
    if mount.locks_stay_on_this_host:
        yield Finding(
            BAD, "the mount has nolock or local_lock", "hosts would not see each other's locks, so that two get in",
            "mount it without nolock, and with local_lock=none",
        )  # fmt: skip
    if mount.has_locks_of_its_own:
        yield Finding(
            NOTE, f"locks through {mount.type} are, as a rule, each mount's own",
            "who comes by another mount or host, or to what lies behind this one, does not see them: two get in",
            "let all come by this one mount, or use NFS; --peer proves what another host sees",
        )  # fmt: skip
    if mount.type == "fuse":
        yield Finding(
            NOTE, "a FUSE file system that does not say which", "with many of them locks are each mount's own",
            "let all come by this one mount, or prove it for the other host with --peer",
        )  # fmt: skip
    if "ro" in mount.options:
        yield Finding(BAD, "the mount is read-only", "lock files must be written", "mount it read-write")
    if "soft" in mount.options:
        yield Finding(NOTE, "the mount is soft", "a server that is slow gives errors instead of a wait", "prefer hard")


def _permission_findings(path: str) -> Iterator[Finding]:
    status = os.stat(path)
    mode = stat.S_IMODE(status.st_mode)
    if not os.access(path, os.W_OK | os.X_OK):
        yield Finding(
            BAD, f"this user may not write here (mode {mode:04o})", "locks that nobody used yet need a new file",
            "change the directory's group or mode, or use pylock init",
        )  # fmt: skip
        return
    if mode & 0o002 and not mode & stat.S_ISVTX:
        yield Finding(
            BAD, f"everybody may write here and it is not sticky (mode {mode:04o})",
            "anybody could remove or replace lock files that are in use", f"chmod +t {path}",
        )  # fmt: skip
        return
    if mode & stat.S_ISVTX and _protects_regular_files():
        yield Finding(
            NOTE, "the kernel refuses O_CREAT on other users' files here (fs.protected_regular)",
            "programs that lock these files otherwise than with pylock may be denied",
        )  # fmt: skip
    yield Finding(OK, f"mode {mode:04o}, owned by user {status.st_uid}; new lock files get {mode & 0o666:04o}")


def _protects_regular_files() -> bool:
    """Source: proc_sys_fs(5), protected_regular."""
    try:
        with open("/proc/sys/fs/protected_regular", encoding="ascii") as file:
            return file.read().strip() != "0"
    except OSError:
        return False


def lock_file_findings(path: str) -> Iterator[Finding]:
    """What is wrong with the lock files in the directory."""
    damaged, unreadable, count = [], [], 0
    for name in sorted(os.listdir(path)):
        if name.endswith(SUFFIX):
            count += 1
            try:
                damage = _damage(os.path.join(path, name))
            except OSError as error:
                unreadable.append(f"{name}: {error.strerror}")
            else:
                damaged += [damage] if damage else []
    for what in _first(damaged):
        yield Finding(
            BAD, what, "whoever asks for this lock gets an error",
            "remove the file while nobody uses it, or bring back what it was",
        )  # fmt: skip
    for what in _first(unreadable):
        yield Finding(NOTE, what, "this user can neither take this lock nor see who holds it", "change the file's mode")
    if count and not damaged and not unreadable:
        yield Finding(OK, f"{count} lock file{'s' * (count > 1)}, none of them damaged")


def _first(texts: list[str]) -> list[str]:
    return texts[:_MOST] + ([f"and {len(texts) - _MOST} more such files"] if len(texts) > _MOST else [])


def _damage(path: str) -> str:
    """What is wrong with the lock file; "" if nothing is. Raises OSError."""
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return f"{path} is not a regular file"
    try:
        with Look(path, None) as fd:
            if fd >= 0:
                look_at_header(fd, None, path)
    except BadLockFile as error:
        return str(error)
    except Gone:
        pass
    return ""


if __name__ == "__main__":
    parts: dict[str, Callable[[str], Iterator[Finding]]] = {
        DIRECTORY: directory_findings,
        LOCK_FILES: lock_file_findings,
    }
    print(json.dumps([finding.fields for finding in parts[sys.argv[1]](sys.argv[2])]), flush=True)
