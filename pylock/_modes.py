"""The six lock modes: which of them exclude each other, and which bytes each one locks.

Every mode is got by one fcntl call, and the bytes alone make the published matrix true:

    mode  name               locks                       excluded by
    NL    null               nothing                     nobody
    CR    concurrent_read    ROOM, to read               EX
    CW    concurrent_write   all UNITS, to read          PR PW EX
    PR    shared             some free UNITS, to write   CW PW EX
    PW    protected_write    all UNITS, to write         CW PR PW EX
    EX    exclusive          ROOM and UNITS, to write    CR CW PR PW EX

In a path hierarchy the same matrix holds between a node and all below it: who holds below a node in mode EX is
"/EX" in that node's own file, which excludes there what EX excludes, but never anybody else who is below.

Source of the matrix: VSI OpenVMS System Services Reference Manual, $ENQ, "Compatibility of Lock Modes".
"""

from __future__ import annotations

from ._file.bytemap import EXCLUSIVE_LANE, ROOM, SEATS, SHARING_LANE, UNITS, UNITS_END
from ._file.byterange import read_lock, write_lock


class ModeRule:
    """What one mode does.

    ``lock`` is the one range to take, None if the mode takes no fixed range. A ``counted`` mode takes units,
    a ``sole`` mode takes all of them; a mode that does neither is ``seated``: it needs a seat to be seen.
    ``compatible`` are the codes of those it lets in: "/EX" is a hold in mode EX somewhere below.
    """

    __slots__ = ("code", "compatible", "counted", "lane", "lock", "name", "seated", "sole")

    def __init__(self, code: str, name: str, compatible: str, lock: bytes | None, lane: int = SHARING_LANE) -> None:
        self.code: str = code
        self.name: str = name
        self.compatible: frozenset[str] = frozenset(compatible.split())
        self.lock: bytes | None = lock
        self.lane: int = lane
        self.counted: bool = code == "PR"
        self.sole: bool = lane == EXCLUSIVE_LANE
        self.seated: bool = not (self.counted or self.sole)

    def __repr__(self) -> str:
        return f"<mode {self.code}>"

    def __reduce__(self) -> tuple[object, ...]:
        return by_code, (self.code,)


NULL = ModeRule("NL", "null", "NL CR CW PR PW EX /CR /CW /PR /PW /EX", None)
CONCURRENT_READ = ModeRule("CR", "concurrent_read", "NL CR CW PR PW /CR /CW /PR /PW", read_lock(ROOM, UNITS))
CONCURRENT_WRITE = ModeRule("CW", "concurrent_write", "NL CR CW /CR /CW", read_lock(UNITS, UNITS_END))
SHARED = ModeRule("PR", "shared", "NL CR PR /CR /PR", None)
PROTECTED_WRITE = ModeRule("PW", "protected_write", "NL CR /CR", write_lock(UNITS, UNITS_END), EXCLUSIVE_LANE)
EXCLUSIVE = ModeRule("EX", "exclusive", "NL", write_lock(ROOM, UNITS_END), EXCLUSIVE_LANE)

ANY_HOLDER = write_lock(ROOM, SEATS)
"""What is locked if anybody holds the lock in any mode but null, or something below it."""

ALL = (NULL, CONCURRENT_READ, CONCURRENT_WRITE, SHARED, PROTECTED_WRITE, EXCLUSIVE)

INTENTS = {
    rule.code: ModeRule(f"/{rule.code}", rule.name, " ".join((*rule.compatible, "/CR /CW /PR /PW /EX")), None)
    for rule in ALL
}
"""What a hold somewhere below a node is in the node's own file, by the code of its mode."""
BY_CODE = {rule.code: rule for rule in (*ALL, *INTENTS.values())}

BY_NAME = {key: rule for rule in ALL for key in (rule.name, rule.code)} | {"protected_read": SHARED}


def by_code(code: str) -> ModeRule:
    return BY_CODE[code]


def rule_of(mode: str) -> ModeRule:
    """Return the rule of a mode given by name, code or `Mode`; upper case and hyphens are accepted.

    Raises ValueError.
    """
    try:
        return BY_NAME[mode]
    except (KeyError, TypeError):
        pass
    if isinstance(mode, str):
        spelled = mode.replace("-", "_").replace(" ", "_")
        for key in (spelled.lower(), spelled.upper()):
            if key in BY_NAME:
                return BY_NAME[key]
    names = ", ".join(f"{rule.name} ({rule.code})" for rule in ALL)
    raise ValueError(f"mode {mode!r} is not a lock mode; use one of {names}{_similar(mode)}")


def _similar(mode: object) -> str:
    """Ask whether a mode was meant that is spelled nearly so."""
    from difflib import get_close_matches

    found = get_close_matches(str(mode).lower().replace("-", "_"), [rule.name for rule in ALL], 1, 0.7)
    return f"; did you mean {found[0]}?" if found else ""
