"""Waiters that wait for each other find it out: one gets Deadlock, which names them all, and the others go on."""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from command import PYLOCK, Running
from command import pylock as run_pylock
from contender import Contender, until, waiting

import pylock
from pylock._acquiring import together
from pylock._deadlock import cycles as deadlocks


@pytest.fixture(autouse=True)
def look_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlocks, "_FIRST_LOOK", 0.02)


def outcomes(*tasks: Callable[[], object]) -> list[object]:
    """What each gives that runs in a thread of its own: its result or its error."""

    def run(task: Callable[[], object]) -> object:
        try:
            return task()
        except pylock.LockError as error:
            return error

    with ThreadPoolExecutor(len(tasks)) as pool:
        return [future.result(30) for future in [pool.submit(run, task) for task in tasks]]


def nested(outer: pylock.Lock, inner: pylock.Lock, meet: threading.Barrier) -> Callable[[], object]:
    def take() -> str:
        with outer:
            meet.wait(10)
            with inner:
                return "got both"

    return take


@pytest.mark.parametrize("length", [2, 3, 5])
def test_of_a_cycle_of_threads_exactly_one_gives_up(length: int) -> None:
    meet = threading.Barrier(length)
    names = [f"lock{number}" for number in range(length)]
    tasks = [
        nested(pylock.lock(name), pylock.lock(names[(place + 1) % length]), meet) for place, name in enumerate(names)
    ]
    results = outcomes(*tasks)
    [error] = [result for result in results if isinstance(result, pylock.Deadlock)]
    assert results.count("got both") == length - 1
    assert len(error.cycle) == length
    wanted = re.findall(r'holds "(\w+)" and waits for "(\w+)"', str(error))
    assert sorted(wanted) == sorted(zip(names, [*names[1:], names[0]], strict=True)), "the whole cycle is told"
    assert [wants for _, wants in wanted] == [has for has, _ in [*wanted[1:], wanted[0]]], "as a ring"


def test_cycle_is_believed_only_when_it_is_seen_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look is no moment: it reads one file after the other, and in between somebody may have let go."""
    seen: list[tuple[object, ...]] = []
    real = deadlocks._cycle_of

    def note(me: deadlocks._Waiter, stuck: deadlocks._Stuck) -> list[deadlocks._Waiter]:
        found = real(me, stuck)
        seen.append((me.pid, me.seat, me.inode, *sorted(waiter.identity for waiter in found)))
        return found

    monkeypatch.setattr(deadlocks, "_cycle_of", note)
    meet = threading.Barrier(2)
    outcomes(nested(pylock.lock("a"), pylock.lock("b"), meet), nested(pylock.lock("b"), pylock.lock("a"), meet))
    assert max(seen.count(look) for look in seen if len(look) > 3) > 1


def test_number_of_a_sequence_is_held_like_a_lock() -> None:
    meet = threading.Barrier(2)
    results = outcomes(
        nested(pylock.sequence("s"), pylock.lock("a"), meet), nested(pylock.lock("a"), pylock.sequence("s"), meet)
    )
    assert sorted(type(result).__name__ for result in results) == ["Deadlock", "str"]


def test_waiter_without_a_record_hides_no_cycle(directory: Path, contenders: type[Contender]) -> None:
    """It has a seat already, and has not yet written who it is."""
    contenders().acquire("z")
    contenders().start_acquiring("z")
    waiting("z", 1)
    file = directory / "z.lock"
    with file.open("r+b") as opened:
        opened.write(re.sub(rb'\{"token": +null.*', lambda record: b" " * len(record[0]), file.read_bytes()))
    meet = threading.Barrier(2)
    with pylock.lock("y"):
        results = outcomes(
            nested(pylock.lock("a"), pylock.lock("b"), meet), nested(pylock.lock("b"), pylock.lock("a"), meet)
        )
    assert sorted(type(result).__name__ for result in results) == ["Deadlock", "str"]


def test_of_a_cycle_of_processes_exactly_one_gives_up(contenders: type[Contender]) -> None:
    one, other = contenders(), contenders()
    one.ask("enter", name="a")
    other.ask("enter", name="b")
    one.start_acquiring("b")
    other.tell("acquire", name="a")
    assert other.answer() == "Deadlock", "the one who came last gives up"
    other.ask("leave")
    assert isinstance(one.answer(), int)


def test_killed_member_of_a_cycle_frees_the_others(contenders: type[Contender]) -> None:
    one, other = contenders(), contenders()
    one.ask("enter", name="a")
    other.ask("enter", name="b")
    one.start_acquiring("b")
    other.tell("acquire", name="a")
    other.kill()
    assert isinstance(one.answer(), int)


def test_tasks_of_one_loop_are_told_apart() -> None:
    async def take(outer: str, inner: str, meet: asyncio.Barrier) -> str:
        try:
            async with pylock.lock(outer):
                await meet.wait()
                async with pylock.lock(inner):
                    return "got both"
        except pylock.Deadlock:
            return "deadlock"

    async def both() -> list[str]:
        meet = asyncio.Barrier(2)
        return await asyncio.gather(take("a", "b", meet), take("b", "a", meet))

    assert sorted(asyncio.run(both())) == ["deadlock", "got both"]


def test_hold_that_another_thread_may_release_is_no_part_of_a_cycle() -> None:
    first = pylock.lock("a").acquire()  # without a block
    with ThreadPoolExecutor() as pool:

        def wait_for_a() -> str:
            with pylock.lock("b"):
                pylock.lock("a").acquire().release()
                return "got it"

        waits = pool.submit(wait_for_a)
        waiting("a", 1)
        with pytest.raises(pylock.LockTimeout):  # no Deadlock: somebody might release "a" meanwhile
            pylock.lock("b").acquire(0.3)
        first.release()
        assert waits.result(10) == "got it"


def test_waiting_behind_a_busy_holder_is_no_deadlock() -> None:
    meet = threading.Barrier(3)
    go_on = threading.Event()

    def work() -> str:
        with pylock.lock("b"):
            meet.wait(10)
            go_on.wait(10)
            return "worked"

    def release_later() -> str:
        meet.wait(10)
        waiting("b", 1)
        deadline = threading.Timer(0.3, go_on.set)
        deadline.start()
        deadline.join()
        return "released"

    assert outcomes(nested(pylock.lock("a"), pylock.lock("b"), meet), work, release_later) == [
        "got both", "worked", "released",
    ]  # fmt: skip


def test_units_that_are_short_because_of_each_other() -> None:
    meet = threading.Barrier(2)

    def counted(name: str) -> pylock.Lock:
        return pylock.lock(name, "shared", capacity=2)

    results = outcomes(
        nested(counted("a"), pylock.lock("b"), meet),
        nested(pylock.lock("b"), pylock.lock("a", "shared", capacity=2, weight=2), meet),
    )
    assert sorted(type(result).__name__ for result in results) == ["Deadlock", "str"]


def test_a_free_unit_breaks_the_cycle() -> None:
    meet = threading.Barrier(2)

    def counted() -> pylock.Lock:
        return pylock.lock("a", "shared", capacity=3)

    assert outcomes(
        nested(counted(), pylock.lock("b"), meet), nested(pylock.lock("b"), counted(), meet)
    ) == ["got both", "got both"]  # fmt: skip


def test_fair_queue_takes_part_in_a_cycle() -> None:
    """One waits behind an exclusive waiter, that waits for a holder, that waits for the first."""
    shared = pylock.lock("a", "shared", policy="fair")
    holding, queued = threading.Event(), threading.Event()

    def holder() -> str:
        with shared:
            holding.set()
            queued.wait(10)
            with pylock.lock("b"):
                return "got both"

    def writer() -> str:
        holding.wait(10)
        with pylock.lock("a", policy="fair"):
            return "wrote"

    def late_reader() -> str:
        with pylock.lock("b"):
            waiting("a", 1)
            queued.set()
            with shared:
                return "got both"

    results = outcomes(holder, writer, late_reader)
    assert [type(result).__name__ for result in results].count("Deadlock") == 1


def test_several_locks_that_are_being_collected_and_a_single_one_in_a_cycle(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its rounds it holds the first while it waits for the second."""
    monkeypatch.setattr(together, "ROUNDS", 0)
    held = threading.Event()

    def both() -> str:
        held.wait(10)
        with pylock.all_of(pylock.lock("a"), pylock.lock("b")):
            return "got both"

    def other_way() -> str:
        with pylock.lock("b"):
            held.set()
            until(lambda: pylock.inspect("b").waiters and pylock.inspect("a").holders)
            with pylock.lock("a"):
                return "got both"

    results = outcomes(both, other_way)
    assert sorted(type(result).__name__ for result in results) == ["Deadlock", "str"]


def test_who_waits_for_several_locks_is_in_nobodys_way() -> None:
    """Where it held the first while it waited for the second this was a deadlock."""
    held = threading.Event()

    def both() -> str:
        held.wait(10)
        with pylock.all_of(pylock.lock("a"), pylock.lock("b")):
            return "got both"

    def other_way() -> str:
        with pylock.lock("b"):
            held.set()
            waiting("b", 1)
            with pylock.lock("a"):
                return "got both"

    results = outcomes(both, other_way)
    assert results == ["got both", "got both"]


def test_conversion_takes_part_in_a_cycle() -> None:
    meet = threading.Barrier(2)

    def upgrade() -> str:
        with pylock.lock("b"), pylock.lock("a", "shared") as hold:
            meet.wait(10)
            hold.convert("exclusive")
            return "converted"

    results = outcomes(upgrade, nested(pylock.lock("a", "shared"), pylock.lock("b"), meet))
    assert sorted(type(result).__name__ for result in results) == ["Deadlock", "str"]


def test_paths_in_a_cycle_with_a_plain_lock() -> None:
    meet = threading.Barrier(2)

    def upward() -> str:
        with pylock.path_lock("/x/y"):
            meet.wait(10)
            with pylock.lock("b"):
                return "got both"

    def downward() -> str:
        with pylock.lock("b"):
            meet.wait(10)
            with pylock.path_lock("/x"):
                return "got both"

    results = outcomes(upward, downward)
    assert sorted(type(result).__name__ for result in results) == ["Deadlock", "str"]


@pytest.mark.parametrize("places", [("", ""), ("one", "other")], ids=["one directory", "two directories"])
def test_nested_commands_in_a_cycle_end_with_125(places: tuple[str, str], tmp_path: Path, directory: Path) -> None:
    where = {name: directory / place for name, place in zip("ab", places, strict=True)}
    for place in where.values():
        place.mkdir(exist_ok=True)

    def start(outer: str, inner: str) -> Running:
        """Run under one lock a command under the other, once both outer ones are held."""
        script = (
            f"touch {outer}; until test -e {inner}; do sleep 0.01; done;"
            f" exec {shlex.join(PYLOCK)} run -d {where[inner]} {inner} -- true"
        )
        return Running("run", "-d", str(where[outer]), outer, "--", "sh", "-c", script, cwd=tmp_path)

    ends = [running.end() for running in (start("a", "b"), start("b", "a"))]
    assert sorted(status for status, _, _ in ends) == [0, 125]
    failed = next(errors for status, _, errors in ends if status)
    assert 'holds "a" and waits for "b"' in failed
    assert 'holds "b" and waits for "a"' in failed


@pytest.mark.parametrize("around", [[], ["run", "b", "--"]], ids=" ".join)
def test_python_below_a_command_that_holds_the_lock_is_told(around: list[str]) -> None:
    program = "import pylock\nwith pylock.lock('a'): pass"
    outer = [*around, *PYLOCK] if around else []
    done = run_pylock(*outer, "run", "a", "--", sys.executable, "-c", program)
    assert done.returncode == 1
    assert "Deadlock" in done.stderr


def test_cycle_is_found_by_who_holds_many_locks() -> None:
    meet = threading.Barrier(2)

    def many() -> str:
        with pylock.lock("a"):
            return and_others(20)

    def and_others(count: int) -> str:
        if count:
            with pylock.lock(f"other{count}", "shared", reason="r" * 100):
                return and_others(count - 1)
        meet.wait(10)
        with pylock.lock("b"):
            return "got both"

    results = outcomes(many, nested(pylock.lock("b"), pylock.lock("a"), meet))
    assert sorted(type(result).__name__ for result in results) == ["Deadlock", "str"]
