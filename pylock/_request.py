"""A request: what somebody asks of a lock, checked once, with what was learned about the lock's file.

Requests are memoised, because most programs ask for the same thing again and again.
"""

from __future__ import annotations

import os
import sys

from . import _process as process
from ._errors import DefinitionMismatch
from ._file.bytemap import LAST_PRIORITY, UNIT_COUNT
from ._file.directories import Directory, absolute, resolve
from ._file.header import Definition, write_header
from ._file.layout import (
    CHILD,
    FAIR,
    LEAST_TOKEN,
    LOCK,
    NO_CHILD,
    POLICIES,
    SLOT_SIZE,
    file_name,
    header_size,
    now,
    record_tail,
    slots_start,
)
from ._file.reuse import Heat
from ._modes import ModeRule, rule_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    Attempt = Callable[[int, "Request", int | None], "Grant | None"]
    """One try for a lock, through a descriptor, by who has that seat (None: by who does not wait)."""

_GRANTED = b'{"token":%d,"since":%d%b'
_WAITING = b'{"token":            null,"since":%d%b'
TOKEN_START, TOKEN_STOP = 9, 25
"""Where the token stands in a record."""
_SINCE = slice(34, 50)
"""Where a holder's record tells since when, in microseconds of this age."""
_TAIL_SIZE = SLOT_SIZE - len(_GRANTED % (LEAST_TOKEN, LEAST_TOKEN, b""))
_MOST_REMEMBERED = 4096

_remembered: dict[tuple[object, ...], Request] = {}
_environment: dict[bytes, bytes] = getattr(os.environ, "_data", {})


Pieces = tuple[tuple[int, int], ...]
"""Units held: (first, one past the last) of each stretch."""


class Grant:
    """What a try for a lock gave."""

    __slots__ = ("pieces", "places", "token", "value")

    def __init__(self, token: int, places: tuple[int, ...], pieces: Pieces = (), value: object = None) -> None:
        self.token: int = token
        self.places: tuple[int, ...] = places
        """Of the records that show the holder."""
        self.pieces: Pieces = pieces
        """The units that a shared request got."""
        self.value: object = value
        """What a kind of lock gives besides: elements, a number, a time."""


class Terms:
    """What the request must keep to, by the header that the lock file had."""

    __slots__ = ("definition", "fair", "header", "limit")

    def __init__(self, header: bytes, definition: Definition) -> None:
        self.header: bytes = header
        self.definition: Definition = definition
        self.limit: int = definition.capacity
        self.fair: bool = definition.policy == FAIR


class Kind:
    """What a kind of lock does its own way; where it says nothing, as a plain one."""

    __slots__ = ()

    name = LOCK
    below: str | None = None
    """The path that is really asked for, on the levels above it."""
    rule: ModeRule | None = None
    """The rule of the mode, if it is another one here than elsewhere."""
    renews = False
    """Whether each use is noted, as one that begins the idle life anew."""
    extra: dict[str, str] = {}  # noqa: RUF012  # nobody changes it
    """What the record of a waiter says besides."""
    commits = False
    """Whether a hold that ends well has to be committed."""
    starts = True
    """Whether a grant is a new start, which a closed lock does not let."""
    gives = False
    """Whether each grant gives something that is used up, so that a try in vain has to take it back."""
    hindrance = "it was held a moment ago"
    """What keeps somebody out while nobody holds the lock."""

    def __getstate__(self) -> object:
        return object.__getstate__(self)  # said here, slots can be pickled by the first protocols too

    def expected(self, capacity: int | None, policy: str | None) -> Definition:
        """What the lock is to be if nobody has said yet."""
        return Definition(capacity, policy, kind=self.name)

    def attempt_in(self, mode: ModeRule) -> Attempt:
        """Return what tries for the lock in that mode."""
        raise NotImplementedError

    def commit(self, fd: int, request: Request, grant: Grant) -> None:
        """Make what was given the holder's own for good, before it lets go."""

    def lets(self, fd: int, request: Request, seat: int) -> bool:
        """Whether nothing but the bytes of the mode might keep out the waiter in that seat."""
        return True

    def take_back(self, fd: int, request: Request, grant: Grant) -> None:
        """Undo what was given with a grant that is given back unused, while it is still held."""

    def pause(self, seconds: float) -> float:
        """How long the next in turn may sleep, of the seconds that it wants to."""
        return seconds


class Request:
    """One way to ask for one lock; shared by all who ask alike.

    ``terms`` and ``units`` are memory, not truth: the header is compared after each locking.
    """

    __slots__ = (
        "attempt",
        "command",
        "create",
        "directory",
        "expected",
        "expects_child",
        "head_size",
        "header_size",
        "heat",
        "idle_lifespan",
        "kind",
        "mode",
        "name",
        "passes_bell_late",
        "path",
        "priority",
        "reason",
        "renews",
        "signed",
        "slots_start",
        "tail",
        "terms",
        "token_span",
        "units",
        "weight",
    )  # fmt: skip

    def __init__(
        self, name: str, mode: ModeRule, weight: int, priority: int, reason: str | None, directory: Directory,
        kind: Kind, expected: Definition, create: bool, idle_lifespan: float | None,
    ) -> None:  # fmt: skip
        self.name: str = name
        self.mode: ModeRule = mode
        self.weight: int = weight
        self.priority: int = priority
        self.reason: str | None = reason
        self.directory: Directory = directory
        self.command: str | None = None
        """Shown instead of this process's own command line."""
        self.expects_child: bool = False
        """Whether records have room for the process that will run under the lock; see `layout.CHILD`."""
        self.kind: Kind = kind
        self.attempt: Attempt = kind.attempt_in(mode)
        """One try for the lock."""
        self.expected: Definition = expected
        self.passes_bell_late: bool = False
        """Whether one who was granted it after a wait leaves it to the caller to wake those who may have it too."""
        self.create: bool = create
        self.idle_lifespan: float | None = idle_lifespan
        self.renews: bool = kind.renews or not create or idle_lifespan is not None
        """Whether each use begins the lock's idle life anew; a plain one does not care whether the lock exists."""
        self.path: str = os.path.join(directory.path, file_name(name))
        self.header_size: int = header_size(name, expected.kind)
        self.slots_start: int = slots_start(name, expected.kind)
        self.head_size: int = self.slots_start + TOKEN_STOP  # all that a grant must know
        self.token_span: slice[int, int, None] = slice(self.slots_start + TOKEN_START, self.slots_start + TOKEN_STOP)
        self.terms: Terms = Terms(write_header(name, expected), expected)
        self.units: tuple[bytes, Pieces] | None = None
        """The units held last, which are tried first the next time."""
        self.heat: Heat = Heat()
        self.tail: bytes = b""
        self.signed: process.Mark = process.ELSEWHERE
        """The process whose tail it is."""

    def __reduce__(self) -> tuple[object, ...]:
        """It is made anew in the process that it is sent to, which is another one, perhaps on another host."""
        given = self.expected
        return request_for, (
            self.name, self.mode.name, self.weight, given.given_capacity, self.priority, given.given_policy,
            self.reason, self.directory.path, self.create, self.idle_lifespan, self.kind,
        )  # fmt: skip

    def expect_child(self) -> None:
        """Have room in the records for the process that will run under the lock."""
        self.expects_child = True
        self.signed = process.ELSEWHERE  # what is remembered of them has none

    def record(self, since: int, token: int | None, extra: dict[str, str] | None = None) -> bytes:
        """Write the record of a holder, or without a token of a waiter: who, how, and since when (microseconds)."""
        tail = self.tail
        if extra:
            tail = self._tail(process.identity(), extra)
        elif not self.signed[0]:
            who = process.identity()
            tail = self.tail = self._tail(who)
            if who.is_whole:
                self.signed = process.current()
        if token is None:
            return _WAITING % (since, tail)
        return _GRANTED % (token, since, tail)

    def _tail(self, who: process.Identity, extra: dict[str, str] | None = None) -> bytes:
        fields: dict[str, str | int] = dict(extra or {})
        fields |= {
            # The first five stand as `layout.process_in` looks for them.
            "pid": who.pid, "start": who.start, "host": who.host, "boot": who.boot, "ns": who.namespace, "uid": who.uid,
            "mode": self.mode.name, "weight": self.weight, "priority": self.priority,
        }  # fmt: skip
        if self.reason is not None:
            fields["reason"] = self.reason
        if self.expects_child:
            fields[CHILD] = NO_CHILD
        fields["command"] = self.command or process.command_line()
        return record_tail(fields, _TAIL_SIZE)

    @staticmethod
    def since_in(record: bytes) -> int:
        """Since when the writer of the record holds, in microseconds; now if that is no holder's record."""
        text = record[_SINCE]
        return int(text) if text.isdigit() else now()

    def slot_offset(self, slot: int) -> int:
        return self.slots_start + SLOT_SIZE * slot

    def check_attainable(self) -> None:
        """Raise DefinitionMismatch if the lock, as last seen, can never grant this."""
        if 0 < self.terms.limit < self.weight:
            raise DefinitionMismatch(
                f'{self.weight} units of lock "{self.name}" can never be had: its capacity is {self.terms.limit}',
                name=self.name,
            )


def request_for(
    name: str,
    mode: str,
    weight: int,
    capacity: int | None,
    priority: int,
    policy: str | None,
    reason: str | None,
    directory: str | PathLike[str] | None,
    create: bool,
    idle_lifespan: float | None,
    kind: Kind,
) -> Request:
    """Return the request for what is asked, checked the first time. Raises as `make_request`."""
    # The raw variable, because os.environ.get takes a microsecond where it is not set: half as long as a lock.
    where = _environment.get(b"PYLOCK_DIR") if directory is None else absolute(directory)
    key = (name, mode, weight, capacity, priority, policy, reason, create, idle_lifespan, where, kind)
    try:
        return _remembered[key]
    except (KeyError, TypeError):  # a TypeError, for what cannot be hashed, is named by the checks
        pass
    request = make_request(
        name, mode, weight, capacity, priority, policy, reason, directory, create, idle_lifespan, kind=kind
    )
    if len(_remembered) >= _MOST_REMEMBERED:
        _remembered.clear()
    _remembered[key] = request
    return request


def make_request(
    name: str,
    mode: str,
    weight: int = 1,
    capacity: int | None = None,
    priority: int = 0,
    policy: str | None = None,
    reason: str | None = None,
    directory: str | PathLike[str] | None = None,
    create: bool = True,
    idle_lifespan: float | None = None,
    *,
    kind: Kind,
) -> Request:
    """Check what is asked. Raises ValueError, TypeError, DefinitionMismatch, and as `directories.resolve`."""
    rule = rule_of(mode)
    check_name(name)
    check_whole("weight", weight, 1, UNIT_COUNT)
    check_whole("priority", priority, -LAST_PRIORITY, LAST_PRIORITY)
    check_capacity(capacity)
    check_policy(policy)
    if weight > 1 and not rule.counted:
        raise ValueError(f"weight {weight} is for mode shared; a holder in mode {rule.name} takes no units by number")
    if capacity and weight > capacity:
        raise DefinitionMismatch(
            f'{weight} units of lock "{name}" can never be had: the capacity asked for is {capacity}', name=name
        )
    if reason is not None and not isinstance(reason, str):
        raise TypeError(f"reason must be a str, not {reason!r}")
    if not isinstance(create, bool):
        raise ValueError(f"create must be True or False, not {create!r}")
    if idle_lifespan is not None:
        check_seconds("idle_lifespan must be None (the file stays)", idle_lifespan)
    return Request(
        name, kind.rule or rule, weight, priority, reason, resolve(directory), kind, kind.expected(capacity, policy),
        create, idle_lifespan,
    )  # fmt: skip


def check_seconds(expected: str, value: float) -> None:
    """Raise ValueError for what is not a number of seconds from 0 on; NaN is not one either."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max:
        return
    raise ValueError(f"{expected} or a number of seconds from 0 on, not {value!r}")


def check_name(name: str) -> None:
    if not isinstance(name, str):
        advice = '; decorate with @pylock.lock("NAME")' if callable(name) else ""
        raise TypeError(f"the name of a lock must be a str, not {name!r}{advice}")
    if not name:
        raise ValueError("the name of a lock must not be empty")


def check_whole(what: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{what} must be a whole number from {least} to {most}, not {value!r}")


def check_capacity(capacity: int | None) -> None:
    if capacity is not None:
        check_whole("capacity", capacity, 0, UNIT_COUNT)


def check_policy(policy: str | None) -> None:
    if policy is not None and policy not in POLICIES:
        raise ValueError(f"policy must be one of {', '.join(POLICIES)}, not {policy!r}")
