"""`status` and `inspect`: the state of the locks in a directory, as records."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike

from .census import Holder, Waiter, take_census
from .directories import Directory, resolve
from .errors import BadLockFile
from .headers import is_blank, parse_line, read_head, read_header
from .layout import SUFFIX, Definition, Gone, file_name, slots_start
from .lockfile import Look
from .request import check_name


@dataclass(frozen=True, slots=True)
class LockStatus:
    """One lock at one moment."""

    name: str
    path: str
    definition: Definition
    holders: tuple[Holder, ...]
    waiters: tuple[Waiter, ...]
    """In the order in which they are served."""

    @property
    def used(self) -> int:
        """Units of the capacity that are held."""
        return sum(holder.weight for holder in self.holders if holder.code == "PR")


def inspect(name: str, directory: str | PathLike[str] | None = None) -> LockStatus:
    """Return the state of one lock; one that nobody has used yet is free. Raises BadLockFile, OSError."""
    check_name(name)
    where = resolve(directory)
    path = os.path.join(where.path, file_name(name))
    return _look(path, where, name) or LockStatus(name, path, Definition(), (), ())


def status(directory: str | PathLike[str] | None = None) -> tuple[LockStatus, ...]:
    """Return the state of every lock in the directory, by name. What is no lock file, or not readable, is left out."""
    return tuple(sorted(_look_at_all(resolve(directory)), key=lambda lock: lock.name))


def _look_at_all(where: Directory) -> Iterator[LockStatus]:
    for entry in os.scandir(where.path):
        if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False):
            try:
                found = _look(entry.path, where, None)
            except (BadLockFile, OSError):  # somebody else's file, or one that nobody may read
                continue
            if found is not None:
                yield found


def _look(path: str, where: Directory, name: str | None) -> LockStatus | None:
    with Look(path, where.remote) as fd:
        if fd < 0:
            return None
        try:
            head = read_head(fd)
            if is_blank(head):
                return None
            definition = read_header(head, name, path)
        except Gone:
            return None
        if name is None:
            name = str((parse_line(head) or {})["name"])
        return LockStatus(name, path, definition, *take_census(fd, slots_start(name, definition.kind)))
