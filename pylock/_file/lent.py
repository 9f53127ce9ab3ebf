"""Descriptors that another program has opened and lent to this one: its locks are the lender's, as long as it lives."""

from __future__ import annotations

import os

_DESCRIPTORS = "/proc/self/fd"


def all_descriptors() -> list[int]:
    """The descriptors that this process has, but for the standard ones; none where /proc does not tell."""
    try:
        return [int(fd) for fd in os.listdir(_DESCRIPTORS) if int(fd) > 2]
    except OSError:
        return []


def path_of(fd: int) -> str | None:
    """The path of the opened file; None if it has lost its name, or /proc does not tell."""
    try:
        path = os.readlink(f"{_DESCRIPTORS}/{fd}")
        return path if os.path.samestat(os.fstat(fd), os.stat(path)) else None
    except OSError:
        return None


def holds_locks(fd: int) -> bool:
    """Whether anything is locked through the descriptor or a copy of it; False where /proc does not tell.

    Source: proc_pid_fdinfo(5), "lock", since Linux 4.1.
    """
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb", buffering=0) as file:
            return b"\nlock:" in file.read(1 << 16)
    except OSError:
        return False


def same_file(one: int, other: int) -> bool:
    """Whether both descriptors are open on one file."""
    return os.path.samestat(os.fstat(one), os.fstat(other))
