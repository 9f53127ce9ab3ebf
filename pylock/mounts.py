"""Which file system a directory is on, and what that means for locks."""

from __future__ import annotations

import os

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


class Mount:
    """One mounted file system, as /proc/self/mountinfo describes it."""

    __slots__ = ("options", "point", "source", "type")

    def __init__(self, point: str, type: str, source: str, options: frozenset[str]) -> None:
        self.point = point
        self.type = type
        self.source = source
        self.options = options
        """Those of the mount and of the file system: ``ro``, ``local_lock=none``, ..."""

    @property
    def remote(self) -> bool:
        return self.type in REMOTE_TYPES or self.type == "fuse" or self.type.startswith("fuse.")

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
