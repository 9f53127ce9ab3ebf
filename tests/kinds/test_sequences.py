"""Sequences: every number once, over threads, processes, crashes and failing disks; transactional ones come back."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis.strategies as st
import pytest
from command import Running, pylock
from contender import until, waiting
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import pylock as library
from pylock._acquiring.claim import Claim
from pylock._file import descriptors
from pylock._file.layout import STATE_SIZE, header_size
from pylock._kinds import state

RUN = ["run", "--sequence", "--transactional", "s", "--", "sh", "-c"]


def take(transactional: bool = False, capacity: int | None = None) -> library.SequenceHold:
    return library.sequence("s", transactional=transactional, capacity=capacity).acquire_nowait()


def following(transactional: bool = False) -> int:
    """Take the next number, and let it go as one that was used."""
    with library.sequence("s", transactional=transactional, capacity=None) as hold:
        return hold.value


def start(action: Callable[[], Any]) -> int:
    """Run the action in a forked child, and do not wait for it."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    return pid


def forked(action: Callable[[], Any]) -> int:
    """Run the action in a forked child; return the wait status."""
    return os.waitpid(start(action), 0)[1]


@contextmanager
def child_that_holds(transactional: bool) -> Iterator[int]:
    """A forked child that has a number until it is killed, at the end of the block; yields the number."""
    end, child_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            kept = take(transactional)
            os.write(child_end, str(kept.value).encode())
            signal.pause()
        finally:
            os._exit(1)
    os.close(child_end)
    try:
        yield int(os.read(end, 20))
    finally:
        os.close(end)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


# Numbers


@pytest.mark.parametrize("transactional", [False, True])
def test_numbers_begin_with_one_and_grow_by_one(transactional: bool) -> None:
    assert [following(transactional) for _ in range(5)] == [1, 2, 3, 4, 5]


def test_sequences_of_different_names_count_for_themselves() -> None:
    assert following() == 1
    with library.sequence("another") as hold:
        assert hold.value == 1


def test_numbers_go_on_after_the_process_that_took_the_last_one() -> None:
    assert forked(lambda: [following() for _ in range(3)]) == 0
    assert following() == 4


def test_several_have_different_numbers_up_to_the_capacity(executor: ThreadPoolExecutor) -> None:
    holds = [take(capacity=3) for _ in range(3)]
    assert [hold.value for hold in holds] == [1, 2, 3]
    with pytest.raises(library.WouldBlock, match="3 of 3 units are held, 1 asked for"):
        take()
    waiter = executor.submit(library.sequence("s", capacity=3).acquire)
    waiting("s", 1)
    holds.pop(0).release()
    holds.append(waiter.result(10))
    assert holds[-1].value == 4
    assert sorted(holder.value or "" for holder in library.inspect("s").holders) == ["2", "3", "4"]
    for hold in holds:
        hold.release()


def test_one_at_a_time_is_the_default_and_another_capacity_a_mismatch() -> None:
    with library.sequence("s"):
        with pytest.raises(library.WouldBlock):
            library.sequence("s").acquire_nowait()
        with pytest.raises(library.DefinitionMismatch, match="has capacity 1, not 2 as asked here"):
            library.sequence("s", capacity=2).acquire_nowait()
    library.define("s", capacity=2)
    with library.sequence("s"), library.sequence("s") as hold:
        assert hold.value == 3


def test_closed_sequence_gives_no_number_and_loses_none() -> None:
    assert following() == 1
    library.define("s", capacity=0)
    with pytest.raises(library.WouldBlock, match="closed"):
        take()
    library.define("s", capacity=library.UNLIMITED)
    assert following() == 2


def test_number_of_a_plain_sequence_is_used_up_whatever_happens() -> None:
    with pytest.raises(KeyError), library.sequence("s"):
        raise KeyError
    take().rollback()
    with child_that_holds(transactional=False) as value:
        assert value == 3
    assert following() == 4


@pytest.mark.parametrize("arguments", [{"capacity": -1}, {"capacity": "3"}, {"policy": "lifo"}, {"name": ""}])
def test_bad_argument_is_named_before_anything_is_made(arguments: dict[str, Any], directory: Path) -> None:
    with pytest.raises(ValueError, match="must"):
        library.sequence(**({"name": "s"} | arguments))
    assert list(directory.iterdir()) == []


# Transactions


def test_released_number_is_committed() -> None:
    take(True).release()
    with library.sequence("s", transactional=True, capacity=None):
        pass
    assert following(True) == 3


def test_number_goes_back_if_the_block_raises() -> None:
    with pytest.raises(KeyError), library.sequence("s", transactional=True):
        raise KeyError
    assert following(True) == 1


def test_number_goes_back_if_the_block_of_the_hold_raises() -> None:
    with pytest.raises(KeyError), library.sequence("s", transactional=True).acquire():
        raise KeyError
    assert following(True) == 1


def test_number_goes_back_after_a_rollback_which_releases() -> None:
    hold = take(True)
    hold.rollback()
    for action in (hold.rollback, hold.release):
        with pytest.raises(library.NotHeld, match="it was released"):
            action()
    assert following(True) == 1


def test_number_goes_back_if_the_task_is_cancelled() -> None:
    async def main() -> None:
        inside = asyncio.Event()

        async def enter() -> None:
            async with library.sequence("s", transactional=True):
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(enter())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert following(True) == 1


def test_number_goes_back_if_the_process_is_killed() -> None:
    with child_that_holds(transactional=True) as value:
        assert value == 1
        assert following(True) == 2
    assert following(True) == 1


def test_number_goes_back_if_the_hold_is_dropped() -> None:
    with pytest.warns(ResourceWarning, match='"s" was dropped'):
        take(True)
    assert following(True) == 1


def test_what_came_back_is_given_before_a_new_one_and_the_lowest_first() -> None:
    holds = [take(True) for _ in range(5)]
    holds[3].rollback()
    holds[1].rollback()
    holds[2].release()
    again = [take(True) for _ in range(3)]
    assert [hold.value for hold in again] == [2, 4, 6]
    for hold in (holds[0], holds[4], *again):
        hold.release()
    assert following(True) == 7


def test_what_came_back_is_given_to_one_only() -> None:
    take(True).rollback()
    holds = [take(True) for _ in range(3)]
    assert [hold.value for hold in holds] == [1, 2, 3]
    for hold in holds:
        hold.rollback()


def test_many_numbers_come_back_from_as_many_who_were_killed() -> None:
    def take_many() -> None:
        holds = [take(True) for _ in range(50)]
        assert holds[-1].value == 50
        os.kill(os.getpid(), signal.SIGKILL)

    assert forked(take_many) == signal.SIGKILL
    assert [following(True) for _ in range(51)] == list(range(1, 52))


def test_forked_child_that_leaves_the_block_of_its_parent_neither_commits_nor_rolls_back() -> None:
    with library.sequence("s", transactional=True, capacity=None) as hold:

        def leave() -> None:
            for action in (hold.release, hold.rollback):
                with pytest.raises(library.NotHeld):
                    action()
            hold.__exit__(None, None, None)
            hold.__exit__(KeyError, KeyError(), None)

        assert forked(leave) == 0
        assert following(True) == 2
    assert following(True) == 3


def test_all_of_gives_the_number_back_if_its_block_raises() -> None:
    def both() -> library.Several:
        return library.all_of(library.sequence("s", transactional=True, capacity=None), library.lock("z"))

    with pytest.raises(KeyError), both():
        raise KeyError
    with both() as holds:
        assert holds.holds[0].value == 1
    assert following(True) == 2


@pytest.mark.parametrize("timeout", [None, 0, 0.02])
def test_all_of_gives_the_number_back_if_another_lock_is_not_to_be_had(timeout: float | None) -> None:
    busy = library.lock("z").acquire()
    both = library.all_of(library.sequence("s", transactional=True, capacity=None), library.lock("z"))
    with pytest.raises((library.WouldBlock, library.LockTimeout)):
        both.acquire_nowait() if timeout is None else both.acquire(timeout)
    busy.release()
    assert following(True) == 1


# Commands


def test_number_of_a_command_that_ends_well_is_committed() -> None:
    assert pylock(*RUN, 'echo "$PYLOCK_VALUE"').stdout == "1\n"
    assert following(True) == 2


@pytest.mark.parametrize(
    ("script", "status"), [("exit 3", 3), ("kill -KILL $$", -signal.SIGKILL), ("kill -TERM $$", -signal.SIGTERM)]
)
def test_number_of_a_command_that_fails_or_is_killed_goes_back(script: str, status: int, tmp_path: Path) -> None:
    assert pylock(*RUN, script, cwd=tmp_path).returncode == status
    assert pylock(*RUN, 'echo "$PYLOCK_VALUE"').stdout == "1\n"


def test_number_of_a_command_that_cannot_be_started_goes_back(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    assert pylock(*RUN[:-2], str(script)).returncode == 126
    assert following(True) == 1


def test_number_of_a_command_without_transactional_is_used_up() -> None:
    assert pylock("run", "--sequence", "s", "--", "false").returncode == 1
    assert following() == 2


@pytest.mark.parametrize("how", ["killed", "ends well"])
def test_number_goes_back_if_the_supervisor_was_killed_and_the_command_has_ended(how: str) -> None:
    """The command has the number until its own end, but nobody is left to commit it."""
    running = Running(*RUN, 'echo "$PYLOCK_VALUE"; read line', stdin=subprocess.PIPE)
    try:
        assert running.line() == "1"
        running.signal(signal.SIGKILL)
        running.process.wait(30)
        with pytest.raises(library.WouldBlock):
            take(True)
        if how == "killed":
            running.signal_group(signal.SIGKILL)
        assert running.process.stdin is not None
        running.process.stdin.close()
        running.process.stdin = None
        until(lambda: not library.sequence("s").locked())
        assert following(True) == 1
    finally:
        running.close()


@pytest.mark.parametrize(("command", "value"), [("true", 2), ("false", 1), ("kill -KILL $$", 1)])
def test_run_of_python_commits_only_after_status_zero(command: str, value: int) -> None:
    library.run(["sh", "-c", command], library.sequence("s", transactional=True, capacity=None))
    assert following(True) == value


# On the disk


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done to keep the state."""
    calls: list[str] = []
    for name in ("pwrite", "fdatasync", "fsync"):
        real = getattr(os, name)

        def call(*arguments: Any, name: str = name, real: Any = real) -> Any:
            calls.append(name)
            return real(*arguments)

        monkeypatch.setattr(state.os, name, call)
    return calls


def test_number_is_on_the_disk_before_it_is_given_and_so_is_its_commit(calls: list[str]) -> None:
    hold = take(True)
    assert "fsync" in calls, "the name of the file is as lasting as its first number"
    assert calls[-2:] == ["pwrite", "fdatasync"]
    calls.clear()
    hold.release()
    assert calls == ["pwrite", "fdatasync"]
    calls.clear()
    hold = take(True)
    assert calls == ["pwrite", "fdatasync"]
    calls.clear()
    hold.rollback()
    assert calls == [], "it goes back by itself"


def copy_at(turn: int) -> int:
    return header_size("s", "sequence") + turn % 2 * STATE_SIZE


def damage(directory: Path, turn: int, text: bytes) -> None:
    with open(directory / "s.lock", "r+b") as file:
        file.seek(copy_at(turn))
        file.write(text)


@pytest.mark.parametrize("transactional", [False, True])
@pytest.mark.parametrize("length", [1, 10, 20, 40])
def test_copy_that_was_being_written_at_a_power_cut_is_passed_over(
    length: int, transactional: bool, directory: Path
) -> None:
    for _ in range(4):
        last = following(transactional)
    text = (directory / "s.lock").read_bytes()
    copies = sorted((text[copy_at(turn) :].split(b"\n")[0] for turn in (0, 1)), key=lambda copy: b'"last":3' in copy)
    torn = next(turn for turn in (0, 1) if text[copy_at(turn) :].startswith(copies[1]))
    damage(directory, torn, b'{"last":999,"number":99,"check":"00000000"}'[:length])
    assert following(transactional) == last + 1


@pytest.mark.parametrize("text", [b"\0" * 100, b"nonsense\n", b"{}\n", b'{"last":7,"number":99,"check":"00000000"}\n'])
def test_damaged_copy_is_passed_over_for_the_older_one(text: bytes, directory: Path) -> None:
    assert [following() for _ in range(3)] == [1, 2, 3]
    damage(directory, 3, text)
    assert following() == 3, "what the older one says"
    assert following() == 4


@pytest.mark.parametrize("transactional", [False, True])
def test_damage_to_both_copies_is_a_bad_lock_file_and_nothing_is_given(transactional: bool, directory: Path) -> None:
    assert [following() for _ in range(3)] == [1, 2, 3]
    for turn in (0, 1):
        damage(directory, turn, b"nonsense")
    before = (directory / "s.lock").read_bytes()
    for acquire in (take, lambda _: library.sequence("s", transactional=transactional, capacity=None).acquire(1)):
        with pytest.raises(library.BadLockFile, match="what it remembers of earlier values is damaged; restore it"):
            acquire(transactional)
    assert library.inspect("s").holders == ()
    assert (directory / "s.lock").read_bytes()[: copy_at(1) + STATE_SIZE] == before[: copy_at(1) + STATE_SIZE]


def test_commit_into_a_damaged_file_says_so_and_lets_go(directory: Path) -> None:
    hold = take(True)
    for turn in (0, 1):
        damage(directory, turn, b"nonsense")
    with pytest.raises(library.BadLockFile):
        hold.release()
    assert library.inspect("s").holders == ()


def fail(*arguments: Any) -> Any:
    raise OSError(errno.EIO, "broken")


def write_half(fd: int, text: bytes, offset: int) -> int:
    return REAL_PWRITE(fd, text[: len(text) // 2], offset)


REAL_PWRITE = os.pwrite
FAILURES = [("pwrite", fail, errno.EIO), ("pwrite", write_half, errno.ENOSPC), ("fdatasync", fail, errno.EIO)]


@pytest.mark.parametrize("earlier", [0, 1, 2])
@pytest.mark.parametrize("transactional", [False, True])
@pytest.mark.parametrize(("call", "failure", "code"), FAILURES)
def test_number_that_does_not_reach_the_disk_is_not_given_and_none_is_given_twice(
    call: str, failure: Any, code: int, transactional: bool, earlier: int, directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    library.define("s", kind="sequence")
    given = [following(transactional) for _ in range(earlier)]
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(state.os, call, failure)
            with pytest.raises(OSError, match=r"broken|cannot write all of the state") as caught:
                take(transactional)
        assert (caught.value.errno, caught.value.filename) == (code, str(directory / "s.lock"))
        assert library.inspect("s").holders == ()
        assert len(os.listdir("/proc/self/fd")) == before
        given.append(following(transactional))
    assert given == sorted(set(given))


@pytest.mark.parametrize(("call", "failure", "code"), FAILURES)
def test_number_whose_commit_does_not_reach_the_disk_goes_back(
    call: str, failure: Any, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = take(True)
    with monkeypatch.context() as patch:
        patch.setattr(state.os, call, failure)
        with pytest.raises(OSError, match=r"broken|cannot write all of the state") as caught:
            hold.release()
    assert caught.value.errno == code
    assert library.inspect("s").holders == (), "it is let go all the same"
    assert following(True) == 1


def test_waiter_whose_number_does_not_reach_the_disk_gets_the_error_and_the_next_one_goes_on(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = library.sequence("s").acquire()
    waiters = []
    for count in (1, 2):
        waiters.append(executor.submit(library.sequence("s").acquire))
        waiting("s", count)
    failures = [fail]

    def fail_once(*arguments: Any) -> int:
        return (failures.pop() if failures else REAL_PWRITE)(*arguments)

    monkeypatch.setattr(state.os, "pwrite", fail_once)
    hold.release()
    with pytest.raises(OSError, match="broken"):
        waiters[0].result(10)
    with waiters[1].result(10) as after:
        assert after.value == 2


def test_more_numbers_than_the_file_remembers_are_an_error_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "STATE_SIZE", 128)
    holds: list[library.SequenceHold] = []

    def take_all() -> None:
        for _ in range(100):
            holds.append(take(True))

    with pytest.raises(library.LockError, match='"s" has more values out than its file can remember'):
        take_all()
    values = [hold.value for hold in holds]
    holds.pop(0).rollback()
    for hold in holds:
        hold.release()
    assert values == list(range(1, len(values) + 1))
    assert [following(True) for _ in range(2)] == [1, len(values) + 1]


def die(*arguments: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_the_middle(fd: int, text: bytes, offset: int) -> None:
    write_half(fd, text, offset)
    die()


def die_afterwards(fd: int, text: bytes, offset: int) -> None:
    REAL_PWRITE(fd, text, offset)
    die()


DEATHS = [("pwrite", die), ("pwrite", die_in_the_middle), ("pwrite", die_afterwards), ("fdatasync", die)]


@pytest.mark.parametrize("earlier", [0, 1, 2])
@pytest.mark.parametrize("transactional", [False, True])
@pytest.mark.parametrize(("call", "death"), DEATHS)
def test_death_at_any_moment_of_a_grant_gives_no_number_twice(
    call: str, death: Any, transactional: bool, earlier: int
) -> None:
    library.define("s", kind="sequence")
    assert [following(transactional) for _ in range(earlier)] == list(range(1, earlier + 1))

    def dying() -> None:
        setattr(os, call, death)
        take(transactional)

    assert forked(dying) == signal.SIGKILL
    assert library.inspect("s").holders == ()
    value = following(transactional)
    assert value == earlier + 1 or (value == earlier + 2 and not transactional)


@pytest.mark.parametrize(("call", "death"), DEATHS)
def test_death_at_any_moment_of_a_commit_leaves_the_number_committed_or_back(call: str, death: Any) -> None:
    assert [following(True) for _ in range(3)] == [1, 2, 3]

    def dying() -> None:
        hold = take(True)
        setattr(os, call, death)
        hold.release()

    assert forked(dying) == signal.SIGKILL
    values = [following(True) for _ in range(3)]
    assert values in ([4, 5, 6], [5, 6, 7])


def test_clean_never_removes_a_sequence(directory: Path) -> None:
    assert following() == 1
    library.lock("x").acquire().release()
    done = pylock("clean")
    assert done.stdout == "removed x.lock\n"
    assert [entry.name for entry in directory.iterdir()] == ["s.lock"]
    assert following() == 2


# Many at once


def test_numbers_over_processes_and_threads_are_given_in_order_and_each_once(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def count() -> None:
        def enter() -> None:
            for _ in range(25):
                with library.sequence("s") as hold, open(log, "a", encoding="ascii") as file:
                    file.write(f"{hold.value}\n")

        with ThreadPoolExecutor(2) as threads:
            for future in [threads.submit(enter) for _ in range(2)]:
                future.result(60)

    children = [start(count) for _ in range(4)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert list(map(int, log.read_text().split())) == list(range(1, 201))


def test_no_committed_number_comes_again_however_processes_die(tmp_path: Path) -> None:
    log = os.open(tmp_path / "log", os.O_CREAT | os.O_APPEND | os.O_RDWR)
    draw = random.Random(5)

    def go_on(end: int) -> None:
        while True:
            with library.sequence("s", transactional=True, capacity=3) as hold:
                os.write(log, b"begin %d\n" % hold.value)
            os.write(log, b"done %d\n" % hold.value)
            os.write(end, b".")

    for _ in range(8):
        ours, theirs = os.pipe()
        children = [start(lambda end=theirs: go_on(end)) for _ in range(3)]
        for child in children:
            for _ in range(draw.randrange(1, 8)):
                os.read(ours, 1)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(ours)
        os.close(theirs)
    lines = os.pread(log, 1 << 20, 0).decode().splitlines()
    os.close(log)
    done: set[str] = set()
    for line in lines:
        what, value = line.split()
        assert value not in done, f"{line} after it was committed"
        if what == "done":
            done.add(value)
    last = max(map(int, done))
    assert following(True) not in map(int, done)
    assert len(done) >= last - 8 * 3 - 3, "no more are lost than had died"


# The model


WHOLE_COPY = b'{"last":99999,"out":{},"back":[],"number":99999,"check":"00000000"}\n'


def value_of(claim: Claim) -> Any:
    assert claim.grant is not None
    return claim.grant.value


class SequenceMachine(RuleBasedStateMachine):
    """Holders with descriptors of their own against the last number and a set of those that came back."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="pylock-model-"))
        self.last = 0
        self.back: set[int] = set()
        self.holds: list[tuple[Claim, bool]] = []
        self.capacity = library.UNLIMITED
        self.patch = mock.patch.object(state.os, "fdatasync")  # which only takes time here
        self.patch.start()

    def take(self, transactional: bool) -> Claim | None:
        lock = library.sequence("s", capacity=None, transactional=transactional, directory=self.directory)
        claim = lock.new_claim()
        return claim if claim.take() else None

    @rule(transactional=st.booleans())
    def acquire(self, transactional: bool) -> None:
        claim = self.take(transactional)
        if claim is None:
            assert len(self.holds) >= self.capacity
            return
        self.holds.append((claim, transactional))
        assert len(self.holds) <= self.capacity
        if transactional and self.back:
            assert value_of(claim) == min(self.back)
            self.back.remove(value_of(claim))
        else:
            self.last += 1
            assert value_of(claim) == self.last

    def draw(self, data: st.DataObject) -> tuple[Claim, bool]:
        chosen = data.draw(st.sampled_from(self.holds))
        self.holds.remove(chosen)
        return chosen

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        self.draw(data)[0].release()

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), how=st.sampled_from(["rollback", "crash", "raise"]))
    def fail(self, data: st.DataObject, how: str) -> None:
        claim, transactional = self.draw(data)
        if transactional:
            self.back.add(value_of(claim))
        if how == "rollback":
            claim.release(failed=True)
        elif how == "raise":
            claim.leave_block(KeyError("body"))
        else:
            descriptors.close(claim.fd)  # without unlocking, as the kernel does for a killed process
            claim.fd = -1

    @rule(length=st.integers(0, len(WHOLE_COPY) - 1))
    def power_cut_while_writing(self, length: int) -> None:
        """The copy that would be written next is torn; what stands in the other one counts."""
        path = self.directory / "s.lock"
        if path.exists():
            copies = [path.read_bytes()[copy_at(turn) :].partition(b"\n")[0] + b"\n" for turn in (0, 1)]
            numbers = [(state._parse(copy) or {"number": -1})["number"] for copy in copies]
            damage(self.directory, numbers.index(min(numbers)), WHOLE_COPY[:length])

    @rule(capacity=st.sampled_from([0, 1, 3, library.UNLIMITED]))
    def define(self, capacity: int) -> None:
        self.capacity = capacity
        library.define("s", capacity=capacity, kind="sequence", directory=self.directory)

    @invariant()
    def status_shows_who_has_which(self) -> None:
        seen = library.inspect("s", self.directory)
        values = sorted(value_of(claim) for claim, _ in self.holds)
        assert sorted(int(holder.value or 0) for holder in seen.holders) == values
        assert len(set(values)) == len(values)

    def teardown(self) -> None:
        for hold, _ in self.holds:
            hold.release()
        self.patch.stop()
        shutil.rmtree(self.directory)


TestModel = SequenceMachine.TestCase
TestModel.settings = settings(
    max_examples=50, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
