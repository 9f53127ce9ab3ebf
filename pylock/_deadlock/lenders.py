"""The locks that descriptors hold which this process was given by a script: it runs under these, too."""

from __future__ import annotations

import os

from .. import _process as process
from .._errors import BadLockFile
from .._file.header import Gone, look_at_header, parse_line
from .._file.layout import LOCK, SUFFIX, slots_start
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
            who = holder if holder.is_known else process.identity()
            line = str(OuterHold(who.pid or 0, who.start or 0, holder.code, holder.weight, path))
            os.environ[VARIABLE] = "\n".join(filter(None, (os.environ.get(VARIABLE), line)))
    return found


def _held_through(fd: int, path: str) -> list[Holder]:
    """Who holds by the descriptor: all that it does not see itself."""
    from .._status import take_census

    try:
        head, definition = look_at_header(fd, None, path)
    except (Gone, BadLockFile, OSError):
        return []
    # Without a header it is a plain lock, without a record that could be read either.
    start = slots_start(str((parse_line(head) or {}).get("name")), definition.kind if definition else LOCK)
    with Look(path, None) as probe:
        everybody = take_census(probe, start)[0] if probe >= 0 else ()
    others = take_census(fd, start)[0]
    return [holder for holder in everybody if holder not in others]
