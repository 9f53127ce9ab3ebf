"""The header of a lock file: what it says the lock is. Read and checked, and written under the gate."""

from __future__ import annotations

import os
import stat
from errno import ENOSPC

from .._errors import BadLockFile, bad_file
from .._process import loading
from .bytemap import UNIT_COUNT
from .layout import FORMAT, KINDS, LOCK, POLICIES, POOL, SHARED_FIRST, UNLIMITED, header_size, quote
from .lockfile import is_at, leave_gate, take_gate

_LARGEST = 1 << 26
_BEGIN = b'{"pylock":'
_LOOK_TRIES = 100
_CHECK_MODULUS = 4_294_967_291  # the largest prime below 2^32; a CRC would have to load a library


class Gone(Exception):
    """The opened file is not the lock file any more: open the path again."""


Places = tuple[tuple[str, int], ...]
"""Elements of a pool, each with its unit."""


class Definition:
    """What a lock is: how many units it has and in what order waiters are served. Immutable."""

    __slots__ = ("defined", "given_capacity", "given_policy", "kind", "leaving", "places")

    given_capacity: int | None
    """None as long as nobody has said a capacity."""
    given_policy: str | None
    defined: bool
    """Whether `define` said it, and not the first lock() that came with a capacity or a policy."""
    kind: str
    """One of `KINDS`."""
    places: Places
    """Of a pool, in the order in which they are given out."""
    leaving: Places
    """Of a pool, elements that were taken out while somebody held them, so that they keep their units."""

    def __init__(
        self, capacity: int | None = None, policy: str | None = None, defined: bool = False, kind: str = LOCK,
        places: Places = (), leaving: Places = (),
    ) -> None:  # fmt: skip
        set_field = object.__setattr__
        set_field(self, "given_capacity", capacity)
        set_field(self, "given_policy", policy)
        set_field(self, "defined", defined)
        set_field(self, "kind", kind)
        set_field(self, "places", places)
        set_field(self, "leaving", leaving)

    def __setattr__(self, field: str, value: object) -> None:
        raise AttributeError("a definition does not change; use pylock.define")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Definition) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        kind = "" if self.kind == LOCK else f" of a {self.kind}"
        capacity = "unlimited" if self.capacity == UNLIMITED else self.capacity
        return f"<definition{kind} capacity={capacity} policy={self.policy}{' defined' * self.defined}>"

    def __reduce__(self) -> tuple[object, ...]:
        return Definition, self._key()

    def _key(self) -> tuple[int | None, str | None, bool, str, Places, Places]:
        return self.given_capacity, self.given_policy, self.defined, self.kind, self.places, self.leaving

    @property
    def capacity(self) -> int:
        """Units that shared holders may hold together; 0 is closed, `UNLIMITED` or all elements the default."""
        most = len(self.places) if self.kind == POOL else UNLIMITED
        return most if self.given_capacity is None else min(self.given_capacity, most)

    @property
    def policy(self) -> str:
        return self.given_policy or SHARED_FIRST

    @property
    def elements(self) -> tuple[str, ...]:
        """The elements of a pool, in the order in which they are given out; of another kind none."""
        return tuple(element for element, _ in self.places)


def read_head(fd: int) -> bytes:
    """Read the header of a file whose lock's name, and so the header's size, is not known.

    Of what does not look like one, a huge file of nothing perhaps, no more is read than shows that.
    """
    size = 4096
    head = os.pread(fd, size, 0)
    while len(head) == size < _LARGEST and head.startswith(_BEGIN) and b"\n" not in head and b"\0" not in head:
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


def look_at_header(fd: int, name: str | None, path: str) -> tuple[bytes, Definition | None]:
    """Read it through a descriptor that may be for reading only, whole also while it is being written.

    Returns the head, and what it says; None if the file never got a header. Raises as `read_header`.
    """
    head = read_head(fd)
    if is_blank(head):
        return head, None
    try:
        return head, read_header(head, name, path)
    except BadLockFile:
        gate = take_gate(fd, _LOOK_TRIES, only_to_read=True)
        try:
            head = read_head(fd)
        finally:
            if gate:
                leave_gate(fd)
        return head, read_header(head, name, path)


def _definition(fields: dict[str, object]) -> Definition | None:
    capacity = UNLIMITED if fields.get("capacity") == "unlimited" else fields.get("capacity")
    policy = fields.get("policy")
    if not isinstance(fields.get("name"), str):
        return None
    if capacity is not None and not (isinstance(capacity, int) and 0 <= capacity <= UNLIMITED):
        return None
    if policy is not None and policy not in POLICIES:
        return None
    places, leaving = _places(fields.get("elements")), _places(fields.get("leaving"))
    units = [unit for _, unit in places + leaving]
    if len(set(units)) < len(units) or not all(0 <= unit < UNIT_COUNT for unit in units):
        return None
    return Definition(capacity, policy, fields.get("defined") is True, str(fields.get("kind", LOCK)), places, leaving)


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


def write_header(name: str, definition: Definition) -> bytes:
    capacity: int | str | None = definition.given_capacity
    if capacity is None:
        capacity = "null"
    elif capacity == UNLIMITED:
        capacity = '"unlimited"'
    policy = f'"{definition.given_policy}"' if definition.given_policy else "null"
    text = (
        f'{{"pylock":{FORMAT},"name":{quote(name)},"capacity":{capacity},"policy":{policy}'
        f',"defined":{"true" if definition.defined else "false"}'
    )
    if definition.kind != LOCK:
        text += f',"kind":"{definition.kind}"{_pool_fields(definition) if definition.kind == POOL else ""}'
    check = checksum(text.encode("utf-8", "surrogatepass"))
    return _line(f'{text},"check":"{check:08x}"}}', header_size(name, definition.kind))


def _pool_fields(definition: Definition) -> str:
    elements, leaving = (
        ",".join(f"{quote(element)}:{unit}" for element, unit in places)
        for places in (definition.places, definition.leaving)
    )
    return f',"elements":{{{elements}}},"leaving":{{{leaving}}}'


def checksum(text: bytes) -> int:
    return int.from_bytes(text) % _CHECK_MODULUS


REMOVED = b'{"pylock":1,"removed":true}\n'


def _line(text: str, size: int) -> bytes:
    return text.encode("utf-8", "surrogatepass").ljust(size - 1) + b"\n"
