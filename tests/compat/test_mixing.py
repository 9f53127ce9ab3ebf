"""Programs on filelock, portalocker, their adapters and the command flock exclude each other at one path."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from .parties import CARELESS, EXCLUSIVE, READERS, SEMAPHORES, SHARED, WRITERS, Party, parties, rush

AT_THE_FILE = [*EXCLUSIVE.values(), *SHARED.values()]
AT_THE_DATABASE = [*READERS.values(), *WRITERS.values()]


def go_together(one: str, other: str) -> bool:
    readers = {*SHARED.values(), *READERS.values()}
    return one in readers and other in readers


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Party]]]:
    """Two parties of each kind, all at one path, or all at one database."""
    kinds = [kind for kind in AT_THE_FILE + AT_THE_DATABASE for _ in range(2)]
    at_file, at_database = tmp_path_factory.mktemp("file"), tmp_path_factory.mktemp("database")
    files = [kind for kind in kinds if kind in AT_THE_FILE]
    bases = [kind for kind in kinds if kind in AT_THE_DATABASE]
    with parties(at_file, files) as some, parties(at_database, bases) as others:
        found: dict[str, list[Party]] = {}
        for party in some + others:
            found.setdefault(party.kind, []).append(party)
        yield found


@pytest.mark.parametrize(("holder", "comer"), [*product(AT_THE_FILE, repeat=2), *product(AT_THE_DATABASE, repeat=2)])
def test_who_comes_second_is_let_in_when_the_first_goes(
    gathered: dict[str, list[Party]], holder: str, comer: str
) -> None:
    first, second = gathered[holder][0], gathered[comer][1]
    assert first.ask("take", 10)
    allowed = go_together(holder, comer)
    assert second.ask("take", 0) == allowed
    if not allowed:
        second.tell("take", 10)
        first.ask("release")
        assert second.answer()
    second.ask("release")
    if allowed:
        first.ask("release")


@pytest.mark.parametrize("kinds", [*product(SEMAPHORES.values(), repeat=3)])
def test_semaphore_has_as_many_places_whoever_takes_them(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    with parties(tmp_path, list(kinds)) as (one, other, last):
        assert one.ask("take", 10)
        assert other.ask("take", 10)
        assert not last.ask("take", 0)
        last.tell("take", 10)
        one.ask("release")
        assert last.answer()


@pytest.mark.parametrize(
    "kinds",
    [
        AT_THE_FILE,
        AT_THE_DATABASE,
        [*SEMAPHORES.values()] * 2,
    ],
    ids=["file", "database", "semaphore"],
)
def test_nobody_meets_another_inside_who_should_not_be_there(tmp_path: Path, kinds: list[str]) -> None:
    inside, overlaps = rush(tmp_path, kinds, seconds=0.8)
    assert overlaps == 0
    assert sum(inside) > 50


def test_who_takes_no_lock_is_noticed(tmp_path: Path) -> None:
    _, overlaps = rush(tmp_path, [EXCLUSIVE["filelock adapter"], CARELESS], seconds=0.5)
    assert overlaps > 0
