"""Who this process is, and whether it was forked off since. What people are told of it is from /proc."""

from __future__ import annotations

import os

generation = 0
"""Grows by one in each forked child. What was acquired under another generation belongs to the parent."""

_identity: Identity | None = None


class Identity:
    """What identifies a process for people: shown in status and errors, never used to decide who holds."""

    __slots__ = ("boot", "host", "pid", "start", "uid")

    def __init__(self, pid: int, start: int, host: str, boot: str, uid: int) -> None:
        self.pid = pid
        self.start = start
        """Clock ticks from boot to the start of the process: with pid and boot id, unique for ever."""
        self.host = host
        self.boot = boot
        self.uid = uid
        """The number, as in a file's owner: to ask for the name, of a server perhaps, is left to whoever looks."""


def identity() -> Identity:
    """Return the identity of this process, read once."""
    global _identity
    if _identity is None:
        pid = os.getpid()
        _identity = Identity(pid, _start_time(pid), os.uname().nodename, _boot_id(), os.geteuid())
    return _identity


def command_line() -> str:
    """Return the command line of this process as it is now, or at least as much as a record has room for."""
    words = _read("/proc/self/cmdline").rstrip(b"\0").split(b"\0")
    return " ".join(os.fsdecode(word) for word in words)


def _read(path: str) -> bytes:
    """Read a small file, without a buffer, which takes longer to make than the file to read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(4096)
    except OSError:  # /proc may be hidden or absent; an identity is only for show
        return b""


def _start_time(pid: int) -> int:
    # proc_pid_stat(5): field 22, counted from the state that follows the command in parentheses.
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return int(fields[19]) if len(fields) > 19 else 0


def _boot_id() -> str:
    return _read("/proc/sys/kernel/random/boot_id").decode("ascii", "replace").strip()


def _forget_parent() -> None:
    global generation, _identity
    generation += 1
    _identity = None


os.register_at_fork(after_in_child=_forget_parent)
