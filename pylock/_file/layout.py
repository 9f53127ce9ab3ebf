"""The lock file as text: its name, its first line, its records.

    {"pylock":1,"name":"backup","capacity":null,"policy":null,"defined":false,"check":"5f1d0a3c"}      (header)
    {"token":1795325640123457,"since":1795325712004512,"pid":4711,"start":…,"host":"web1",…}          (slot 0)
    …                                                                                                  (slot 1 …)

The header's size follows from the name and the kind of lock; behind it a kind may keep a state of its own. Then come
the slots, each one line of `SLOT_SIZE` bytes: slot 0 is the sole (exclusive or protected-write) holder's, slot 1 says
how long the lock lives on unused, then come by turns the holder that begins at unit n and the contender in seat n.

Invariants: nothing written here decides who holds. A slot counts only while its byte is locked. The header changes
only under GATE, and carries a checksum, so that a torn one is noticed. A header that says "removed" is never
changed again: its file has lost its name, or is about to.
"""

from __future__ import annotations

from errno import EDQUOT, EFBIG, ENOSPC
from time import time_ns

from .bytemap import UNIT_COUNT

FORMAT = 1
SLOT_SIZE = 448
CHILD = "child"
"""The field of a record that tells which process runs under the lock, whose supervisor wrote the record."""
NO_CHILD = " " * 31
UNLIMITED = UNIT_COUNT
"""The capacity of a lock that any number may share."""

SHARED_FIRST, FAIR = "shared-first", "fair"
POLICIES = (SHARED_FIRST, FAIR)

LEAST_TOKEN, MOST_TOKEN = 10**15, 10**16 - 1
"""Tokens and times in records have 16 digits: as microseconds since 1970 that lasts until the year 2286."""

LOCK, PATH, POOL, SEQUENCE, TIMESTAMP = "lock", "path", "pool", "sequence", "timestamp"
STATE_SIZE = 1 << 14
"""Of each of the two copies of its state that a sequence or timestamp keeps behind the header."""
ELEMENTS_SIZE = 1 << 14
"""Bytes of a pool's header that its elements may fill."""
_HEADER_ROOM = {LOCK: 128, PATH: 128, POOL: ELEMENTS_SIZE, SEQUENCE: 128, TIMESTAMP: 128}
KINDS = tuple(_HEADER_ROOM)

NO_ROOM = frozenset((ENOSPC, EDQUOT, EFBIG))
"""Errors of a file that cannot grow. What is written does not decide who holds: so they keep nobody from a lock."""

SUFFIX = ".lock"
_LONGEST_PLAIN = 200  # of 255 bytes that a file name may have, less the suffixes
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.")


# Names


def file_name(name: str) -> str:
    """Return the lock file's name: the lock's own, percent-encoded; a long one cut, with its hash. Injective."""
    raw = name.encode("utf-8", "surrogatepass")
    plain = "".join(
        chr(byte) if byte in _PLAIN and (place or byte != 0x2E) else f"%{byte:02X}" for place, byte in enumerate(raw)
    )
    if len(plain) > _LONGEST_PLAIN:
        from hashlib import sha256

        # "%+" begins no percent code, so that no plain name looks like this.
        plain = f"{plain[:120]}%+{sha256(raw).hexdigest()}"
    return plain + SUFFIX


def quote(text: str) -> str:
    """Write a JSON string. By hand, because to import json takes longer than a thousand locks."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() or ord(c) > 0xFFFF else f"\\u{ord(c):04x}" for c in text) + '"'


def header_size(name: str, kind: str = LOCK) -> int:
    return -(-(len(quote(name).encode("utf-8", "surrogatepass")) + _HEADER_ROOM[kind]) // 256) * 256


def slots_start(name: str, kind: str = LOCK) -> int:
    """Return the offset of slot 0."""
    return header_size(name, kind) + (2 * STATE_SIZE if kind in (SEQUENCE, TIMESTAMP) else 0)


# Records


LIFE_SLOT = 1


def unit_slot(unit: int) -> int:
    return 2 + 2 * unit


def seat_slot(seat: int) -> int:
    return 3 + 2 * seat


def now() -> int:
    """The microseconds since 1970, in 16 digits also by a clock that was never set."""
    moment = time_ns() // 1000
    return moment if LEAST_TOKEN <= moment <= MOST_TOKEN else LEAST_TOKEN


def record_tail(fields: dict[str, str | int], size: int) -> bytes:
    """Write the unchanging part of a record, the longest texts cut until all fits into ``size`` bytes."""
    while True:
        parts = [f',"{key}":{quote(value) if isinstance(value, str) else value}' for key, value in fields.items()]
        tail = f"{''.join(parts)}}}".encode("utf-8", "surrogatepass")
        if len(tail) < size:
            return tail.ljust(size - 1) + b"\n"
        # What finds deadlocks is cut only where nothing else is left to cut.
        texts = [(len(value), key) for key, value in fields.items() if isinstance(value, str)]
        may_be_cut = (text for text in texts if text[1] not in ("holds", CHILD) and text[0] > 8)
        length, longest = max(may_be_cut, default=max(texts))
        fields[longest] = str(fields[longest])[: min(length * 3 // 4, size)]


def child_text(pid: int, start: int) -> str:
    """Write what stands in the place of `NO_CHILD` once there is one, in as many bytes."""
    return f"{pid:>10} {start:>20}"


def child_in(text: str) -> tuple[int | None, int | None]:
    """Read what `child_text` wrote; None twice if there is none."""
    words = text.split()
    if len(words) != 2 or not all(word.isascii() and word.isdigit() for word in words):
        return None, None
    return int(words[0]), int(words[1])


def where_text(host: str, boot: str, namespace: int) -> bytes:
    """Write where the process of a record is, as the record has it."""
    return f',"host":{quote(host)},"boot":{quote(boot)},"ns":{namespace},'.encode("utf-8", "surrogatepass")


def process_in(record: bytes, here: bytes) -> tuple[int, int] | None:
    """Return pid and start time from a record whose process is ``here``; None from any other.

    Without a library, as a waiter may have no descriptor left to load one.
    """
    who, found, _ = record.partition(here)
    pid, _, start = who.rpartition(b'"pid":')[2].partition(b',"start":')
    return (int(pid), int(start)) if found and pid.isdigit() and start.isdigit() and 0 < int(pid) < 1 << 31 else None
