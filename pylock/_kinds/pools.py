"""Pools: several things with names, of which each holder gets one, or as many as its weight.

An element is a unit of a counted lock, so that holders are counted, shown and lowered in number as there. It keeps its
unit as long as anybody might hold it.
"""

from __future__ import annotations

from itertools import count

from .._acquiring.agreement import learn, read_terms
from .._acquiring.attempt import LET_GO, last_token, piece_lock, put_record
from .._acquiring.existence import count_turn, turn
from .._errors import DefinitionMismatch, harmless
from .._file.bytemap import UNIT_COUNT, UNITS, UNITS_END
from .._file.byterange import find_all, let_go, try_lock
from .._file.header import Definition, Places
from .._file.layout import ELEMENTS_SIZE, POOL, now, quote, unit_slot
from .._file.lockfile import leave_gate, take_gate
from .._holds import Hold
from .._locks import Lock, checked_timeout
from .._request import Grant, Kind, check_whole, make_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from .._file.header import Places
    from .._modes import ModeRule
    from .._request import Attempt, Request, Terms

_MOST_BYTES = ELEMENTS_SIZE - 512  # leaves room for the other fields of the header


def check_elements(elements: Iterable[str]) -> tuple[str, ...]:
    """Return the elements. Raises TypeError and ValueError for what no pool can have."""
    if isinstance(elements, str):
        raise TypeError(f"elements must be several texts, as a list: [{elements!r}]")
    names = tuple(elements)
    for name in names:
        if not isinstance(name, str) or not name:
            raise ValueError(f"an element must be a text that is not empty, not {name!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"the elements of a pool must differ: {harmless(', '.join(names))}")
    refuse_too_many(new_places(names))
    return names


def new_places(names: tuple[str, ...]) -> Places:
    return tuple(zip(names, count(), strict=False))


def refuse_too_many(places: Places) -> None:
    """Raise ValueError if the elements do not fit into the header of a lock file."""
    size = sum(len(quote(name).encode("utf-8", "surrogatepass")) + len(str(unit)) + 2 for name, unit in places)
    if size > _MOST_BYTES:
        raise ValueError(f"the elements are too many or too long: {size} bytes, of {_MOST_BYTES} in one pool")


def rearranged(fd: int, old: Definition, names: tuple[str, ...]) -> tuple[Places, Places]:
    """Return the places of the elements from now on, and those of elements that are left out but held.

    Call it under the gate. Units that change hands are locked through fd; let go after the header is written.
    """
    units = dict(old.places + old.leaving)
    leaving = {}
    for name, unit in list(units.items()):
        if name not in names and not try_lock(fd, piece_lock(unit, unit + 1)):
            leaving[name] = unit
    kept = {unit for name, unit in units.items() if name in names or name in leaving}
    free = (unit for unit in count() if unit not in kept)
    places = tuple((name, units[name] if name in units else next(free)) for name in names)
    refuse_too_many(places + tuple(leaving.items()))
    return places, tuple(leaving.items())


def pool(
    name: str,
    elements: Iterable[str] | None = None,
    *,
    weight: int = 1,
    rotate: bool = False,
    timeout: float | None = None,
    priority: int = 0,
    policy: str | None = None,
    reason: str | None = None,
    directory: str | PathLike[str] | None = None,
    create: bool = True,
    idle_lifespan: float | None = None,
) -> Pool:
    """Return the `Pool` of that name: each holder has ``weight`` of its elements for itself.

    ``elements`` are given out from the first on; who has used the pool first, or `define`, says which they are, and
    all others must name the same, or None. With ``rotate`` each search begins one element further than the one before,
    as long as the pool exists, which ``idle_lifespan`` prolongs. The other parameters are those of `lock`. Raises as
    `lock`.
    """
    checked_timeout(timeout)
    names = () if elements is None else check_elements(elements)
    check_whole("weight", weight, 1, UNIT_COUNT)
    if names and weight > len(names):
        raise DefinitionMismatch(f'{weight} elements of pool "{name}" can never be had: it has {len(names)}', name=name)
    request = make_request(
        name, "shared", weight, priority=priority, policy=policy, reason=reason, directory=directory, create=create,
        idle_lifespan=idle_lifespan, kind=_PoolKind(new_places(names), rotate),
    )  # fmt: skip
    return Pool(request, timeout)


class ElementHold(Hold):
    """A hold of elements of a pool."""

    __slots__ = ()

    @property
    def elements(self) -> tuple[str, ...]:
        """What was given, as many as the weight."""
        given = self.given
        assert isinstance(given, tuple)
        return given

    @property
    def element(self) -> str:
        """What was given; of several the first."""
        return self.elements[0]


class Pool(Lock[ElementHold]):
    """A way to ask a pool for elements; made by `pool`. All that `Lock` does, with holds that have an ``element``."""

    __slots__ = ()
    _face_of = ElementHold


class _PoolKind(Kind):
    __slots__ = ("_places", "renews")

    name = POOL

    def __init__(self, places: Places, rotates: bool) -> None:
        self._places = places
        self.renews = rotates

    def expected(self, capacity: int | None, policy: str | None) -> Definition:
        return Definition(capacity, policy, kind=POOL, places=self._places)

    def attempt_in(self, mode: ModeRule) -> Attempt:
        return self._attempt

    def _attempt(self, fd: int, request: Request, seat: int | None) -> Grant | None:
        terms = learn(fd, request)
        if not terms.definition.places and not terms.definition.defined:
            raise DefinitionMismatch(
                f'pool "{request.name}" has no elements yet; name them here, or set them with pylock.define or'
                ' "pylock set"',
                name=request.name,
            )
        while True:
            units = self._take(fd, request, terms)
            before = terms
            # Read after the locking, as in any grant: from now on whoever takes an element out sees that it is held.
            head, terms = read_terms(fd, request)
            if terms is before and units and _fits(fd, len(units), terms):
                break
            let_go(fd, LET_GO)
            if terms is before:
                return None
        names = {unit: name for name, unit in terms.definition.places}
        given = tuple(names[unit] for unit in units)
        moment = now()
        token = last_token(head, request, moment)
        record = request.record(moment, token, {"value": ",".join(given)})
        places = tuple(request.slot_offset(unit_slot(unit)) for unit in units)
        for place in places:
            put_record(fd, request, record, place)
        return Grant(token, places, tuple((unit, unit + 1) for unit in units), given)

    def _take(self, fd: int, request: Request, terms: Terms) -> list[int]:
        """Lock units of free elements, as many as the weight, or none."""
        weight, places = request.weight, terms.definition.places
        if weight == 1 and not self.renews:
            return _take_first(fd, weight, terms, places)
        if not take_gate(fd):  # which keeps two from each holding what the other lacks
            return []
        try:
            return self._take_in_turn(fd, request, terms) if self.renews else _take_first(fd, weight, terms, places)
        finally:
            leave_gate(fd)

    def _take_in_turn(self, fd: int, request: Request, terms: Terms) -> list[int]:
        """The same, beginning one element further at each grant, whichever element that gave."""
        places = terms.definition.places
        first = turn(fd, request) % max(len(places), 1)
        units = _take_first(fd, request.weight, terms, places[first:] + places[:first])
        if units:
            count_turn(fd, request)
        return units


def _take_first(fd: int, weight: int, terms: Terms, places: Places) -> list[int]:
    """Lock the first free units in the order of the places, as many as the weight, or none."""
    taken: list[int] = []
    for _, unit in places:
        if len(taken) < weight <= terms.limit and try_lock(fd, piece_lock(unit, unit + 1)):
            taken.append(unit)
    if len(taken) == weight:
        return taken
    let_go(fd, LET_GO)
    return []


def _fits(fd: int, weight: int, terms: Terms) -> bool:
    """Whether no more elements are out than the capacity allows, if one was set that is less than their number."""
    places = terms.definition.places
    if terms.limit == len(places):
        return True
    held = list(find_all(fd, UNITS, UNITS_END))
    return weight + sum(start <= UNITS + unit < stop for _, unit in places for start, stop, _ in held) <= terms.limit
