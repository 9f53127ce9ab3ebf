"""Who waits, and for what: the rules of the queue that only a rare moment shows."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from contender import Contender, until, waiting
from kernel import (
    GATE,
    PENDING,
    SEATS,
    UNITS,
    failing_once,
    is_locked,
    lock_bytes,
    read_flock,
    replaced,
    strange_program,
    within,
)

import pylock
from pylock._acquiring import together as together_room
from pylock._acquiring import waiting as waiting_room
from pylock._acquiring.outlook import Outlook
from pylock._acquiring.waiting import wait
from pylock._file import byterange
from pylock._file.descriptors import drop
from pylock._file.lockfile import open_file
from pylock._modes import SHARED
from pylock._queue import bells
from pylock._queue.tickets import Ticket, is_yielding, seat_to_ring

LANE = {"exclusive": 0, "protected_write": 0, "shared": 1, "concurrent_read": 1}


def granted(contender: Contender) -> None:
    assert isinstance(contender.answer(), int)


def insisting(contender: Contender, mode: str, directory: Path) -> None:
    """Let it begin to wait for "x"; return once it has lost its patience with newcomers."""
    contender.start_acquiring("x", mode)
    until(lambda: is_locked(directory / "x.lock", PENDING + LANE[mode]))


def ring_all(lock_file: Path) -> None:
    """Ring for everybody who waits for the lock."""
    for path in lock_file.parent.glob(f"{lock_file.name}.*"):
        bells.ring(str(lock_file), int(path.suffix[1:]))


# Locks of others


@pytest.mark.parametrize("start", [GATE, UNITS, SEATS, PENDING])
def test_lock_that_a_strange_program_has_up_to_the_end_of_the_file_is_understood(start: int, directory: Path) -> None:
    with pylock.lock("x"):
        pass
    with strange_program(directory / "x.lock") as fd, within(5):
        lock_bytes(fd, start, 0)
        pylock.inspect("x")
        assert [lock.name for lock in pylock.status()] == ["x"]
        with pytest.raises(pylock.WouldBlock):
            pylock.lock("x").acquire_nowait()


# Units


def test_who_gathers_units_and_loses_one_to_another_keeps_none(directory: Path, executor: ThreadPoolExecutor) -> None:
    pylock.define("x", capacity=3)
    real = fcntl.fcntl
    with strange_program(directory / "x.lock") as other:
        lock_bytes(other, UNITS + 1, 1)
        gathers = False

        def too_late(fd: int, command: int, argument: Any = 0) -> Any:
            nonlocal gathers
            wanted = read_flock(argument) if command == fcntl.F_OFD_SETLK else None
            gathers = gathers or wanted == (fcntl.F_WRLCK, GATE, 1)
            if gathers and wanted == (fcntl.F_WRLCK, UNITS + 2, 1):
                lock_bytes(other, UNITS + 2, 1)
            return real(fd, command, argument)

        with replaced(fcntl, "fcntl", too_late):
            waiter = executor.submit(pylock.lock("x", "shared", weight=2).acquire, 5)
            until(lambda: is_locked(directory / "x.lock", PENDING + 1))
        assert gathers
        assert not is_locked(directory / "x.lock", UNITS), "it sits on one unit while it waits for the other"
    waiter.result(10).release()


def test_who_cannot_have_the_gate_gathers_no_units(directory: Path) -> None:
    """Two that gather at once could each hold what the other lacks."""
    pylock.define("x", capacity=3)
    with strange_program(directory / "x.lock") as other, replaced(time, "sleep", lambda seconds: None):
        lock_bytes(other, UNITS + 1, 1)
        lock_bytes(other, GATE, 1)
        with pytest.raises(pylock.WouldBlock):
            pylock.lock("x", "shared", weight=2).acquire_nowait()


def test_who_gathers_units_leaves_the_gate_to_others(directory: Path) -> None:
    pylock.define("x", capacity=3)
    with strange_program(directory / "x.lock") as other:
        lock_bytes(other, UNITS + 1, 1)
        with pylock.lock("x", "shared", weight=2):
            assert is_locked(directory / "x.lock", UNITS + 2)
            assert not is_locked(directory / "x.lock", GATE)


# Turns


def places(name: str, lanes: str) -> tuple[list[Ticket], int]:
    """Tickets of as many waiters, one after the other, E in the exclusive lane; and a descriptor of one more holder."""
    request = pylock.lock(name).request
    fds = [open_file(request.path, request.directory) for _ in range(len(lanes) + 1)]
    tickets = [Ticket(fd, "ES".index(lane), 0, seat) for seat, (lane, fd) in enumerate(zip(lanes, fds, strict=False))]
    return tickets, fds[-1]


@pytest.mark.parametrize(
    ("lanes", "fair", "is_held", "turns"),
    [
        ("SES", False, False, "yes no no"),
        ("SES", True, False, "yes no no"),
        ("ESS", False, False, "yes no no"),
        ("ESS", True, False, "yes no no"),
        ("ESS", False, True, "yes yes no"),
        ("ESS", True, True, "yes no no"),
        ("SEE", False, True, "yes no no"),
        ("EES", False, True, "yes no yes"),
    ],
)  # fmt: skip
def test_turns_are_by_arrival_and_policy(lanes: str, fair: bool, is_held: bool, turns: str) -> None:
    tickets, holder = places("x", lanes)
    if is_held:
        lock_bytes(holder, UNITS, 1)
    assert ["yes" if ticket.is_first(fair) else "no" for ticket in tickets] == turns.split()
    for fd in (*(ticket.fd for ticket in tickets), holder):
        drop(fd)


def test_who_comes_later_stands_behind_also_while_the_clock_stands() -> None:
    """More than a thousand may come in a second."""
    with replaced(time, "time_ns", lambda: 1_795_339_567_515_396_000):
        tickets, last = places("x", "ESSEESESEESSSESE")
    arrivals = [ticket.number >> 14 for ticket in tickets]
    assert arrivals == sorted(set(arrivals))
    for fd in (*(ticket.fd for ticket in tickets), last):
        drop(fd)


@pytest.mark.parametrize("order", ["as they came", "last first"])
def test_each_hears_who_stands_directly_before_it_in_either_lane(order: str) -> None:
    lanes = "ESSEESESEESSSESE"
    tickets, last = places("x", lanes)
    if order == "last first":  # the kernel tells the locks of others in the order in which they came
        for ticket in tickets:
            ticket.step_out()
        for ticket in reversed(tickets):
            ticket.step_in()
    for seat, ticket in enumerate(tickets):
        in_front = (lanes.rfind(lane, 0, seat) for lane in (lanes[seat], "ES".replace(lanes[seat], "")))
        assert ticket.predecessors() == [before for before in in_front if before >= 0]
    for fd in (*(ticket.fd for ticket in tickets), last):
        drop(fd)


def test_who_stands_before_is_found_in_a_few_looks_for_each_asks_the_kernel_about_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tickets, last = places("x", "E" * 32)
    looks: list[bytes] = []
    real = byterange.fcntl
    monkeypatch.setattr(byterange, "fcntl", lambda fd, *what: (looks.append(what[1]), real(fd, *what))[1])
    assert tickets[-1].predecessors() == [30]
    assert len(looks) < 10, "an empty lane is one look, however wide it is"
    for fd in (*(ticket.fd for ticket in tickets), last):
        drop(fd)


def test_who_steps_out_of_the_queue_and_back_insists_and_yields_anew(directory: Path) -> None:
    tickets, behind = places("x", "E")
    ticket = tickets[0]
    ticket.yield_place()
    ticket.step_out()
    ticket.step_in()
    ticket.insist()
    assert is_locked(directory / "x.lock", PENDING)
    ticket.step_out()
    ticket.step_in()
    ticket.insist()
    assert is_locked(directory / "x.lock", PENDING)
    ticket.yield_place()
    assert is_yielding(behind, 0)
    for fd in (ticket.fd, behind):
        drop(fd)


def test_who_yields_insists_no_more(directory: Path) -> None:
    [ticket], behind = places("x", "S")
    ticket.insist()
    assert is_locked(directory / "x.lock", PENDING + 1)
    ticket.yield_place()
    assert not is_locked(directory / "x.lock", PENDING + 1)
    assert is_yielding(behind, 0)
    ticket.claim_place()
    assert not is_yielding(behind, 0)
    ticket.insist()
    assert is_locked(directory / "x.lock", PENDING + 1)
    ticket.yield_place()
    assert is_yielding(behind, 0)
    for fd in (ticket.fd, behind):
        drop(fd)


def test_under_fair_who_shares_is_rung_past_one_who_yields() -> None:
    tickets, holder = places("x", "ES")
    lock_bytes(holder, UNITS, 1)
    assert seat_to_ring(holder, True, SHARED) is None
    tickets[0].yield_place()
    assert seat_to_ring(holder, True, SHARED) == 1
    for fd in (*(ticket.fd for ticket in tickets), holder):
        drop(fd)


@pytest.mark.parametrize("lanes", ["ES", "SE"])
def test_of_both_lanes_the_one_who_came_first_is_rung(lanes: str) -> None:
    tickets, last = places("x", lanes)
    assert seat_to_ring(last, False, None) == 0
    for fd in (*(ticket.fd for ticket in tickets), last):
        drop(fd)


def test_who_gives_up_is_out_of_the_queue_before_the_next_is_rung(directory: Path, contenders: type[Contender]) -> None:
    """Else that one would look, find it still before itself, and sleep on."""
    request = pylock.lock("x", policy="fair").request
    behind, fd, ring = contenders(), open_file(request.path, request.directory), bells.ring
    seen: list[int | None] = []

    def watched_ring(path: str, seat: int, private: bool = False) -> None:
        seen.extend(waiter.pid for waiter in pylock.inspect("x").waiters)
        ring(path, seat, private)

    with pylock.lock("x", "shared", policy="fair"):
        first = wait(fd, request, None)
        next(first)
        behind.start_acquiring("x", "shared", policy="fair")
        with replaced(bells, "ring", watched_ring):
            first.close()
        assert seen == [behind.pid]
        granted(behind)
    drop(fd)


# Insisting


def test_who_is_rung_in_vain_all_the_time_loses_its_patience_all_the_same(
    directory: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a loop that lets go and takes the lock again at once; else that keeps it for as long as it likes."""
    monkeypatch.setattr(waiting_room, "PATIENCE", 0.1)
    hold = pylock.lock("x").acquire()
    waiter = executor.submit(pylock.lock("x").acquire, 30)
    waiting("x", 1)
    begun = time.monotonic()
    while not is_locked(directory / "x.lock", PENDING):
        ring_all(directory / "x.lock")
        assert time.monotonic() - begun < 10
    hold.release()
    waiter.result(30).release()


@pytest.mark.parametrize("newcomer", ["exclusive", "protected_write", "shared", "concurrent_read", "concurrent_write"])
@pytest.mark.parametrize("insists", ["exclusive", "shared"])
def test_newcomer_does_not_pass_who_insists_although_the_lock_is_free(
    insists: str, newcomer: str, contenders: type[Contender], directory: Path
) -> None:
    first = contenders()
    with pylock.lock("x"):
        insisting(first, insists, directory)
        first.stop()
    with pytest.raises(pylock.WouldBlock, match=f"promised to pid {first.pid}"):
        pylock.lock("x", newcomer).acquire_nowait()
    first.go_on()
    granted(first)


def test_sharing_newcomer_joins_holders_although_an_exclusive_waiter_insists(
    contenders: type[Contender], directory: Path
) -> None:
    holder, first = contenders(), contenders()
    holder.acquire("x", "shared")
    insisting(first, "exclusive", directory)
    pylock.lock("x", "shared").acquire_nowait().release()
    with pytest.raises(pylock.WouldBlock):
        pylock.lock("x", "protected_write").acquire_nowait()
    holder.release()
    granted(first)


@pytest.mark.parametrize("mode", ["shared", "concurrent_read"])
def test_insisting_ends_with_the_wait_and_not_with_the_hold(
    mode: str, contenders: type[Contender], directory: Path
) -> None:
    waiter = contenders()
    with pylock.lock("x"):
        insisting(waiter, mode, directory)
    granted(waiter)
    pylock.lock("x", "shared").acquire_nowait().release()
    assert not is_locked(directory / "x.lock", PENDING + 1)


def test_insisting_ends_with_a_wait_in_vain(directory: Path) -> None:
    hold = pylock.lock("x").acquire()
    with pytest.raises(pylock.LockTimeout):
        pylock.lock("x", "shared").acquire(0.01)
    assert not is_locked(directory / "x.lock", PENDING + 1)
    hold.release()


# Waiters that do not go on


@pytest.mark.parametrize("leaves", ["released", "killed"])
def test_stopped_first_waiter_keeps_no_free_unit_of_a_shared_lock_from_the_next(
    leaves: str, contenders: type[Contender]
) -> None:
    """Another holder stays, so that it is never free altogether."""
    holder, stopped, behind = contenders(), contenders(), contenders()
    with pylock.lock("x", "shared", capacity=2):
        holder.acquire("x", "shared")
        stopped.start_acquiring("x", "shared")
        behind.start_acquiring("x", "shared")
        stopped.stop()
        holder.release() if leaves == "released" else holder.kill()
        granted(behind)
        behind.release()
        stopped.go_on()
        granted(stopped)


@pytest.mark.parametrize("mode", ["shared", "concurrent_read"])
def test_stopped_first_waiter_keeps_no_lock_from_one_who_might_share_it(mode: str, contenders: type[Contender]) -> None:
    holder, stopped, behind = contenders(), contenders(), contenders()
    with pylock.lock("x", "concurrent_read"):
        holder.acquire("x", "protected_write")
        stopped.start_acquiring("x", "protected_write", policy="fair")
        behind.start_acquiring("x", mode, policy="fair")
        stopped.stop()
        holder.release()
        granted(behind)
        behind.release()
        stopped.go_on()
        granted(stopped)


# Bells


@pytest.mark.parametrize("error", ["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EOPNOTSUPP"])
def test_who_may_lock_but_make_no_bell_waits_all_the_same(error: str, executor: ThreadPoolExecutor) -> None:
    def refuse(path: str, mode: int) -> None:
        raise OSError(getattr(errno, error), "no FIFO here", path)

    with replaced(os, "mkfifo", refuse):
        hold = pylock.lock("x").acquire()
        waiter = executor.submit(pylock.lock("x").acquire, 5)
        waiting("x", 1)
        hold.release()
        waiter.result(10).release()


def test_bell_may_be_rung_by_all_who_may_use_the_directory(directory: Path, executor: ThreadPoolExecutor) -> None:
    directory.chmod(0o1777)
    hold = pylock.lock("x").acquire()
    waiter = executor.submit(pylock.lock("x").acquire, 30)
    waiting("x", 1)
    [bell] = directory.glob("x.lock.*")
    assert stat.S_IMODE(bell.stat().st_mode) == 0o1666
    hold.release()
    waiter.result(10).release()


@pytest.mark.parametrize("error", ["EACCES", "EPERM"])
def test_who_may_not_give_a_bell_the_mode_of_its_directory_waits_all_the_same(
    error: str, directory: Path, executor: ThreadPoolExecutor
) -> None:
    directory.chmod(0o1777)
    with pylock.lock("x"):
        pass
    refuse = failing_once(os.chmod, getattr(errno, error), lambda path, mode: True)
    with replaced(os, "chmod", refuse):
        hold = pylock.lock("x").acquire()
        waiter = executor.submit(pylock.lock("x").acquire, 5)
        waiting("x", 1)
        hold.release()
        waiter.result(10).release()
    assert os.listdir(directory) == ["x.lock"]


def test_bell_that_was_rung_in_vain_is_silent_again(directory: Path, executor: ThreadPoolExecutor) -> None:
    """Who does not take note would be taken for stopped, and be passed; and would look without a pause."""
    hold = pylock.lock("x").acquire()
    waiter = executor.submit(pylock.lock("x").acquire, 30)
    waiting("x", 1)
    [path] = directory.glob("x.lock.*")
    seat = int(path.suffix[1:])
    bells.ring(str(directory / "x.lock"), seat)
    until(lambda: not bells.is_unheard(str(directory / "x.lock"), seat))
    hold.release()
    waiter.result(10).release()


# Safety looks


def test_holder_that_is_killed_is_noticed_soon(contenders: type[Contender], directory: Path) -> None:
    """Of some tries the fastest, since a busy machine makes them slow and nothing makes them fast."""
    waits = []
    for _ in range(3):
        holder, waiter = contenders(), contenders()
        holder.acquire("x")
        insisting(waiter, "exclusive", directory)  # from now on it sleeps as long as it ever does
        begun = time.monotonic()
        holder.kill()
        granted(waiter)
        waits.append(time.monotonic() - begun)
        waiter.end()
        if waits[-1] < 0.5:
            break
    assert min(waits) < 0.5


def test_stopped_first_waiter_is_passed_soon(contenders: type[Contender]) -> None:
    waits = []
    for _ in range(3):
        holder, stopped, behind = contenders(), contenders(), contenders()
        holder.acquire("x")
        stopped.start_acquiring("x")
        behind.start_acquiring("x")
        stopped.stop()
        begun = time.monotonic()
        holder.release()
        granted(behind)
        waits.append(time.monotonic() - begun)
        os.kill(stopped.pid, signal.SIGKILL)
        behind.end()
        if waits[-1] < 1.5:
            break
    assert min(waits) < 1.5


@pytest.fixture
def no_safety_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have who waits in this process woken by what it hears, and by nothing else."""
    for room, name in ((waiting_room, "WATCHED"), (waiting_room, "WATCHED_BEHIND"), (together_room, "WATCHED")):
        monkeypatch.setattr(room, name, 60.0)


def is_heard(pid: int) -> bool:
    """Whether this process listens for the end of that one: pidfd_open(2) and proc(5) have its pid in fdinfo."""
    for file in Path("/proc/self/fdinfo").iterdir():
        try:
            if f"Pid:\t{pid}\n" in file.read_text():
                return True
        except OSError:  # closed meanwhile
            continue
    return False


def assert_is_granted_soon(waiter: Future[Any], holder: Contender, first: Contender) -> None:
    """Also if the holder has rung the first, and that dies before it takes the lock."""
    until(lambda: is_heard(first.pid))
    first.stop()
    holder.release()
    first.kill()
    hold = waiter.result(30)
    hold.release()
    assert hold.waited < 10


@pytest.mark.parametrize("wants", ["one lock", "two locks"])
def test_who_was_first_hears_the_one_that_came_before_it(
    wants: str, contenders: type[Contender], directory: Path, executor: ThreadPoolExecutor, no_safety_looks: None
) -> None:
    holder, urgent = contenders(), contenders()
    holder.acquire("x")
    lock = pylock.lock("x") if wants == "one lock" else pylock.all_of(pylock.lock("x"), pylock.lock("y"))
    waiter = executor.submit(lock.acquire, 20)
    until(lambda: is_locked(directory / "x.lock", PENDING))
    urgent.start_acquiring("x", priority=1)
    assert_is_granted_soon(waiter, holder, urgent)


def test_who_may_share_hears_the_one_before_it_who_may_not(
    contenders: type[Contender], directory: Path, executor: ThreadPoolExecutor, no_safety_looks: None
) -> None:
    holder, alone = contenders(), contenders()
    holder.acquire("x")
    alone.start_acquiring("x")
    waiter = executor.submit(pylock.lock("x", "shared").acquire, 20)
    until(lambda: is_locked(directory / "x.lock", PENDING + 1))
    assert_is_granted_soon(waiter, holder, alone)


def test_who_finds_nobody_to_hear_although_it_was_not_first_looks_by_itself() -> None:
    """Who stood before it has gone between its two looks, perhaps killed, and nobody rings."""
    [ticket], behind = places("x", "E")
    request = pylock.lock("x").request
    assert Outlook(ticket.fd, request, ticket, nested=False).whom_to_hear(first=False) == ([None], [])
    assert Outlook(ticket.fd, request, ticket, nested=False).whom_to_hear(first=True) == ([], [])
    for fd in (ticket.fd, behind):
        drop(fd)


def test_waiter_without_a_bell_is_not_taken_for_one_that_did_not_hear_it(directory: Path) -> None:
    assert not bells.is_unheard(str(directory / "x.lock"), 0)


def test_who_waits_for_units_hears_each_of_those_who_have_some(contenders: type[Contender]) -> None:
    holders = [contenders() for _ in range(2)]
    for holder in holders:
        holder.acquire("x", "shared", capacity=2)
    [ticket], behind = places("x", "S")
    seen = Outlook(ticket.fd, pylock.lock("x", capacity=2).request, ticket, nested=False)
    heard, others = seen.whom_to_hear(first=True)
    assert ({who and who[0] for who in heard}, others) == ({holder.pid for holder in holders}, [])
    for fd in (ticket.fd, behind):
        drop(fd)


def test_second_hears_the_end_of_the_holder_as_the_first_may_be_stopped(
    contenders: type[Contender], executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, no_safety_looks: None
) -> None:
    heard: list[object] = []
    real = Outlook.whom_to_hear
    monkeypatch.setattr(Outlook, "whom_to_hear", lambda self, first: (real(self, first), heard.append(first))[0])
    holder, stopped = contenders(), contenders()
    holder.acquire("x")
    stopped.start_acquiring("x")
    stopped.stop()
    waiter = executor.submit(pylock.lock("x").acquire, 20)
    until(lambda: len(heard) > 1)  # it looks once more when it has begun to listen
    holder.kill()
    hold = waiter.result(30)
    hold.release()
    assert hold.waited < 10


@pytest.mark.parametrize("wants", ["one lock", "two locks"])
def test_bell_of_another_that_nobody_hears_wakes_nobody_again_and_again(
    wants: str, contenders: type[Contender], directory: Path, executor: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    looks: list[Outlook] = []
    real = Outlook.whom_to_hear
    monkeypatch.setattr(Outlook, "whom_to_hear", lambda self, first: (looks.append(self), real(self, first))[1])
    holder, alone = contenders(), contenders()
    holder.acquire("x")
    alone.start_acquiring("x")
    shared = pylock.lock("x", "shared")
    waiter = executor.submit((shared if wants == "one lock" else pylock.all_of(shared, pylock.lock("y"))).acquire, 20)
    until(lambda: is_locked(directory / "x.lock", PENDING + 1))
    alone.stop()
    ring_all(directory / "x.lock")
    until(lambda: len(looks) > 2)
    begun, before = time.monotonic(), len(looks)
    until(lambda: len(looks) > before + 2)
    assert time.monotonic() - begun > 0.1
    holder.release()
    alone.kill()
    waiter.result(30).release()


def test_holder_that_dies_before_it_is_listened_to_is_noticed_all_the_same(
    contenders: type[Contender], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing tells of an end before the first listening; so who begins to listen looks once more."""
    holder, find_holders = contenders(), Outlook._holders
    assert holder.acquire("x")

    def too_late(self: Outlook) -> list[Any]:
        holder.kill()
        return find_holders(self)

    monkeypatch.setattr(Outlook, "_holders", too_late)
    monkeypatch.setattr(waiting_room, "WATCHED", 60.0)
    hold = pylock.lock("x", timeout=20).acquire()  # when time is up it looks for a last time
    hold.release()
    assert hold.waited < 10
