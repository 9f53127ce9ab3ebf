"""The elements of a pool and their units: an element keeps its unit as long as anybody might hold it."""

from __future__ import annotations

from itertools import count

from .attempt import piece_lock
from .byterange import try_lock
from .layout import ELEMENTS_SIZE, Definition, Places, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_BYTES = ELEMENTS_SIZE - 512  # leaves room for the other fields of the header


def check_elements(elements: Iterable[str]) -> tuple[str, ...]:
    """Return the elements. Raises TypeError and ValueError for what no pool can have."""
    if isinstance(elements, str):
        raise TypeError(f"elements must be several texts, not one: [{elements!r}]")
    names = tuple(elements)
    for name in names:
        if not isinstance(name, str) or not name:
            raise ValueError(f"an element must be a text that is not empty, not {name!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"the elements of a pool must differ: {', '.join(names)}")
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
