"""What becomes of a record while its writer holds: it names who runs under the lock, and at the end loses its words.

Both change bytes in their place, without parsing or making anything anew: a record is for show, and this is on the way
of each command.
"""

from __future__ import annotations

import os

from .. import _process as process
from .layout import CHILD, NO_CHILD, SLOT_SIZE, child_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_CHILD = f'"{CHILD}":"'.encode()
_WORDS = b',"command":"'


def show_child(fd: int, places: Iterable[int], pid: int) -> None:
    """Name the process that runs under the lock from now on, if the records have room for it. Raises OSError."""
    text = child_text(pid, process.start_time(pid)).encode()
    for place in places:
        at = os.pread(fd, SLOT_SIZE, place).find(_CHILD)
        if at >= 0 and len(text) == len(NO_CHILD):
            os.pwrite(fd, text, place + at + len(_CHILD))


def forget_words(fd: int, places: Iterable[int]) -> None:
    """Take the words of the command out of the records, as they are not to stay in the file. Raises OSError."""
    for place in places:
        record = os.pread(fd, SLOT_SIZE, place)
        at = record.find(_WORDS)
        if at >= 0:
            os.pwrite(fd, b"}".ljust(len(record) - at - 1) + b"\n", place + at)
