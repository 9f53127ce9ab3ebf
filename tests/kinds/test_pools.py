"""Pools: each holder has elements of its own, the first free ones, also while the elements are changed."""

from __future__ import annotations

import copy
import itertools
import os
import pickle
import shutil
import signal
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis.strategies as st
import pytest
from command import Running, pylock
from contender import waiting
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import pylock as library
from pylock._acquiring import waiting as waiting_room
from pylock._acquiring.claim import Claim
from pylock._acquiring.place import Place
from pylock._file import descriptors
from pylock._kinds import pools

COLOURS = ["red", "green", "blue"]


def take(*elements: str, weight: int = 1) -> library.ElementHold:
    """Take from the pool "p", which has these elements, or those that it was given before."""
    return library.pool("p", elements or None, weight=weight).acquire_nowait()


def values() -> list[str | None]:
    return [holder.value for holder in library.inspect("p").holders]


# Which element


def test_elements_are_given_out_in_the_order_in_which_they_were_named() -> None:
    holds = [take(*COLOURS) for _ in range(3)]
    assert [hold.element for hold in holds] == COLOURS
    with pytest.raises(library.WouldBlock, match="3 of 3 units are held, 1 asked for"):
        take()
    for hold in holds:
        hold.release()


def test_rotating_pool_begins_each_search_one_element_further() -> None:
    pool = library.pool("p", ["a", "b", "c"], rotate=True, idle_lifespan=60)
    assert [hold.element for hold in map(hold_for_a_moment, [pool] * 4)] == ["a", "b", "c", "a"]
    with library.pool("p", rotate=True) as second:
        assert second.element == "b"
        assert [hold.element for hold in map(hold_for_a_moment, [pool] * 4)] == ["c", "a", "c", "c"]


def test_search_in_vain_does_not_turn_a_pool() -> None:
    elements = [*"abcde"]
    pool = library.pool("p", elements, rotate=True, idle_lifespan=60)
    assert hold_for_a_moment(pool).element == "a"
    with library.pool("p", elements, weight=5), pytest.raises(library.WouldBlock):
        pool.acquire_nowait()
    assert hold_for_a_moment(pool).element == "b"


def test_rotating_pool_begins_again_once_nobody_used_it() -> None:
    pool = library.pool("p", ["a", "b", "c"], rotate=True)
    assert [hold.element for hold in map(hold_for_a_moment, [pool] * 2)] == ["a", "a"]
    with pool as first, pool as second:
        assert (first.element, second.element) == ("a", "b")


def hold_for_a_moment(pool: library.Pool) -> library.ElementHold:
    with pool as hold:
        return hold


def test_idle_pool_gives_its_first_element_again_and_again() -> None:
    for _ in range(3):
        with library.pool("p", COLOURS) as hold:
            assert hold.element == "red"


def test_first_free_element_is_given() -> None:
    red, green, blue = (take(*COLOURS) for _ in range(3))
    green.release()
    red.release()
    red, green = take(), take()
    assert [red.element, green.element] == ["red", "green"]
    for hold in (red, green, blue):
        hold.release()


def test_waiter_gets_the_element_that_was_let_go(executor: ThreadPoolExecutor) -> None:
    holds = {element: take(*COLOURS) for element in COLOURS}
    waiter = executor.submit(library.pool("p").acquire)
    waiting("p", 1)
    holds.pop("green").release()
    holds["green"] = waiter.result(10)
    assert holds["green"].element == "green"
    for hold in holds.values():
        hold.release()


def test_weight_is_the_number_of_elements() -> None:
    with library.pool("p", COLOURS, weight=2) as hold:
        assert (hold.elements, hold.element, hold.weight) == (("red", "green"), "red", 2)
        with library.pool("p") as rest:
            assert rest.elements == ("blue",)
            assert values() == ["red,green", "blue"]
            assert library.inspect("p").used == 3


def test_several_elements_are_gathered_from_where_they_are_free() -> None:
    red, green, blue, white = (take(*COLOURS, "white") for _ in range(4))
    blue.release()
    red.release()
    with library.pool("p", weight=2) as hold:
        assert hold.elements == ("red", "blue")
        assert sorted(filter(None, values())) == ["green", "red,blue", "white"]
    white.release()
    green.release()


def test_too_few_free_elements_are_none() -> None:
    red = take(*COLOURS)
    green = take()
    with pytest.raises(library.WouldBlock, match="2 of 3 units are held, 2 asked for"):
        take(weight=2)
    with library.pool("p") as hold:
        assert hold.element == "blue", "nothing of what the refused one tried is left locked"
    red.release()
    green.release()


def test_elements_may_have_any_text_for_a_name() -> None:
    odd = ["0", "a b", 'quo"te', "back\\slash", "new\nline", "naïve ☃ 🖨", "\x00", "comma,", "\udc80", "e" * 500]
    holds = [take(*odd) for _ in odd]
    assert [hold.element for hold in holds] == odd
    for hold in holds:
        hold.release()


def test_pool_of_many_elements_is_given_out_to_the_last() -> None:
    many = [f"host{number}" for number in range(1000)]
    with library.pool("p", many, weight=999) as hold:
        assert hold.elements == tuple(many[:999])
        with library.pool("p") as last:
            assert last.element == "host999"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"elements": ["a", "a"]}, "the elements of a pool must differ: a, a"),
        ({"elements": [""]}, "an element must be a text that is not empty, not ''"),
        ({"elements": [5]}, "an element must be a text that is not empty, not 5"),
        ({"elements": ["a" * 20_000]}, "too many or too long"),
        ({"elements": [f"element{number}" for number in range(5000)]}, "too many or too long"),
        ({"elements": ["a"], "weight": 2}, 'of pool "p" can never be had: it has 1'),
        ({"elements": ["a"], "weight": 0}, "weight must be a whole number from 1"),
        ({"elements": ["a"], "weight": "1"}, "weight must be a whole number from 1"),
        ({"elements": ["a"], "policy": "lifo"}, "policy must be one of"),
        ({"elements": ["a"], "priority": 64}, "priority must be"),
    ],
)
def test_bad_argument_is_named_before_anything_is_made(arguments: dict[str, Any], message: str, directory: Any) -> None:
    with pytest.raises(ValueError, match=message):
        library.pool("p", **arguments)
    assert list(directory.iterdir()) == []


def test_one_text_is_not_taken_for_its_letters() -> None:
    with pytest.raises(TypeError, match=r"elements must be several texts, as a list: \['red'\]"):
        library.pool("p", "red")


# Who says which elements there are


def test_first_user_says_which_elements_there_are_and_others_need_not() -> None:
    take(*COLOURS).release()
    with library.pool("p") as hold:
        assert hold.element == "red"
    assert library.inspect("p").definition.elements == tuple(COLOURS)


@pytest.mark.parametrize("others", [["red", "green"], ["red", "green", "white"], ["green", "red", "blue"]])
def test_other_elements_are_a_mismatch_for_who_comes_later(others: list[str]) -> None:
    with library.pool("p", COLOURS):
        with pytest.raises(library.DefinitionMismatch, match=r'pool "p" has elements .* not .* as asked here'):
            take(*others)
        assert library.inspect("p").definition.elements == tuple(COLOURS)


def test_definition_by_hand_wins_over_the_elements_asked_for() -> None:
    library.define("p", elements=["white"])
    with library.pool("p", COLOURS) as hold:
        assert hold.element == "white"


def test_pool_without_elements_is_a_mismatch() -> None:
    for acquire in (library.pool("p").acquire_nowait, library.pool("p").acquire):
        with pytest.raises(library.DefinitionMismatch, match="has no elements yet; name them here, or set them with"):
            acquire()
    take(*COLOURS).release()


def test_more_than_there_are_is_a_mismatch_at_once() -> None:
    take(*COLOURS).release()
    for acquire in (library.pool("p", weight=4).acquire_nowait, library.pool("p", weight=4).acquire):
        with pytest.raises(library.DefinitionMismatch, match=r"4 units .* can never be had: its capacity is 3"):
            acquire()


def test_definition_goes_from_process_to_process() -> None:
    red = take(*COLOURS)
    definition = library.define("p", elements=["green", "white"])
    red.release()
    again = pickle.loads(pickle.dumps(definition))
    assert (again, again.elements, again.kind, again.capacity) == (definition, ("green", "white"), "pool", 2)


# Changing them


def test_added_element_is_given_to_who_waits(executor: ThreadPoolExecutor) -> None:
    holds = [take(*COLOURS) for _ in COLOURS]
    waiters = [executor.submit(library.pool("p").acquire) for _ in range(2)]
    waiting("p", 2)
    library.define("p", elements=[*COLOURS, "white", "black"])
    holds += [waiter.result(10) for waiter in waiters]
    assert sorted(hold.element for hold in holds[3:]) == ["black", "white"]
    for hold in holds:
        hold.release()


def test_added_element_comes_in_its_place() -> None:
    take(*COLOURS).release()
    library.define("p", elements=["white", "red", "black", "green", "blue"])
    holds = [take() for _ in range(5)]
    assert [hold.element for hold in holds] == ["white", "red", "black", "green", "blue"]
    for hold in holds:
        hold.release()


def test_removed_element_stays_with_its_holder_and_is_not_given_again() -> None:
    red = take(*COLOURS)
    library.define("p", elements=["green", "blue"])
    red.check()
    with library.pool("p", weight=2) as rest:
        assert rest.elements == ("green", "blue")
        red.release()
        with pytest.raises(library.WouldBlock):
            take()


def test_removed_element_that_comes_back_is_not_given_twice() -> None:
    red = take(*COLOURS)
    library.define("p", elements=["green"])
    library.define("p", elements=["white", "red"])
    with library.pool("p") as white:
        assert white.element == "white"
        with pytest.raises(library.WouldBlock):
            take()
        red.release()
        with library.pool("p") as again:
            assert again.element == "red"


def test_new_element_does_not_take_the_place_of_one_that_is_still_held() -> None:
    red = take(*COLOURS)
    library.define("p", elements=["white"])
    with library.pool("p") as white:
        assert white.element == "white"
    red.release()


def test_element_that_is_removed_between_its_locking_and_the_look_at_the_header_is_not_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take(*COLOURS).release()

    real = pools.read_terms

    def remove_red(*arguments: Any) -> Any:
        monkeypatch.setattr(pools, "read_terms", real)
        library.define("p", elements=["white", "green"])
        return real(*arguments)

    monkeypatch.setattr(pools, "read_terms", remove_red)
    with library.pool("p") as hold:
        assert hold.element == "white"
        library.define("p", elements=["red", "white"])
        with library.pool("p") as red:
            assert red.element == "red"


def test_elements_change_places_while_they_are_held() -> None:
    red, green = take(*COLOURS), take()
    library.define("p", elements=["green", "blue", "red"])
    with library.pool("p") as hold:
        assert hold.element == "blue"
    red.release()
    green.release()
    assert library.define("p").elements == ("green", "blue", "red")


def test_pool_without_any_element_left_gives_nothing_until_it_has_some(executor: ThreadPoolExecutor) -> None:
    take(*COLOURS).release()
    library.define("p", elements=[])
    with pytest.raises(library.WouldBlock, match="closed"):
        take()
    waiter = executor.submit(library.pool("p").acquire)
    waiting("p", 1)
    library.define("p", elements=["white"])
    with waiter.result(10) as hold:
        assert hold.element == "white"


def test_capacity_is_how_many_may_be_out_together() -> None:
    take(*COLOURS).release()
    library.define("p", capacity=2)
    with library.pool("p"), library.pool("p") as second:
        assert second.element == "green"
        with pytest.raises(library.WouldBlock, match="2 of 2 units are held"):
            take()
    library.define("p", capacity=library.UNLIMITED)
    assert library.inspect("p").definition.capacity == 3


def test_lowered_capacity_touches_no_holder_and_admits_none_until_the_count_allows() -> None:
    holds = [take(*COLOURS) for _ in COLOURS]
    library.define("p", capacity=1)
    for hold in holds:
        with pytest.raises(library.WouldBlock):
            take()
        hold.check()
        hold.release()
    take().release()


def test_elements_that_are_too_many_with_those_that_are_left_are_refused() -> None:
    """Of an element that is taken out while it is held the header keeps the place."""
    old, new = "a" * 9_500, "b" * 9_500
    with take(old):
        with pytest.raises(ValueError, match="too many or too long"):
            library.define("p", elements=[new])
        assert library.inspect("p").definition.elements == (old,)
    library.define("p", elements=[new])
    take().release()


def test_who_finds_no_more_elements_allowed_keeps_none() -> None:
    hold = take(*COLOURS)
    library.define("p", capacity=1)
    claim = library.pool("p").new_claim()
    assert not claim.take()
    assert len(library.inspect("p").holders) == 1
    claim.close()
    hold.release()


def test_definition_of_another_kind_is_a_mismatch() -> None:
    with library.lock("x"), pytest.raises(library.DefinitionMismatch, match="is a lock, which cannot become a pool"):
        library.define("x", elements=COLOURS)
    with library.pool("p", COLOURS), pytest.raises(library.DefinitionMismatch, match="cannot become a sequence"):
        library.define("p", kind="sequence")


# Processes


def test_processes_have_different_elements_and_a_killed_one_gives_its_back() -> None:
    words = ["run", "--any-of=red,green", "p", "--", "sh", "-c", 'echo "$PYLOCK_ELEMENT"; while :; do sleep 60; done']
    first = Running(*words)
    second = None
    try:
        assert first.line() == "red"
        second = Running(*words)
        assert second.line() == "green"
        assert pylock("run", "-n", "--any-of=red,green", "p", "--", "true").returncode == 75
        first.signal_group(signal.SIGKILL)
        first.end()
        with library.pool("p", timeout=10) as hold:
            assert hold.element == "red"
    finally:
        first.close()
        if second is not None:
            second.close()


def use(marks: Path) -> None:
    """Take elements, and mark each as in use, which fails if it is in use already."""
    for turn in range(30):
        with library.pool("p", weight=1 + turn % 2) as hold:
            for element in hold.elements:
                os.close(os.open(marks / element, os.O_CREAT | os.O_EXCL))
            for element in hold.elements:
                os.unlink(marks / element)


def test_nobody_shares_an_element_while_the_elements_change(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    library.define("p", elements=["a", "b", "c"])
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            use(marks)
            status = 0
        finally:
            os._exit(status)
    users = [executor.submit(use, marks) for _ in range(3)]
    for elements in itertools.cycle(["abc", "bcd", "ca", "dbea"]):
        library.define("p", elements=list(elements))
        if all(user.done() for user in users):
            break
    for user in users:
        user.result()
    library.define("p", elements=["a", "b", "c"])
    assert os.waitpid(pid, 0)[1] == 0


# The model

ELEMENTS = ["a", "b", "c", "d", "e"]


@dataclass(eq=False)
class Contender:
    """One request, in the pool and in the model."""

    claim: Claim
    weight: int
    arrival: int
    steps: Any = None

    def __repr__(self) -> str:
        return f"<{self.arrival}: weight {self.weight}>"


class PoolMachine(RuleBasedStateMachine):
    """Contenders with descriptors of their own against a list of elements and a set of holders.

    Nobody sleeps: the wait of each is driven by hand, and `settle` goes round until nobody moves any more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.mkdtemp(prefix="pylock-model-")
        self.elements: list[str] = []
        self.capacity = library.UNLIMITED
        self.given: dict[Contender, tuple[str, ...]] = {}
        self.waiters: list[Contender] = []
        self.arrivals = itertools.count()
        self.patch = mock.patch.object(waiting_room, "PATIENCE", 0.0)
        self.patch.start()

    @initialize(elements=st.lists(st.sampled_from(ELEMENTS), min_size=1, unique=True), by_hand=st.booleans())
    def begin(self, elements: list[str], by_hand: bool) -> None:
        self.elements = elements
        if by_hand:
            self.define()
        else:
            library.pool("p", elements, directory=self.directory).acquire_nowait().release()

    # The rules of the model

    def free(self) -> list[str]:
        held = set(itertools.chain(*self.given.values()))
        return [element for element in self.elements if element not in held]

    def fits(self, weight: int) -> bool:
        free = len(self.free())
        out = len(self.elements) - free
        return weight <= free and out + weight <= self.capacity

    def attainable(self, weight: int) -> bool:
        limit = min(self.capacity, len(self.elements))
        return not 0 < limit < weight

    # What happens

    @rule(weights=st.lists(st.integers(1, 3), min_size=1, max_size=3))
    def arrive(self, weights: list[int]) -> None:
        for weight in weights:
            claim = library.pool("p", weight=weight, directory=self.directory).new_claim()
            contender = Contender(claim, weight, next(self.arrivals))
            if claim.take():
                self.granted(contender)
                continue
            assert not self.fits(weight) or self.waiters, "refused although there is enough and nobody waits"
            contender.steps = waiting_room.wait(claim.fd, claim.request, None)
            self.waiters.append(contender)
            self.step(contender, None)
            self.settle()

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        contender = data.draw(st.sampled_from(list(self.given)))
        contender.claim.release()
        del self.given[contender]
        self.settle()

    @precondition(lambda self: self.given or self.waiters)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """Close without release, as the kernel does for a killed process."""
        contender = data.draw(st.sampled_from([*self.given, *self.waiters]))
        descriptors.close(contender.claim.fd)
        contender.claim.fd = -1
        if contender in self.waiters:
            self.waiters.remove(contender)
            with mock.patch.object(Place, "_leave_queue"):
                contender.steps.close()
        else:
            del self.given[contender]
        self.settle()

    @precondition(lambda self: self.waiters)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        contender = data.draw(st.sampled_from(self.waiters))
        self.waiters.remove(contender)
        contender.steps.close()
        contender.claim.close()
        self.settle()

    @rule(elements=st.lists(st.sampled_from(ELEMENTS), unique=True))
    def change_elements(self, elements: list[str]) -> None:
        self.elements = elements
        self.define()

    @rule(capacity=st.sampled_from([0, 1, 2, 4, library.UNLIMITED]))
    def change_capacity(self, capacity: int) -> None:
        self.capacity = capacity
        self.define()

    def define(self) -> None:
        library.define("p", elements=self.elements, capacity=self.capacity, directory=self.directory)
        self.settle()

    def step(self, contender: Contender, rung: bool | None) -> bool:
        """Let the waiter look once; tell whether it left the queue."""
        try:
            _ = next(contender.steps) if rung is None else contender.steps.send(rung)
            return False
        except StopIteration as stop:
            contender.claim.grant = stop.value
            self.waiters.remove(contender)
            self.granted(contender)
        except library.DefinitionMismatch:
            assert not self.attainable(contender.weight)
            self.waiters.remove(contender)
            contender.claim.close()
        return True

    def granted(self, contender: Contender) -> None:
        fits, first = self.fits(contender.weight), self.free()[: contender.weight]
        self.given[contender] = contender.claim.grant.value
        assert fits, "granted although there is not enough"
        assert list(contender.claim.grant.value) == first, "not the first free ones"

    def settle(self) -> None:
        """Ring everybody, in an order that favours nobody, until nobody is granted any more."""
        while any(self.step(contender, True) for contender in reversed(self.waiters)):
            pass

    # What holds at all times

    @invariant()
    def first_in_turn_is_not_kept_waiting(self) -> None:
        if self.waiters:
            first = min(self.waiters, key=lambda waiter: waiter.arrival)
            assert not self.fits(first.weight), f"{first} could be granted beside {self.given}"
        assert all(self.attainable(waiter.weight) for waiter in self.waiters)

    @invariant()
    def status_agrees_with_the_model(self) -> None:
        seen = library.inspect("p", self.directory)
        assert sorted(holder.value or "" for holder in seen.holders) == sorted(map(",".join, self.given.values()))
        assert [waiter.weight for waiter in seen.waiters] == [waiter.weight for waiter in self.waiters]
        assert seen.definition.elements == tuple(self.elements)

    def teardown(self) -> None:
        for contender in self.waiters:
            contender.steps.close()
            contender.claim.close()
        for contender in self.given:
            contender.claim.release()
        self.patch.stop()
        shutil.rmtree(self.directory)


TestModel = PoolMachine.TestCase
TestModel.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


def test_rotation_begins_anew_with_the_pool_also_for_a_copy_of_what_asks_for_it() -> None:
    pool = library.pool("p", ["x", "y", "z"], rotate=True)
    given = []
    for each in (pool, pickle.loads(pickle.dumps(pool)), copy.deepcopy(pool), pool):
        with each as hold:
            given.append(hold.element)
    assert given == ["x", "x", "x", "x"], "as the pool exists no longer than somebody uses it"
