"""The diagrams of docs/explanation/protocol.md; places and times in them are those of the code."""

from __future__ import annotations

from pylock._acquiring.waiting import TIME_TO_GO_ON, WATCHED, WATCHED_BEHIND
from pylock._file.bytemap import (
    END,
    GATE,
    INTENT_ROOMS,
    INTENTS,
    LANE_BASES,
    PENDING,
    QUEUE,
    ROOM,
    SEAT_BITS,
    SEATS,
    UNIT_COUNT,
    UNITS,
    YIELDING,
)

from .svg import arrow, document, label, rectangle

HELD, WAIT = "box public", "box wait"

# The byte map


def power(offset: int) -> str:
    """The offset as people write it: 17, 2⁴⁰, 2⁵⁵ - 2."""
    if offset < 1024:
        return str(offset)
    bits = (offset + 2).bit_length() - 1
    less = (1 << bits) - offset
    return f"2{str(bits).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}" + (f" - {less}" if less else "")


_SEATS, _ROOMS = power(1 << SEAT_BITS), len(INTENT_ROOMS)
_REGIONS: list[tuple[int, str, str, tuple[str, ...]]] = [
    (GATE, "GATE", "box", ("whoever changes the definition, or", "gathers units in several pieces")),
    (ROOM, "ROOM", HELD, ("holders in concurrent read (to read),", "exclusive holders (to write)")),
    (UNITS, "UNITS", HELD, ("one byte per unit of capacity,", f"{power(UNIT_COUNT)} of them")),
    (
        INTENTS,
        "INTENTS",
        HELD,
        ("who holds below this node of a path:", f"{_ROOMS} rooms of {_SEATS} bytes"),
    ),
    (SEATS, "SEATS", "box", (f"{_SEATS} bytes: one per waiter, and per", "holder that has no unit")),
    (YIELDING, "YIELDING", WAIT, ("the waiter in that seat lets others pass,", "as it lacks further locks")),
    (PENDING, "PENDING", WAIT, ("one byte per lane: make way for the first", "of this lane")),
    (QUEUE, "QUEUE", WAIT, ("tickets of the exclusive lane",)),
    (LANE_BASES[1], "QUEUE", WAIT, ("tickets of the sharing lane",)),
]
"""Where each begins, its name, its colour, and who locks it."""
_NEIGHBOURS = {ROOM, UNITS, QUEUE, LANE_BASES[1]}
"""These begin where the region before ends."""


def byte_map() -> str:
    shapes, y, high, left, wide = list[str](), 16.0, 44, 84, 92
    for offset, name, kind, who in _REGIONS:
        if offset and offset not in _NEIGHBOURS:
            shapes.append(label(left + wide / 2, y + 14, "⋮", "faint", "middle"))
            y += 20
        shapes += [
            rectangle(left, y, wide, high, kind, 0),
            label(left - 8, y + 5, power(offset), anchor="end"),
            label(left + wide / 2, y + high / 2 + 5, name, "name", "middle"),
        ]
        first = y + high / 2 + 5 - 8 * (len(who) - 1)
        shapes += [label(left + wide + 14, first + 16 * line, text) for line, text in enumerate(who)]
        y += high
    shapes.append(label(left - 8, y + 5, power(END), anchor="end"))
    for x, kind, text in ((84, HELD, "locked by who holds"), (248, WAIT, "by who waits"), (366, "box", "by either")):
        shapes += [rectangle(x, y + 20, 14, 14, kind, 2), label(x + 20, y + 32, text, "faint")]
    return document(
        (480, y + 46),
        "The byte map of a lock file",
        "The regions of a lock file from byte 0 to byte 2^63 - 1, and who locks them, as in the table beside it.",
        shapes,
    )


# The life of a request


def life_of_a_request() -> str:
    left, wide, right, aside = 116, 250, 438, 140
    steps = [
        ("box public", 'pylock.lock("build")', "says what is wanted; takes nothing"),
        ("box", "one try", "are the bytes of this mode free?"),
        ("box", "can the wait end?", "or do we wait for each other?"),
        ("box wait", "the queue", "a seat, a bell, a record, a ticket"),
        ("box wait", "my turn? one try", "unless somebody stands in front"),
        ("box wait", "asleep", "until rung, or a process ends"),
    ]
    tops = [16 + 84 * place for place in range(len(steps))]
    shapes = [_step(left, top, wide, *step) for top, step in zip(tops, steps, strict=True)]
    middle = left + wide / 2
    between = ["acquire, or a with block begins", "not free", "yes", "", "not yet"]
    for place, text in enumerate(between):
        x = middle - 60 if place == 4 else middle
        shapes += [arrow((x, tops[place] + 48), (x, tops[place + 1])), label(x + 10, tops[place] + 70, text, "faint")]
    shapes += [
        arrow((middle + 50, tops[5]), (middle + 50, tops[4] + 48)),
        label(middle + 60, tops[4] + 70, "woken", "faint"),
        *_out(left, tops[2], "no", "Deadlock"),
        *_out(left, tops[4], "time is up", "LockTimeout"),
        _tall(right, tops[1], aside, tops[4] + 48 - tops[1]),
        *_granted(left + wide, right, tops[1]),
        *_granted(left + wide, right, tops[4]),
        _step(right, tops[5], aside, "box public", "release", "unlocks the bytes"),
        arrow((right + aside / 2, tops[4] + 48), (right + aside / 2, tops[5])),
        label(right + aside / 2 + 10, tops[4] + 70, "it ends", "faint"),
        arrow((right, tops[5] + 24), (left + wide, tops[5] + 24), kind="arrow told"),
        label((left + wide + right) / 2, tops[5] + 42, "rings", "faint", "middle"),
        label(
            16, tops[5] + 80, "A release rings the next who sleeps. Who is killed anywhere in this has nothing locked"
        ),
        label(16, tops[5] + 98, "any more, neither the lock nor a place in the queue: the kernel sees to it."),
    ]
    return document(
        (right + aside + 16, tops[5] + 114),
        "The life of a request",
        "A request is tried once. If the lock is not free and the wait can end, it queues up, and sleeps until it is"
        " woken and it is its turn; or until its time is up. A release rings the next one who sleeps.",
        shapes,
        _TOLD,
    )


_TOLD = "  .told { stroke-dasharray: 5 4; }\n"


def _step(x: float, y: float, width: float, kind: str, name: str, what: str) -> str:
    return (
        rectangle(x, y, width, 48, kind)
        + label(x + width / 2, y + 20, name, "name", "middle")
        + label(x + width / 2, y + 38, what, "faint", "middle")
    )


def _tall(x: float, y: float, width: float, height: float) -> str:
    middle, centre = x + width / 2, y + height / 2
    return (
        rectangle(x, y, width, height, HELD)
        + label(middle, centre - 6, "hold", "name", "middle")
        + label(middle, centre + 12, "your block runs", "faint", "middle")
    )


def _out(x: float, top: float, why: str, error: str) -> list[str]:
    """The way out to an error, on the left."""
    return [
        arrow((x, top + 24), (x - 18, top + 24)),
        label(x - 22, top + 20, error, "name", "end"),
        label(x - 22, top + 36, why, "faint", "end"),
    ]


def _granted(x: float, to: float, top: float) -> list[str]:
    return [arrow((x, top + 24), (to, top + 24)), label((x + to) / 2 - 3, top + 18, "granted", "faint", "middle")]


# Who wakes whom


def who_wakes_whom() -> str:
    left, wide, high = 116, 216, 48
    people = [
        ("box public", "holder", "releases, or dies"),
        ("box wait", "first in the queue", f"looks by itself each {WATCHED:g} s"),
        ("box wait", "second", f"looks by itself each {WATCHED_BEHIND:g} s"),
        ("box wait", "third", f"looks by itself each {WATCHED_BEHIND:g} s"),
    ]
    tops = [16 + 96 * place for place in range(len(people))]
    shapes = [_step(left, top, wide, *person) for top, person in zip(tops, people, strict=True)]
    for place in range(3):
        shapes += _by_the_left(left, tops[place] + high, tops[place + 1], "rings" if not place else "its bell")
        shapes += _by_the_right(left + wide, tops[place] + high - 10, tops[place + 1] + 12, 24, "its end")
    shapes += _by_the_right(left + wide, tops[0] + 12, tops[2] + 28, 90, "its end")
    y = tops[3] + high + 32
    legend = [
        ("arrow", "a release writes one byte into the bell of who is next"),
        ("arrow told", "the kernel tells that this process has ended (pidfd)"),
        ("arrow heard", f"hears that bell too; steps in if nothing follows for {TIME_TO_GO_ON:g} s"),
    ]
    for kind, text in legend:
        shapes += [arrow((16, y), (56, y), kind=kind), label(66, y + 5, text, "faint")]
        y += 22
    return document(
        (480, y),
        "Who wakes whom",
        "A release rings the first waiter. The kernel tells the first that the holder has ended, the second that the"
        " first or the holder has ended, and so on. Each waiter also hears the bell of the one in front of it.",
        shapes,
        _TOLD + "  .heard { stroke-dasharray: 1.5 3; }\n",
    )


def _by_the_left(x: float, start: float, end: float, text: str) -> list[str]:
    """What comes by a bell, straight down; the first is rung, those behind hear it."""
    kind = "arrow" if text == "rings" else "arrow heard"
    return [
        arrow((x + 70, start), (x + 70, end), kind=kind),
        label(x + 62, (start + end) / 2 + 4, text, "faint", "end"),
    ]


def _by_the_right(x: float, start: float, end: float, out: float, text: str) -> list[str]:
    """What the kernel tells, by a way around on the right."""
    return [
        arrow((x, start), (x + out, start), (x + out, end), (x, end), kind="arrow told"),
        label(x + out + 6, (start + end) / 2 + 4, text, "faint"),
    ]
