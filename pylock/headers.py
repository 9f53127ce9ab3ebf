"""The header in the file: read and checked, and written under the gate."""

from __future__ import annotations

import os
import stat
from errno import ENOSPC

from .failures import bad_file
from .layout import (
    FORMAT,
    KINDS,
    LOCK,
    POLICIES,
    REMOVED,
    UNLIMITED,
    Definition,
    Gone,
    Places,
    write_header,
)
from .lockfile import is_at
from .process import loading

_LARGEST = 1 << 26


def read_head(fd: int) -> bytes:
    """Read the header of a file whose lock's name, and so the header's size, is not known."""
    size = 4096
    head = os.pread(fd, size, 0)
    while len(head) == size and b"\n" not in head and size < _LARGEST:
        size *= 4
        head = os.pread(fd, size, 0)
    return head


def is_blank(head: bytes) -> bool:
    """Whether the file never got a header: new, truncated, or zeroed by a power cut."""
    return not head.strip(b"\0")


def read_header(head: bytes, name: str | None, path: str) -> Definition:
    """Read what the file at path says of itself; with a name, check that it is this lock's file.

    Raises Gone for a removed file, BadLockFile.
    """
    if head.startswith(REMOVED):
        raise Gone
    fields = parse_line(head)
    if fields is None or not isinstance(fields.get("pylock"), int):
        raise bad_file(path, "it does not begin with a pylock header")
    if fields["pylock"] != FORMAT:
        raise bad_file(path, f"it has format {fields['pylock']}, this pylock knows {FORMAT}; use a newer pylock")
    if fields.get("kind", LOCK) not in KINDS:
        raise bad_file(path, f"it is a {fields['kind']!r}, which this pylock does not know; use a newer pylock")
    if name is not None and fields.get("name") != name:
        raise bad_file(path, f"it is the file of the lock {fields.get('name')!r}, not of {name!r}")
    definition = _definition(fields)
    if definition is None or not head.startswith(write_header(str(fields["name"]), definition)):
        raise bad_file(path, "its header is damaged or was edited by hand")
    return definition


def _definition(fields: dict[str, object]) -> Definition | None:
    capacity = UNLIMITED if fields.get("capacity") == "unlimited" else fields.get("capacity")
    policy = fields.get("policy")
    if not isinstance(fields.get("name"), str):
        return None
    if capacity is not None and not (isinstance(capacity, int) and 0 <= capacity <= UNLIMITED):
        return None
    if policy is not None and policy not in POLICIES:
        return None
    return Definition(
        capacity, policy, fields.get("defined") is True, str(fields.get("kind", LOCK)),
        _places(fields.get("elements")), _places(fields.get("leaving")),
    )  # fmt: skip


def _places(units: object) -> Places:
    """Read elements with their units; what makes no sense is left out, which the comparison of the header shows."""
    if not isinstance(units, dict):
        return ()
    return tuple((element, unit) for element, unit in units.items() if isinstance(unit, int))


def parse_line(raw: bytes) -> dict[str, object] | None:
    """Parse the JSON object in the first line; None if there is none."""
    with loading:
        import json

    try:
        fields = json.loads(raw.partition(b"\n")[0].decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def put_header(fd: int, path: str, name: str, definition: Definition) -> bytes:
    """Write the header, under the gate; only into a regular file that has this one name."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise bad_file(path, "it is not a regular file")
    if status.st_nlink > 1:
        raise bad_file(path, "it has more than one name")
    if not is_at(fd, path):
        raise Gone
    header = write_header(name, definition)
    before = os.pread(fd, len(header), 0)
    if os.pwrite(fd, header, 0) != len(header):  # the disk is full
        os.pwrite(fd, before.ljust(len(header), b"\0"), 0)  # as far as there is room, which is as far as we wrote
        raise OSError(ENOSPC, "cannot write all of the header", path)
    return header
