"""The locks that descriptors hold which this process was given by a script: it runs under these, too."""

from __future__ import annotations

import os

from .._errors import BadLockFile
from .._file.header import Gone, parse_line, read_head, read_header
from .._file.layout import SUFFIX, slots_start
from .._file.lent import all_descriptors, holds_locks, path_of
from .._file.lockfile import Look
from .nesting import VARIABLE, OuterHold, outer_holds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._status import Holder


def adopt() -> bool:
    """Put the locks of inherited descriptors into the environment, as if ``pylock run`` had taken them.

    Return whether there are any. For a process that has locked nothing yet.
    """
    found = False
    known = {os.path.realpath(outer.path) for outer in outer_holds()}
    for fd in all_descriptors():
        path = path_of(fd)
        if path is None or not path.endswith(SUFFIX) or path in known or not holds_locks(fd):
            continue
        for holder in _held_through(fd, path):
            found = True
            line = str(OuterHold(holder.pid or 0, holder.start or 0, holder.code, holder.weight, path))
            os.environ[VARIABLE] = "\n".join(filter(None, (os.environ.get(VARIABLE), line)))
    return found


def _held_through(fd: int, path: str) -> list[Holder]:
    """Who holds by the descriptor: all that it does not see itself."""
    from .._status import take_census

    try:
        head = read_head(fd)
        definition = read_header(head, None, path)
    except (Gone, BadLockFile, OSError):
        return []
    start = slots_start(str((parse_line(head) or {})["name"]), definition.kind)
    with Look(path, False) as probe:
        everybody = take_census(probe, start)[0] if probe >= 0 else ()
    others = take_census(fd, start)[0]
    return [holder for holder in everybody if holder not in others]
