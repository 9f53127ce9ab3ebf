"""`define`: setting what a lock is, also while it is held and waited for."""

from __future__ import annotations

import os
from time import sleep

from .descriptors import close
from .errors import LockError
from .lockfile import (
    Definition,
    Gone,
    explained,
    is_blank,
    leave_gate,
    open_file,
    put_header,
    read_header,
    take_gate,
)
from .removal import finish_removal
from .request import Request, check_capacity, check_policy, make_request
from .waiting import ring_next

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike


def define(
    name: str,
    *,
    capacity: int | None = None,
    policy: str | None = None,
    directory: str | PathLike[str] | None = None,
) -> Definition:
    """Set a lock's capacity, policy or both; None leaves as it is. Returns what holds from now on.

    It wins over what `lock` calls ask for, touches no holder, and is on the disk when this returns. Capacity 0 closes
    the lock: nobody is granted it, in any mode but null, until it is opened again; those who wait keep their place.
    Raises ValueError, BadLockFile, OSError; LockError if a stopped process stands in the gate of the lock file.
    """
    check_capacity(capacity)
    check_policy(policy)
    request = make_request(name, "exclusive", directory=directory)
    for _ in range(1000):
        fd = open_file(request.path, request.directory)
        try:
            definition = _define(fd, request, capacity, policy)
            request.learn(fd)
            ring_next(fd, request)
            os.fsync(fd)
            return definition
        except Gone:
            finish_removal(request.path)
            sleep(0.001)
        except OSError as error:
            raise explained(error, request.path) from error.__cause__
        finally:
            close(fd)
    raise LockError(f"{request.path} vanishes as often as it is opened", name=name)


def _define(fd: int, request: Request, capacity: int | None, policy: str | None) -> Definition:
    if not take_gate(fd):
        raise LockError(
            f'"{request.name}" cannot be defined now: a process that does not go on stands in its gate; look for a'
            " stopped one",
            name=request.name,
        )
    try:
        head = os.pread(fd, request.header_size, 0)
        old = Definition() if is_blank(head) else read_header(head, request.name, request.path)
        new = Definition(
            old.given_capacity if capacity is None else capacity, old.given_policy if policy is None else policy, True
        )
        put_header(fd, request.path, request.name, new)
        return new
    finally:
        leave_gate(fd)
