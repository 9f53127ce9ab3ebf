"""What every kind of lock does, plain or pool, path, sequence, timestamp or several, whoever asks for it."""

from __future__ import annotations

import asyncio
import os
import pickle
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command import Running, pylock
from contender import until

import pylock as library

Make = Callable[..., Any]
Acquire = Callable[..., "Future[Any]"]


@dataclass(frozen=True)
class Kind:
    """How a kind is asked for. What ``blocker`` makes keeps away what ``make`` makes, and what it makes itself."""

    make: Make
    blocker: Make
    waits_at: str
    """In the queue of which lock, and of what kind that is."""
    kind: str
    words: tuple[str, ...]
    """The same request for ``pylock run``."""


def plain(mode: str, **given: int) -> Make:
    return lambda **options: library.lock("x", mode, **given, **options)


def pool(*elements: str, weight: int = 1) -> Make:
    return lambda **options: library.pool("p", elements, weight=weight, **options)


def path(path: str, mode: str = "EX") -> Make:
    return lambda **options: library.path_lock(path, mode, **options)


def sequence(transactional: bool) -> Make:
    return lambda **options: library.sequence("s", transactional=transactional, **options)


def timestamp(**options: Any) -> Any:
    return library.timestamp("t", "%Y%m%d-%H%M%S.#ffffff", **options)


def several(timeout: float | None = None, **options: Any) -> Any:
    return library.all_of(
        library.lock("x", "PR", **options), library.sequence("s", **options), library.path_lock("/a/b", **options),
        timeout=timeout,
    )  # fmt: skip


KINDS = {
    "exclusive": Kind(plain("EX"), plain("EX"), "x", "lock", ("x",)),
    "shared": Kind(plain("PR"), plain("EX"), "x", "lock", ("-s", "x")),
    "counted": Kind(
        plain("PR", capacity=3, weight=2), plain("PR", capacity=3, weight=2), "x", "lock", ("-c3", "-w2", "x")
    ),
    "pool": Kind(pool("red"), pool("red"), "p", "pool", ("--any-of=red", "p")),
    "pool of weight 2": Kind(
        pool("red", "green", "blue", weight=2), pool("red", "green", "blue", weight=2), "p", "pool",
        ("--any-of=red,green,blue", "-w2", "p"),
    ),
    "path": Kind(path("/a/b"), path("/a/b"), "/a/b", "path", ("--tree=/a/b",)),
    "path below": Kind(path("/a/b", "PR"), path("/a"), "/a", "path", ("-s", "--tree=/a/b")),
    "path above": Kind(path("/a"), path("/a/b"), "/a", "path", ("--tree=/a",)),
    "sequence": Kind(sequence(False), sequence(False), "s", "sequence", ("--sequence", "s")),
    "transactional": Kind(
        sequence(True), sequence(True), "s", "sequence", ("--sequence", "--transactional", "s")
    ),
    "timestamp": Kind(timestamp, timestamp, "t", "timestamp", ("--timestamp=%Y%m%d-%H%M%S.#ffffff", "t")),
    "all_of": Kind(several, several, "/a/b", "path", ("--tree=/a/b", "--with=x:shared")),
    "all_of whose last is busy": Kind(several, plain("EX"), "x", "lock", ("--tree=/a/b", "--with=x:shared")),
}  # fmt: skip
SINGLE = [name for name in KINDS if not name.startswith("all_of")]

FOR_FOUR = {
    "shared": plain("PR"),
    "counted": plain("PR", capacity=4),
    "pool": pool("red", "green", "blue", "white"),
    "path": path("/a/b", "PR"),
    "sequence": lambda: library.sequence("s", capacity=4),
    "transactional": lambda: library.sequence("s", capacity=4, transactional=True),
    "timestamp": lambda: timestamp(capacity=4),
    "all_of": lambda: library.all_of(
        plain("PR")(), pool("red", "green", "blue", "white")(), library.sequence("s", capacity=4), path("/a", "PR")()
    ),
}
"""Locks that four may hold together."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(params=["shared-first", "fair"])
def policy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["thread", "task"])
def acquire(request: pytest.FixtureRequest, executor: ThreadPoolExecutor) -> Acquire:
    """Acquire in another thread, or in a task of an event loop in another thread."""
    if request.param == "thread":
        return lambda lock, *timeout: executor.submit(lock.acquire, *timeout)
    return lambda lock, *timeout: executor.submit(lambda: asyncio.run(lock.acquire_async(*timeout)))


@pytest.fixture
def only_bells_wake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody finds out by a look of its own that it can go on."""
    for room in ("waiting", "together"):
        monkeypatch.setattr(f"pylock._acquiring.{room}.SAFETY", 60.0)
        monkeypatch.setattr(f"pylock._acquiring.{room}.SAFETY_BEHIND", (60.0,))


def held() -> list[str]:
    """The locks that somebody holds."""
    return [state.name for state in library.status() if state.holders]


def queued() -> int:
    """How many wait: who waits for several stands in the queue of each."""
    return max((len(state.waiters) for state in library.status()), default=0)


def waiting(count: int) -> None:
    until(lambda: queued() == count)


async def seen(look: Callable[[], Any]) -> None:
    """As `until`, for a task."""
    async with asyncio.timeout(20):
        while not look():
            await asyncio.sleep(0.001)


def no_trace(directory: Path) -> bool:
    """Whether nobody holds or waits, and nothing but lock files is left."""
    return not held() and not queued() and {entry.suffix for entry in directory.iterdir()} == {".lock"}


def refused(make: Make) -> bool:
    try:
        make().acquire_nowait().release()
    except library.WouldBlock:
        return True
    return False


# Grants


def test_free_one_is_granted_at_once(kind: Kind, policy: str, acquire: Acquire, directory: Path) -> None:
    lock = kind.make(policy=policy)
    hold = acquire(lock).result(10)
    assert hold.waited == 0.0
    assert (lock.held, hold.held) == (True, True)
    hold.check()
    hold.release()
    assert (lock.held, hold.held) == (False, False)
    assert no_trace(directory)


def test_waiter_is_woken_and_granted_when_the_holder_releases(
    kind: Kind, policy: str, acquire: Acquire, directory: Path, only_bells_wake: None
) -> None:
    holder = kind.blocker(policy=policy).acquire()
    waiter = acquire(kind.make(policy=policy))
    waiting(1)
    assert not waiter.done()
    until(lambda: len(library.inspect(kind.waits_at).waiters) == 1)
    holder.release()
    hold = waiter.result(10)
    assert hold.waited > 0
    assert queued() == 0
    hold.release()
    assert no_trace(directory)


def test_waiter_gives_up_after_its_timeout_and_leaves_nothing(
    kind: Kind, policy: str, acquire: Acquire, directory: Path
) -> None:
    holder = kind.blocker(policy=policy).acquire()
    before = held()
    with pytest.raises(library.LockTimeout) as caught:
        acquire(kind.make(policy=policy), 0.05).result(10)
    assert caught.value.waited >= 0.05
    assert (held(), queued()) == (before, 0)
    holder.release()
    assert no_trace(directory)


def test_own_timeout_is_the_one_that_counts_by_default(kind: Kind) -> None:
    holder = kind.blocker().acquire()
    with pytest.raises(library.LockTimeout):
        kind.make(timeout=0.01).acquire()
    holder.release()


def test_plain_try_is_refused_and_names_the_holder(kind: Kind, directory: Path) -> None:
    holder = kind.blocker().acquire()
    before = held()
    with pytest.raises(library.WouldBlock, match="is not to be had at once: ") as caught:
        kind.make().acquire_nowait()
    assert [seen.pid for seen in caught.value.holders] == [os.getpid()]
    assert f"held by pid {os.getpid()} on " in str(caught.value) or "units are held" in str(caught.value)
    assert held() == before
    holder.release()
    assert no_trace(directory)


def test_refusal_goes_from_process_to_process_with_what_it_tells(kind: Kind) -> None:
    with kind.blocker(), pytest.raises(library.WouldBlock) as caught:
        kind.make().acquire_nowait()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.name, again.holders) == (str(caught.value), caught.value.name, caught.value.holders)


def test_who_would_wait_for_itself_is_told_so_at_once(kind: Kind, directory: Path) -> None:
    with kind.blocker():
        before = held()
        with pytest.raises(library.Deadlock, match=r"the same thread holds it .* by the with block at"):
            kind.make().acquire()
        assert (held(), queued()) == (before, 0)
    assert no_trace(directory)


@pytest.mark.parametrize("name", SINGLE)
def test_higher_priority_goes_first(name: str, executor: ThreadPoolExecutor) -> None:
    make, blocker = KINDS[name].blocker, KINDS[name].blocker
    order: list[int] = []
    holder = blocker().acquire()

    def enter(priority: int) -> None:
        with make(priority=priority):
            order.append(priority)

    waiters = []
    for count, priority in enumerate([0, -5, 7], 1):
        waiters.append(executor.submit(enter, priority))
        waiting(count)
    holder.release()
    for waiter in waiters:
        waiter.result(10)
    assert order[0] == 7
    if len(make().parts) == 1:  # who lacks several for a moment, as the first lets go, yields to those behind
        assert order == [7, 0, -5]


# Blocks


def test_block_holds_and_its_end_lets_go(kind: Kind, directory: Path) -> None:
    lock = kind.blocker()
    with lock as hold:
        assert lock.held
        assert held()
        hold.check()
    assert not lock.held
    assert no_trace(directory)


def test_block_that_raises_lets_go(kind: Kind, directory: Path) -> None:
    with pytest.raises(KeyError, match="body"), kind.make():
        raise KeyError("body")
    assert no_trace(directory)


def test_hold_is_a_context_manager_of_its_own(kind: Kind, directory: Path) -> None:
    with kind.make().acquire() as hold:
        hold.check()
        assert held()
    assert no_trace(directory)


def test_async_block_lets_go_at_its_end_and_when_it_raises(kind: Kind, directory: Path) -> None:
    async def enter(error: bool) -> None:
        async with kind.make():
            await asyncio.sleep(0)
            assert held()
            if error:
                raise KeyError("body")

    asyncio.run(enter(False))
    assert no_trace(directory)
    with pytest.raises(KeyError, match="body"):
        asyncio.run(enter(True))
    assert no_trace(directory)


def test_cancelled_block_lets_go(kind: Kind, directory: Path) -> None:
    async def main() -> None:
        inside = asyncio.Event()

        async def enter() -> None:
            async with kind.make():
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(enter())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert no_trace(directory)

    asyncio.run(main())


def test_cancelled_waiter_leaves_nothing(kind: Kind, policy: str, directory: Path) -> None:
    async def main() -> None:
        holder = kind.blocker(policy=policy).acquire()
        before = held()
        waiter = asyncio.create_task(kind.make(policy=policy).acquire_async())
        await seen(queued)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert (held(), queued()) == (before, 0)
        holder.release()
        assert no_trace(directory)

    asyncio.run(main())


# Holds


def test_release_twice_is_not_held(kind: Kind) -> None:
    lock = kind.make()
    hold = lock.acquire()
    lock.release()
    with pytest.raises(library.NotHeld, match="released"):
        hold.release()
    with pytest.raises(library.NotHeld, match="held through this object"):
        lock.release()
    with pytest.raises(library.NotHeld):
        hold.check()


@pytest.mark.parametrize("name", ["pool", "sequence", "transactional", "timestamp"])
def test_hold_stays_in_its_mode(name: str) -> None:
    with KINDS[name].make() as hold:
        with pytest.raises(ValueError, match="which stays in its mode; only plain locks are converted"):
            hold.convert("exclusive", 0)
        hold.check()
        assert refused(KINDS[name].make)


def test_hold_whose_file_was_removed_by_hand_is_lost(kind: Kind) -> None:
    hold = kind.make().acquire()
    os.unlink(library.inspect(kind.waits_at).path)
    with pytest.raises(library.LockLost, match=f'the lock "{kind.waits_at}" is lost: '):
        hold.check()
    hold.release()
    kind.make().acquire_nowait().release()


def test_hold_may_be_released_by_another_thread(kind: Kind, executor: ThreadPoolExecutor, directory: Path) -> None:
    hold = kind.make().acquire()
    executor.submit(hold.release).result(10)
    assert no_trace(directory)


def test_dropped_hold_lets_go_with_a_warning(kind: Kind, directory: Path) -> None:
    with pytest.warns(ResourceWarning, match="was dropped without a release"):
        kind.make().acquire()
    assert no_trace(directory)


@pytest.mark.parametrize("name", SINGLE)
def test_held_tells_of_this_object_and_locked_of_anybody(name: str, directory: Path) -> None:
    lock, other = KINDS[name].blocker(), KINDS[name].blocker()
    assert not lock.locked()
    assert list(directory.iterdir()) == []
    with lock:
        assert (lock.held, lock.locked()) == (True, True)
        assert (other.held, other.locked()) == (False, True)
    assert (lock.held, lock.locked()) == (False, False)


@pytest.mark.parametrize("name", FOR_FOUR)
def test_one_object_gives_each_thread_a_hold_of_its_own(
    name: str, executor: ThreadPoolExecutor, directory: Path
) -> None:
    lock = FOR_FOUR[name]()
    inside = threading.Barrier(4)

    def enter() -> int:
        with lock as hold:
            inside.wait(10)
            hold.check()
            return id(hold)

    holds = [executor.submit(enter) for _ in range(4)]
    assert len({hold.result(10) for hold in holds}) == 4
    assert not lock.held
    assert no_trace(directory)


def test_one_object_lets_threads_in_one_after_the_other(kind: Kind, policy: str, executor: ThreadPoolExecutor) -> None:
    lock = kind.blocker(policy=policy)
    counter = {"value": 0}

    def add() -> None:
        for _ in range(5):
            with lock:
                seen = counter["value"]
                time.sleep(0)
                counter["value"] = seen + 1

    for future in [executor.submit(add) for _ in range(4)]:
        future.result(60)
    assert counter["value"] == 20


@pytest.mark.parametrize("timeout", [-1, float("nan"), "5", True])
def test_what_is_no_timeout_is_refused(kind: Kind, timeout: Any) -> None:
    holder = kind.blocker().acquire()
    with pytest.raises(ValueError, match=r"timeout must be None .*, not"):
        kind.make().acquire(timeout)
    holder.release()


def test_what_is_no_timeout_is_refused_before_anything_is_made(kind: Kind, directory: Path) -> None:
    with pytest.raises(ValueError, match=r"timeout must be None .*, not"):
        kind.make(timeout=-0.5)
    assert list(directory.iterdir()) == []


# Closing


def test_closed_one_is_granted_to_nobody_and_reopening_wakes_all_who_wait(
    kind: Kind, policy: str, executor: ThreadPoolExecutor, directory: Path, only_bells_wake: None
) -> None:
    def enter() -> None:
        with kind.make(policy=policy):
            pass

    enter()  # a pool must have got its elements before it is closed
    library.define(kind.waits_at, capacity=0, kind=kind.kind)
    with pytest.raises(library.WouldBlock, match=r"the lock is closed \(capacity 0\)"):
        kind.make(policy=policy).acquire_nowait()
    with pytest.raises(library.LockTimeout, match="the lock is closed"):
        kind.make(policy=policy).acquire(0.01)
    assert no_trace(directory)
    waiters = [executor.submit(enter) for _ in range(4)]
    waiting(4)
    library.define(kind.waits_at, capacity=library.UNLIMITED)
    for waiter in waiters:
        waiter.result(10)
    assert no_trace(directory)


@pytest.mark.parametrize("name", FOR_FOUR)
def test_reopening_lets_in_together_all_who_fit(
    name: str, executor: ThreadPoolExecutor, directory: Path, only_bells_wake: None
) -> None:
    lock = FOR_FOUR[name]()
    lock.acquire().release()
    state = library.status()[-1]
    library.define(state.name, capacity=0)
    inside = threading.Barrier(4)

    def enter() -> None:
        with lock:
            inside.wait(10)

    waiters = [executor.submit(enter) for _ in range(4)]
    waiting(4)
    library.define(state.name, capacity=4)
    for waiter in waiters:
        waiter.result(20)
    assert no_trace(directory)


def test_closing_leaves_the_holder(kind: Kind) -> None:
    with kind.make() as hold:
        library.define(kind.waits_at, capacity=0)
        hold.check()
    assert held() == []


# Processes


@contextmanager
def child_that_holds(make: Make) -> Iterator[int]:
    """A forked child that took a lock and keeps it until it is killed, at the latest at the end of the block."""
    end, child_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            kept = make().acquire()
            os.write(child_end, b"." if kept else b"")
            signal.pause()
        finally:
            os._exit(1)
    os.close(child_end)
    try:
        assert os.read(end, 1) == b".", "the child did not get the lock"
        yield pid
    finally:
        os.close(end)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_killed_process_holds_nothing_any_more(kind: Kind, directory: Path) -> None:
    with child_that_holds(kind.blocker) as pid:
        assert refused(kind.make)
        assert {holder.pid for state in library.status() for holder in state.holders} == {pid}
    assert held() == []
    assert not refused(kind.make)
    assert no_trace(directory)


def test_killed_process_hands_over_to_who_waits(kind: Kind, policy: str) -> None:
    def enter() -> None:
        with kind.make(policy=policy):
            pass

    with child_that_holds(lambda: kind.blocker(policy=policy)):
        waiter = threading.Thread(target=enter)
        waiter.start()
        waiting(1)
    waiter.join(10)
    assert not waiter.is_alive()


def test_forked_child_can_neither_release_nor_check_the_hold_of_its_parent(kind: Kind) -> None:
    lock = kind.blocker()
    hold = lock.acquire()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            for action in (hold.release, hold.check, lock.release):
                with pytest.raises(library.NotHeld):
                    action()
            status = int(lock.held or hold.held)
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    hold.check()
    assert refused(kind.make)
    hold.release()


@pytest.mark.parametrize("error", [None, KeyError("body")], ids=["ends", "raises"])
def test_forked_child_that_leaves_the_block_of_its_parent_frees_nothing(kind: Kind, error: Exception | None) -> None:
    """As a child of a daemon does that forks inside the block; the parent goes on holding."""
    parent, caught = os.getpid(), None
    try:
        with kind.blocker() as hold:
            pid = os.fork()
            if pid:
                status = os.waitpid(pid, 0)[1]
                hold.check()
                assert refused(kind.make)
            elif error is not None:
                raise error
    except BaseException as raised:
        caught = raised
        if os.getpid() == parent:
            raise
    finally:
        if os.getpid() != parent:
            os._exit(0 if caught is error else 1)
    assert status == 0, "the end of the block raised in the child"


# The command


def test_command_runs_under_it_and_is_refused_while_it_is_held(kind: Kind, directory: Path) -> None:
    holder = kind.blocker().acquire()
    done = pylock("run", "--no-wait", *kind.words, "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr.startswith("pylock: gave up on ")
    holder.release()
    done = pylock("run", "--no-wait", *kind.words, "--", "sh", "-c", "echo ran; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "ran\n", "")
    assert no_trace(directory)


def test_killed_command_and_supervisor_hold_nothing_any_more(kind: Kind, directory: Path) -> None:
    running = Running("run", *kind.words, "--", "sh", "-c", "echo ready; while :; do sleep 60; done")
    try:
        assert running.line() == "ready"
        assert {holder.pid for state in library.status() for holder in state.holders} == {running.pid}
    finally:
        running.close()
    until(lambda: no_trace(directory))


TELL = ["--", "sh", "-c", 'echo "$PYLOCK_NAME:$PYLOCK_ELEMENT:$PYLOCK_VALUE"']


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["x"], "x::"),
        (["--any-of=red,green", "p"], "p:red:"),
        (["--any-of=red,green,blue", "--weight=2", "p"], "p:red,green:"),
        (["--any-of", "red"], "default:red:"),
        (["--tree=/a/b"], "/a/b::"),
        (["--tree", "/"], "/::"),
        (["--sequence", "s"], "s::1"),
        (["--sequence", "--transactional", "-c3", "s"], "s::1"),
        (["--timestamp=%Y-%m-%d %Hh%M #ff", "t"], r"t::\d{4}-\d\d-\d\d \d\dh\d\d \d\d"),
        (["--any-of=red", "p", "--with", "x:shared"], "p:red:"),
        (["--sequence", "s", "--with", "a", "--with", "z"], "s::1"),
    ],
)
def test_command_is_told_its_element_and_its_value(words: list[str], told: str) -> None:
    done = pylock("run", *words, *TELL)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(f"{told}\n", done.stdout)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--any-of=red", "--shared"], "--any-of cannot be combined with a mode"),
        (["--any-of=red", "--capacity=2"], "--any-of cannot be combined with --capacity"),
        (["--any-of=red", "--tree=/a"], "--any-of cannot be combined with --tree"),
        (["--any-of=red", "--sequence"], "--any-of cannot be combined with --sequence"),
        (["--any-of=red", "--timestamp=%H"], "--any-of cannot be combined with --timestamp"),
        (["--any-of=red,,green"], "has an empty element"),
        (["--any-of="], "has an empty element"),
        (["--any-of=red,red"], "the elements of a pool must differ"),
        (["--any-of=red", "--weight=2"], "can never be had"),
        (["--tree=/a", "x"], "--tree names the lock itself"),
        (["--tree=/a", "--sequence"], "--tree cannot be combined with --sequence"),
        (["--tree=/a", "--timestamp=%H"], "--tree cannot be combined with --timestamp"),
        (["--tree=/a", "--capacity=2"], "--tree cannot be combined with --capacity"),
        (["--tree=/a", "--weight=2"], "--tree cannot be combined with --weight"),
        (["--tree=a/b"], "'a/b' is not a path to lock"),
        (["--tree="], "'' is not a path to lock"),
        (["--sequence", "--timestamp=%H"], "--sequence cannot be combined with --timestamp"),
        (["--sequence", "--mode=EX"], "--sequence cannot be combined with a mode"),
        (["--sequence", "--weight=2"], "--sequence cannot be combined with --weight"),
        (["--transactional"], "--transactional is for a value of a sequence; use it with --sequence"),
        (["--transactional", "--sequence", "--exec"], "--exec cannot be combined with --transactional"),
        (["--timestamp=%H", "--shared"], "--timestamp cannot be combined with a mode"),
        (["--timestamp=%H", "--weight=2"], "--timestamp cannot be combined with --weight"),
        (["--timestamp=%Y"], "changes less than hourly"),
        (["--timestamp=%H", "--with=default"], "several locks at once are different ones"),
    ],
)
def test_contradictory_options_are_refused_with_a_clear_message(
    words: list[str], message: str, directory: Path
) -> None:
    done = pylock("run", *words, "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("pylock: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert held() == []


# One kind asked for as another

BY_KIND: dict[str, Make] = {
    "lock": lambda mode="EX": library.lock("/x", mode),
    "pool": lambda: library.pool("/x", ["red"]),
    "path": lambda: library.path_lock("/x"),
    "sequence": lambda: library.sequence("/x"),
    "timestamp": lambda: timestamp_of("/x"),
}
PAIRS = [(made, asked) for made in BY_KIND for asked in BY_KIND if made != asked]


def timestamp_of(name: str) -> Any:
    return library.timestamp(name, "%Y%m%d-%H%M%S.#ffffff")


@pytest.mark.parametrize("how", ["waits", "tries"])
@pytest.mark.parametrize("state", ["idle", "held"])
@pytest.mark.parametrize(("made", "asked"), PAIRS)
def test_request_for_another_kind_is_a_mismatch_and_leaves_the_file_as_it_was(
    made: str, asked: str, state: str, how: str, directory: Path
) -> None:
    hold = BY_KIND[made]().acquire()
    if state == "idle":
        hold.release()
    before = (directory / "%2Fx.lock").read_bytes()
    lock = BY_KIND[asked]()
    with pytest.raises(library.DefinitionMismatch, match=f'"/x" is a {made}, not a {asked} as asked here'):
        lock.acquire_nowait() if how == "tries" else lock.acquire(10)
    assert (directory / "%2Fx.lock").read_bytes() == before
    assert [seen.name for seen in library.status() if seen.holders and seen.name == "/x"] == ["/x"] * (state == "held")
    if state == "held":
        hold.release()
    BY_KIND[made]().acquire_nowait().release()


@pytest.mark.parametrize("mode", ["NL", "CR", "CW", "PR", "PW", "EX"])
@pytest.mark.parametrize("made", ["pool", "path", "sequence", "timestamp"])
def test_plain_lock_in_no_mode_gets_the_file_of_another_kind(made: str, mode: str, directory: Path) -> None:
    BY_KIND[made]().acquire().release()
    before = (directory / "%2Fx.lock").read_bytes()
    with pytest.raises(library.DefinitionMismatch, match=f'"/x" is a {made}, not a lock as asked here'):
        library.lock("/x", mode).acquire()
    assert (directory / "%2Fx.lock").read_bytes() == before


def test_command_that_asks_for_another_kind_is_told_what_it_is() -> None:
    library.pool("p", ["red"]).acquire().release()
    done = pylock("run", "p", "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith('pylock: "p" is a pool, not a lock as asked here; ask for it as what it is')
