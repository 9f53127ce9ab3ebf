"""The chart of a lock file: which byte offset stands for what.

The bytes are only locked, never written: an fcntl lock may lie beyond the end of the file.

    offset                  region     who locks it
    0                       GATE       whoever changes the definition, or takes units in several pieces
    1                       ROOM       concurrent-read holders (read lock), exclusive holders (write lock)
    2 .. 2+2^30             UNITS      one byte per unit of capacity
    2^36 .. +5*2^14         INTENTS    five rooms, CR CW PW EX PR: who holds below this node of a path, by its seat
    2^40 .. +2^14           SEATS      one byte per waiter, and per holder that has no unit of its own
    2^41 .. +2^14           YIELDING   the waiter in that seat lets those behind it pass, as it lacks other locks too
    2^55-2, 2^55-1          PENDING    the waiter of each lane whose turn is next, once it has waited a moment
    2^55 .. 2^62            QUEUE      tickets of the exclusive lane: (priority class, arrival, seat)
    2^62 .. 2^63            QUEUE      tickets of the sharing lane, laid out alike

ROOM and UNITS touch, so that one call takes both; everything from ROOM to SEATS is held, all above waits.
The rooms of INTENTS stand in an order in which those that one mode excludes are always neighbours.
Source: fcntl_locking(2): offsets run to 2^63-1, length 0 means "to the end".
"""

GATE = 0
ROOM = 1
UNITS = 2
UNIT_COUNT = 1 << 30
UNITS_END = UNITS + UNIT_COUNT

SEATS = 1 << 40
SEAT_BITS = 14
SEAT_COUNT = 1 << SEAT_BITS

YIELDING = 1 << 41

INTENTS = 1 << 36
INTENT_ROOMS = ("CR", "CW", "PW", "EX", "PR")

QUEUE = 1 << 55
PENDING = QUEUE - 2
END = (1 << 63) - 1
"""Who has locked everything from 0 to here is about to remove the file."""

EXCLUSIVE_LANE, SHARING_LANE = 0, 1
LANE_BASES = (0, 1 << 62)
"""Added to a ticket to get the offset of its byte; a ticket is the same number in either lane."""

CLASS_SHIFT = 55
ARRIVAL_SHIFT = SEAT_BITS
LAST_PRIORITY = 63
"""Priorities run from -63 to 63; a class is ``64 - priority``, so that higher priority comes first."""
