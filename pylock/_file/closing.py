"""Who closed a lock, and what settings files last said of it: further fields in the slot of the lock's life.

Older versions pass over them. They decide nothing, as no record does: a lock is closed if its header says so.
"""

from __future__ import annotations

import os

from .._process import loading
from .header import parse_line
from .layout import LIFE_SLOT, SLOT_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Fields = Mapping[str, object]

_MOST_REASON = 160


def closing_fields(fd: int, slots_start: int) -> dict[str, object] | None:
    """What who closed the lock wrote of itself: uid, host, since (microseconds) and reason."""
    fields = _fields(fd, slots_start).get("closed")
    return fields if isinstance(fields, dict) else None


def settings_fields(fd: int, slots_start: int) -> dict[str, object] | None:
    """What the settings files said of the lock when one last had a word on it; None if none had."""
    fields = _fields(fd, slots_start).get("settings")
    return fields if isinstance(fields, dict) else None


def note_settings(fd: int, slots_start: int, settings: Fields) -> bytes:
    """Return the slot with what the settings files say now. Call it under the gate."""
    fields = _fields(fd, slots_start)
    return life_line(fields | {"settings": {**settings}}, closing_fields(fd, slots_start))


def note_closing(fd: int, slots_start: int, who: Fields | None) -> bytes | None:
    """Return the slot with who closed the lock, None: nobody; None if it says so already. Call it under the gate."""
    fields = _fields(fd, slots_start)
    if who is None and "closed" not in fields:
        return None
    fields.pop("closed", None)
    return life_line(fields, who)


def life_line(life: Fields, closed: Fields | None) -> bytes:
    """Write the slot: the lock's life, and who closed it; a reason is cut until all fits."""
    with loading:
        import json

    life = {key: value for key, value in life.items() if key != "closed"}
    if closed is None:
        return _line(json.dumps({**life}, separators=(",", ":")))
    reason = str(closed.get("reason") or "")[:_MOST_REASON]
    while True:
        text = json.dumps({**life, "closed": {**closed, "reason": reason or None}}, separators=(",", ":"))
        if len(text) < SLOT_SIZE or not reason:
            return _line(text)
        reason = reason[: len(reason) * 3 // 4]


def _line(text: str) -> bytes:
    return text.encode().ljust(SLOT_SIZE - 1)[: SLOT_SIZE - 1] + b"\n"


def _fields(fd: int, slots_start: int) -> dict[str, object]:
    return parse_line(os.pread(fd, SLOT_SIZE, slots_start + LIFE_SLOT * SLOT_SIZE)) or {}
