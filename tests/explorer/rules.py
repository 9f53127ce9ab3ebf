"""What must hold after each step of each schedule, told from the kernel's locks and from what contenders believe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pylock._file.bytemap import QUEUE, ROOM, SEAT_COUNT, SEATS, UNIT_COUNT, UNITS, YIELDING

from .contenders import ASLEEP, AT_DEADLINE, DEAD, DONE, LATER, NAME, NOT_AT_ALL
from .doors import DIRECTORY
from .system import READ, WRITE, Description

if TYPE_CHECKING:
    from .contenders import Ask, Belief, Contender
    from .system import Inode, Range
    from .world import World

_UNITS_END = UNITS + UNIT_COUNT
_BYTES = {
    "EX": (WRITE, ROOM, _UNITS_END), "PW": (WRITE, UNITS, _UNITS_END), "CW": (READ, UNITS, _UNITS_END),
    "CR": (READ, ROOM, UNITS), "NL": (READ, ROOM, ROOM),
}  # fmt: skip
"""What each mode but shared locks, as docs/explanation/protocol.md has it."""


class Violation(Exception):
    """A rule was broken."""


# After each step


def check_holders(world: World) -> None:
    """Whoever believes to hold has the bytes, in the file that the path names; and all of them go together."""
    beliefs = [(each, belief) for each in world.contenders for belief in each.beliefs]
    for place, (each, belief) in enumerate(beliefs):
        _check_bytes(world, each, belief)
        for other, another in beliefs[:place]:
            if other is not each and belief.name == another.name and another.rule.code not in belief.rule.compatible:
                raise Violation(f"{other.name} holds {another.rule.name} while {each.name} holds {belief.rule.name}")


def _check_bytes(world: World, me: Contender, belief: Belief) -> None:
    claim = belief.hold._claim
    opened = me.process.opened.get(claim.fd)
    if not isinstance(opened, Description):
        raise Violation(f"{me.name} holds {belief.rule.name} by a descriptor that is closed")
    if world.system.names.get(claim.request.path) is not opened.inode:
        raise Violation(f"{me.name} holds {belief.rule.name} of a file that is removed")
    mine = opened.inode.locks.of(opened.number)
    if belief.rule.code == "PR":
        has = _size(mine, UNITS, _UNITS_END, WRITE) >= belief.weight
    else:
        kind, start, stop = _BYTES[belief.rule.code]
        has = start == stop or any(held[0] <= start and stop <= held[1] and kind in (READ, held[2]) for held in mine)
    if not has:
        raise Violation(f"{me.name} believes to hold {belief.rule.name} and has not the bytes")


def _size(ranges: list[Range], start: int, stop: int, kind: str | None = None) -> int:
    """How many bytes between start and stop they cover."""
    return sum(
        max(0, min(held[1], stop) - max(held[0], start)) for held in ranges if kind is None or held[2] == kind
    )  # fmt: skip


# At a grant


def check_grant(world: World, me: Contender, belief: Belief) -> None:
    """It is within the capacity that the lock had since its bytes were taken, and under fair nobody was passed."""
    check_holders(world)
    check_token(world, me, belief)
    limit = belief.hold._claim.request.terms.limit
    if belief.name == NAME and belief.rule.code != "NL":
        if not limit or limit not in world.capacities_since(me.locked_at):
            raise Violation(f"{me.name} was granted by the capacity {limit}, which the lock has not had since it tried")
        used = sum(each.weight for other in world.contenders for each in other.beliefs if each.name == NAME)
        if used > max(world.capacities):
            raise Violation(f"{used} units are held of {limit}")
    if world.scenario.fair and me.passes:
        raise Violation(f"{me.name} was granted before somebody who waited already, and before it")


def check_token(world: World, me: Contender, belief: Belief) -> None:
    """The token of a sole holder is greater than all before of the same file; over a removal the clock has to go on."""
    if belief.rule.sole:
        inode = world.system.names[belief.hold._claim.request.path]
        if belief.hold.token <= inode.last_token:
            raise Violation(
                f"{me.name} was given the token {belief.hold.token}, which is not greater than the last one"
            )
        inode.last_token = belief.hold.token


# When nobody can go on


def check_sleepers(world: World) -> None:
    """Nobody who could be granted what it waits for sleeps until its deadline, or for ever.

    Where nobody is killed, nor until a look that is there for those who are.
    """
    sleeps = (NOT_AT_ALL, AT_DEADLINE) if world.scenario.kills else (NOT_AT_ALL, AT_DEADLINE, LATER)
    for each in world.contenders:
        is_late = each.state == ASLEEP and each.timer in sleeps and each.asks
        if is_late and all(is_free_to(world, each, ask) for ask in each.asks):
            raise Violation(f"{each.name} sleeps, and nothing will wake it, although the lock is free to it")


def is_free_to(world: World, me: Contender, ask: Ask) -> bool:
    """Whether the bytes, the capacity and the queue let it in."""
    path, rule, weight = ask
    inode = world.system.names.get(path)
    if inode is None:
        return False
    limit = world.capacities[-1]
    others = [held for held in inode.locks.ranges if held[3] // 1000 != me.process.pid]
    if rule.code == "PR":
        free = _size(others, UNITS, UNITS + limit) + weight <= limit and not _locked(others, READ, UNITS, _UNITS_END)
    else:
        free = not _locked(others, *_BYTES[rule.code])
    return free and (limit > 0 or bool(me.beliefs)) and _is_first(world, me, inode, others)


def _locked(others: list[Range], kind: str, start: int, stop: int) -> bool:
    """Whether somebody has what is in the way of such a lock."""
    return any(held[0] < stop and start < held[1] and WRITE in (kind, held[2]) for held in others)


def _is_first(world: World, me: Contender, inode: Inode, others: list[Range]) -> bool:
    """Whether nobody stands before it, by the policy, who does not let others pass."""
    mine = [held[0] for held in inode.locks.ranges if held[0] >= QUEUE and held[3] // 1000 == me.process.pid]
    if len(mine) != 1:
        return False
    lane, number = divmod(mine[0], 1 << 62)
    both = world.scenario.fair or lane == 0 or not any(ROOM <= held[0] < SEATS for held in others)
    yielding = {held[0] - YIELDING for held in others if YIELDING <= held[0] < YIELDING + SEAT_COUNT}
    return not any(
        held[0] >= QUEUE and held[0] % (1 << 62) < number and (both or held[0] >> 62 == lane)
        and held[0] % SEAT_COUNT not in yielding
        for held in others
    )  # fmt: skip


# At the end


def check_end(world: World) -> None:
    """Everybody has come to the end of its program, and nothing is left over."""
    for each in world.contenders:
        if each.state not in (DONE, DEAD):
            raise Violation(f"{each.name} never goes on: {each.doing()}")
        left = set(each.process.opened) - {fd for fd, _, _ in each.idle.values()}
        if left:
            raise Violation(f"{each.name} has ended and left open: {sorted(left)}")
    for inode in world.system.inodes:
        if inode.locks.ranges:
            raise Violation(f"something is still locked: {inode.locks.ranges}")
    if not world.kills:
        left = [name.removeprefix(f"{DIRECTORY}/") for name in world.system.names if not name.endswith(".lock")]
        if left:
            raise Violation(f"left behind: {', '.join(left)}")
