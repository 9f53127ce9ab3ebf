"""Lock directories: which one is meant, what its files must be like, and which file system it is on."""

from __future__ import annotations

import os
import stat
from time import monotonic

from .._errors import LockError, Unsupported
from .._process import loading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike

REMOTE_TYPES = frozenset((
    "9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "ocfs2", "pvfs2",
    "smb3", "smbfs", "virtiofs",
))  # fmt: skip
"""File systems on which other hosts can hold the same lock, so that records must be synced to be seen."""

OWN_LOCKS_TYPES = frozenset((
    "9p", "vboxsf", "virtiofs", "fuse.bindfs", "fuse.blobfuse", "fuse.blobfuse2", "fuse.cryfs", "fuse.curlftpfs",
    "fuse.encfs", "fuse.gcsfuse", "fuse.geesefs", "fuse.gocryptfs", "fuse.goofys", "fuse.mountpoint-s3", "fuse.rclone",
    "fuse.s3fs", "fuse.securefs", "fuse.sshfs",
))  # fmt: skip
"""File systems that keep locks in the kernel of who mounts them, so that each mount has its own.

FUSE passes locks on only to a program that asks for them, which these do not. Source: fuse(4), fuse_lowlevel.h of
libfuse, FUSE_CAP_POSIX_LOCKS. As a rule the same goes for folders that a virtual machine shares with its host.
"""


LASTS = 1.0
"""Seconds after which a directory that is in use is looked at again."""


class Mount:
    """One mounted file system, as /proc/self/mountinfo describes it."""

    __slots__ = ("options", "point", "source", "type")

    def __init__(self, point: str, type: str, source: str, options: frozenset[str]) -> None:
        self.point: str = point
        self.type: str = type
        self.source: str = source
        self.options: frozenset[str] = options
        """Those of the mount and of the file system: ``ro``, ``local_lock=none``, ..."""

    def __str__(self) -> str:
        return f"{self.type} at {self.point} ({self.source})"

    @property
    def remote(self) -> bool:
        return self.type in REMOTE_TYPES or self.type == "fuse" or self.type.startswith("fuse.")

    @property
    def is_nfs_4(self) -> bool:
        """Whether the server may delegate files to this host. Source: nfs(5), which calls version 4 by this type."""
        return self.type == "nfs4"

    @property
    def has_locks_of_its_own(self) -> bool:
        """Whether, as a rule, who comes by another mount of the same files does not see the locks of this one."""
        return self.type in OWN_LOCKS_TYPES

    @property
    def locks_stay_on_this_host(self) -> bool:
        """Whether the mount options keep fcntl locks from the server, so that other hosts do not see them.

        Source: nfs(5), "nolock" and "local_lock".
        """
        return self.type.startswith("nfs") and not self.options.isdisjoint(
            ("nolock", "local_lock=all", "local_lock=posix")
        )


UNKNOWN = Mount("/", "unknown", "unknown", frozenset())


def mount_of(directory: str) -> Mount:
    """Return the mount that holds a directory; `UNKNOWN` where the kernel does not tell."""
    real = os.path.realpath(directory)
    best = nearest = ""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                point = _unescape(line.split(" ", 5)[4])
                # The last of several mounts on one point is the visible one.
                if len(point) >= len(nearest) and _is_below(real, point):
                    best, nearest = line, point
    except OSError:
        pass
    return _parse(best) if best else UNKNOWN


def _is_below(path: str, point: str) -> bool:
    return point in ("/", path) or path.startswith(point + "/")


def _parse(line: str) -> Mount:
    # proc_pid_mountinfo(5): id parent dev root POINT OPTIONS [tags…] - TYPE SOURCE SUPER_OPTIONS
    left, _, right = line.rstrip("\n").partition(" - ")
    point, options = left.split(" ")[4:6]
    type, source, super_options = [*right.split(" "), "", ""][:3]
    return Mount(_unescape(point), type, _unescape(source), frozenset(f"{options},{super_options}".split(",")))


def _unescape(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field


class Directory:
    """A lock directory that was looked at and found fit; as it was at the last look."""

    __slots__ = ("_identity", "_mount", "file_mode", "open_flags", "path", "private", "remote", "seen_until")

    def __init__(self, path: str, status: os.stat_result, mount: Mount | None) -> None:
        self.path: str = path
        self.seen_until: float = monotonic() + LASTS
        """Until when, on the monotonic clock, it need not be looked at again."""
        self._identity = _identity_of(status)
        self._mount = mount
        self.file_mode: int = stat.S_IMODE(status.st_mode) & 0o666
        """Of new lock files: who may create locks here may take them. 0700 gives 0600, 2770 0660, 1777 0666."""
        self.private: bool = not status.st_mode & 0o077 and status.st_uid == os.geteuid()
        """Whether nobody else but root can put a file here."""
        self.remote: bool = mount is not None and mount.remote
        self.open_flags: int = os.O_DIRECT if mount is not None and mount.is_nfs_4 else 0
        """How lock files are opened, besides as usual: past the page cache, where even a lock does not empty it.

        An NFS 4 client that has a delegation of the file takes what it has cached for what is there. One that is given
        with an open, while the file is open for writing here already, covers what other hosts wrote in between. With
        this flag the client asks for no delegation. It needs no alignment there. Source: open(2), "O_DIRECT"; Linux,
        fs/nfs/file.c, do_setlk, and inode.c, nfs_update_inode; measured on Linux 6.1.
        """

    @property
    def mount(self) -> Mount:
        """Which file system it is on."""
        return self._mount or mount_of(self.path)

    def look_again(self) -> None:
        """Learn it anew if there is another one by now, or it has another mode. Raises as `resolve`."""
        self.seen_until = monotonic() + LASTS
        try:
            if _identity_of(os.stat(self.path)) == self._identity:
                return
        except FileNotFoundError:
            pass
        now = _look_at(self.path)
        self._identity, self._mount = now._identity, now._mount
        self.file_mode, self.private = now.file_mode, now.private
        self.remote, self.open_flags = now.remote, now.open_flags


def _identity_of(status: os.stat_result) -> tuple[int, ...]:
    """What changes if the directory is replaced, mounted over, or given another mode or owner."""
    return status.st_dev, status.st_ino, status.st_mode, status.st_uid


_OWN = "/.local/state/pylock"
"""Of the user's own lock directory, below the home directory that the password database names."""

_SHARED_DISKS = ("/sys/fs/gfs2", "/sys/fs/ocfs2")
"""Where the kernel shows file systems that have a disk, and yet are in use by several hosts."""
_DISKLESS = frozenset((b"overlay", b"ramfs", b"tmpfs"))
"""File systems that have no disk of their own, and yet are in use by this host alone."""

_known: dict[str, Directory] = {}


def absolute(directory: str | PathLike[str]) -> str:
    """Return the directory as an absolute path, for which the current directory does not matter any more."""
    path = os.fspath(directory)
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError(f"{directory!r} is not the name of a lock directory; give a path, or none for the default")
    return path.rstrip("/") or "/" if path[0] == "/" else os.path.abspath(path)


def resolve(directory: str | PathLike[str] | None) -> Directory:
    """Return the lock directory: the argument, else ``PYLOCK_DIR``, else the user's own, made if need be.

    Raises FileNotFoundError or NotADirectoryError for a given directory that is not there (it might be a
    file system that is not mounted, so it is never made), LockError for a user's own one that somebody else could
    write, Unsupported where the mount hides locks from other hosts.
    """
    path = (default_path() or _own_path()) if directory is None else absolute(directory)
    found = _known.get(path)
    if found is None:
        found = _known[path] = _look_at(path)
    return found


def default_path() -> str | None:
    """The directory that ``PYLOCK_DIR`` names, without a look at it; None if it names none. Raises ValueError."""
    given = os.environ.get("PYLOCK_DIR")
    if given and given[0] != "/":
        raise ValueError(f"PYLOCK_DIR is {given!r}; it must be an absolute path, the same for every program")
    return absolute(given) if given else None


def is_default(path: str) -> bool:
    """Whether this is the directory of those who name none."""
    return path == (default_path() or own_path_or_none())


def _own_path() -> str:
    """The same from cron, ssh and a desktop: so neither $HOME, XDG_RUNTIME_DIR nor TMPDIR has a say."""
    with loading:
        import pwd

    try:
        home = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        home = ""
    if not os.path.isdir(home):
        raise LockError(
            f"user {os.geteuid()} has no home directory to keep locks in; name a directory or set PYLOCK_DIR"
        )
    return home.rstrip("/") + _OWN


def _look_at(path: str) -> Directory:
    own = path.endswith(_OWN) and path == own_path_or_none()
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        if not own:
            error.strerror = "lock directory does not exist; make it, or check that its file system is mounted"
            raise
        os.makedirs(path, mode=0o700, exist_ok=True)
        status = os.stat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(20, "lock directory is not a directory", path)
    if own:
        _refuse_strangers(path)
    mount = None if _is_of_this_host(status.st_dev) else mount_of(path)
    if mount is not None and mount.locks_stay_on_this_host:
        raise Unsupported(
            f"{path} is mounted from {mount.source} with locks kept on this host, so that other hosts would not see"
            " them; mount it without nolock and local_lock",
            path=path,
        )
    return Directory(path, status, mount)


def _is_of_this_host(device: int) -> bool:
    """Whether only this host has the file system, as far as its device tells without a look at all mounts.

    Source: Linux devices.txt: major number 0 is for file systems without a disk, such as those of a network.
    """
    if os.major(device):
        return not any(os.path.exists(path) for path in _SHARED_DISKS)
    number = f"0:{os.minor(device)}".encode()
    try:
        with open("/proc/self/mountinfo", "rb") as mounts:  # proc_pid_mountinfo(5): id parent DEVICE ... - TYPE ...
            line = next((line for line in mounts if line.split(b" ", 3)[2] == number), b"")
    except OSError:
        return False
    return line.partition(b" - ")[2].partition(b" ")[0] in _DISKLESS


def own_path_or_none() -> str | None:
    try:
        return _own_path()
    except LockError:
        return None


def _refuse_strangers(path: str) -> None:
    status = os.lstat(path)
    what = None
    if stat.S_ISLNK(status.st_mode):
        what = "is a symbolic link"
    elif status.st_uid != os.geteuid():
        what = f"belongs to user {status.st_uid}"
    elif status.st_mode & 0o022:
        what = f"can be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
    if what:
        raise LockError(f"the lock directory {path} {what}; make it a directory of your own with mode 0700")
