"""Path hierarchies: a node excludes, by the matrix, who is on it, above it and below it, and never a sibling."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis.strategies as st
import pytest
from command import Running
from contender import until, waiting
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import pylock as library
from pylock._acquiring import together
from pylock._acquiring import waiting as waiting_room
from pylock._acquiring.claim import Claim
from pylock._file import descriptors
from pylock._kinds.paths import tree_lock
from pylock._queue import drivers as fronts

MODES = ["NL", "CR", "CW", "PR", "PW", "EX"]
LETS_IN = {
    "NL": {"NL", "CR", "CW", "PR", "PW", "EX"},
    "CR": {"NL", "CR", "CW", "PR", "PW"},
    "CW": {"NL", "CR", "CW"},
    "PR": {"NL", "CR", "PR"},
    "PW": {"NL", "CR"},
    "EX": {"NL"},
}
"""The published matrix of the six modes, written once more so that it is not compared with itself."""

RELATED = [
    ("/a/b", "/a/b"), ("/", "/"), ("/a", "/a/b"), ("/a/b", "/a"), ("/a", "/a/b/c"), ("/a/b/c", "/a"), ("/", "/a"),
    ("/a", "/"), ("/", "/a/b/c"), ("/a/b/c", "/"),
]  # fmt: skip
UNRELATED = [
    ("/a", "/b"), ("/a/b", "/a/c"), ("/a/b/c", "/a/d"), ("/a/b/c", "/a/d/c"), ("/a/b", "/b/a"), ("/a", "/ab"),
    ("/a/b", "/a/b.c"), ("/a/b/c", "/a/b-c"), ("/a", "/A"), ("/a", "/%61"), ("/a/b", "/a%2Fb"), ("/a", "/a "),
]  # fmt: skip


def take(path: str, mode: str = "EX", **options: Any) -> Any:
    return library.path_lock(path, mode, **options).acquire_nowait()


def is_granted(path: str, mode: str = "EX") -> bool:
    try:
        take(path, mode).release()
    except library.WouldBlock:
        return False
    return True


def no_trace(directory: Path) -> bool:
    """Whether nobody holds or waits on any level, and nothing but lock files is left."""
    return not any(state.holders or state.waiters for state in library.status()) and (
        {entry.suffix for entry in directory.iterdir()} == {".lock"}
    )


# Who excludes whom


@pytest.mark.parametrize("held", MODES)
@pytest.mark.parametrize(("first", "second"), RELATED)
def test_matrix_holds_between_a_node_and_what_is_above_and_below(first: str, second: str, held: str) -> None:
    with library.path_lock(first, held):
        assert {asked for asked in MODES if is_granted(second, asked)} == LETS_IN[held]


@pytest.mark.parametrize("held", MODES)
@pytest.mark.parametrize(("first", "second"), UNRELATED)
def test_siblings_are_never_excluded(first: str, second: str, held: str) -> None:
    for one, other in ((first, second), (second, first)):
        with library.path_lock(one, held):
            assert all(is_granted(other, asked) for asked in MODES)


@pytest.mark.parametrize(("first", "second"), [("/a", "/a/b"), ("/a/b", "/a"), ("/", "/a/b"), ("/a/b", "/")])
@pytest.mark.parametrize(("held", "asked"), [("EX", "CR"), ("PR", "CW"), ("PW", "PR"), ("CW", "PR"), ("CR", "EX")])
def test_who_is_excluded_waits_and_is_granted_afterwards(
    first: str, second: str, held: str, asked: str, executor: ThreadPoolExecutor, directory: Path
) -> None:
    holder = take(first, held)
    waiter = executor.submit(library.path_lock(second, asked).acquire)
    until(lambda: any(state.waiters for state in library.status()))
    assert not waiter.done()
    holder.release()
    waiter.result(10).release()
    assert no_trace(directory)


def test_many_holders_below_each_exclude_who_comes_above() -> None:
    holds = [take(f"/a/{number}", "CW") for number in range(5)]
    for hold in holds:
        assert not is_granted("/a", "PR")
        assert is_granted("/a", "CR")
        hold.release()
    assert is_granted("/a", "PR")


def test_null_mode_passes_everybody_and_marks_no_level(directory: Path) -> None:
    with library.path_lock("/a"), library.path_lock("/a/b", "NL"):
        assert [state.name for state in library.status() if state.holders] == ["/", "/a", "/a/b"]
        assert {entry.name for entry in directory.iterdir()} == {"%2F.lock", "%2Fa.lock", "%2Fa%2Fb.lock"}
    with library.path_lock("/a/b", "NL"):
        assert [state.name for state in library.status() if state.holders] == ["/a/b"]


# What is shown


def test_hold_shows_the_node_and_status_shows_on_each_level_what_is_below() -> None:
    lock = library.path_lock("/a/b", "PR", reason="export")
    with lock as hold:
        assert (hold.name, hold.mode, lock.name, lock.mode) == ("/a/b", "shared", "/a/b", "shared")
        assert hold.token > 10**15
        seen = {state.name: state.holders[0] for state in library.status()}
        assert {name: holder.below for name, holder in seen.items()} == {"/": "/a/b", "/a": "/a/b", "/a/b": None}
        assert all((holder.pid, holder.reason) == (os.getpid(), "export") for holder in seen.values())
        assert str(lock) == '<PathLock "/a/b" shared held>'
        assert str(hold) == '<PathHold "/a/b" shared held>'
    assert str(hold) == '<PathHold "/a/b" shared released>'


def test_tokens_of_a_node_grow_with_every_sole_grant() -> None:
    tokens = []
    for mode in ("EX", "PW", "EX"):
        with library.path_lock("/a/b", mode) as hold:
            tokens.append(hold.token)
    assert tokens == sorted(set(tokens))


def test_refusal_tells_what_was_asked_and_on_which_level_who_is_in_the_way() -> None:
    with library.path_lock("/a", reason="audit"):
        with pytest.raises(library.WouldBlock, match=r'^"/a/b/c" \(exclusive\) at "/a" is not to be had') as caught:
            take("/a/b/c")
        assert caught.value.name == "/a/b/c"
        assert f"held by pid {os.getpid()}" in str(caught.value)
        assert "(audit)" in str(caught.value)
    with library.path_lock("/a/b/c"), pytest.raises(library.WouldBlock, match=r'held by pid .* at "/a/b/c"'):
        take("/a")


def test_locked_tells_of_the_node_and_of_what_is_below() -> None:
    with library.path_lock("/a/b"):
        assert [library.path_lock(path).locked() for path in ("/", "/a", "/a/b", "/a/b/c", "/b")] == [
            True, True, True, False, False,
        ]  # fmt: skip


# Names


@pytest.mark.parametrize("mode", ["NL", "CR", "PR"])
def test_tree_exists_as_a_whole(mode: str) -> None:
    """As hierarchies of FLoM do."""
    for path in ("/a", "/a/b", "/a/b/c"):
        with pytest.raises(library.WouldBlock, match="does not exist"):
            tree_lock(path, mode, create=False).acquire_nowait()
        with tree_lock("/a/x", mode):
            tree_lock(path, mode, create=False).acquire_nowait().release()
    with tree_lock("/other", mode), pytest.raises(library.WouldBlock, match="does not exist"):
        tree_lock("/a/b", mode, create=False).acquire_nowait()


@pytest.mark.parametrize("mode", ["NL", "EX"])
def test_tree_has_one_idle_life(mode: str) -> None:
    tree_lock("/a/b/c", mode, idle_lifespan=60).acquire().release()
    for path in ("/a", "/a/x", "/a/b/c/d"):
        tree_lock(path, mode, create=False).acquire_nowait().release()
    with pytest.raises(library.WouldBlock, match="does not exist"):
        tree_lock("/b", mode, create=False).acquire_nowait()


def test_names_in_a_tree_are_any_texts_and_mean_nothing() -> None:
    with tree_lock("/a/..", "EX"), tree_lock("/b/ x[3]\n", "EX"):
        tree_lock("/a/.", "EX").acquire_nowait().release()
        with pytest.raises(library.WouldBlock, match="held by"):
            tree_lock("/a/../c", "EX").acquire_nowait()


@pytest.mark.parametrize("path", ["", "a", "a/b", "/a/", "//", "//a", "/a//b", "/.", "/..", "/a/./b", "/a/../b"])
def test_what_is_no_path_is_refused_before_anything_is_made(path: str, directory: Path) -> None:
    with pytest.raises(ValueError, match="is not a path to lock: it begins with"):
        library.path_lock(path)
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("path", [None, 5, b"/a", Path("/a")])
def test_path_must_be_text(path: Any) -> None:
    with pytest.raises(TypeError, match="the path must be a str"):
        library.path_lock(path)


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "naïve ☃",
        "🖨",
        'q"uote',
        "back\\slash",
        "new\nline",
        "tab\t",
        "%2F",
        "...",
        ".a",
        "~",
        "*",
        "\x00",
        "\udc80",
    ],
)
def test_odd_characters_are_names_like_others(name: str) -> None:
    with library.path_lock(f"/a/{name}/b") as hold:
        hold.check()
        assert [is_granted(path) for path in ("/a", f"/a/{name}", f"/a/{name}/b", f"/a/{name}/b/c")] == [False] * 4
        assert [is_granted(path) for path in ("/a/x", f"/a/{name}x", f"/a/{name}/c", "/b")] == [True] * 4
        assert library.inspect("/a").holders[0].below == f"/a/{name}/b"


def test_long_names_differ_to_the_last_character() -> None:
    long = "/" + "n" * 1000
    with library.path_lock(f"{long}/x/{'y' * 300}"):
        assert not is_granted(long)
        assert not is_granted(f"{long}/x/{'y' * 300}/z")
        assert is_granted(f"{long}m")
        assert is_granted(f"{long}/x/{'y' * 299}z")


def test_deep_path_excludes_on_each_of_its_levels(directory: Path) -> None:
    nodes = [f"/level{depth}" for depth in range(50)]
    paths = ["/", *("".join(nodes[:depth]) for depth in range(1, 51))]
    with library.path_lock(paths[-1]) as hold:
        assert len(hold.holds) == 51
        assert [path for path in paths if is_granted(path, "CR")] == []
        assert all(is_granted(f"{path.rstrip('/')}/other") for path in paths[:-1])
        assert is_granted(paths[25], "NL")
    assert no_trace(directory)
    with library.path_lock(paths[10]):
        assert [path for path in paths if is_granted(path, "CR")] == []


def test_thousands_of_nodes_are_held_together_and_each_is_seen_from_above(directory: Path) -> None:
    count = 2000
    holds = [take(f"/node{number}") for number in range(count)]
    assert not is_granted("/", "CR")
    assert not is_granted(f"/node{count // 2}/below", "CR")
    assert is_granted("/another/below")
    for hold in holds[1:]:
        hold.release()
    assert not is_granted("/", "CR")
    holds[0].release()
    assert is_granted("/")
    assert len(list(directory.iterdir())) == count + 3


# Giving up, dying


@pytest.mark.parametrize("level", ["/", "/a", "/a/b", "/a/b/c"])
@pytest.mark.parametrize("how", ["try", "timeout", "cancelled"])
def test_who_gives_up_on_one_level_holds_none_of_them(level: str, how: str, directory: Path) -> None:
    holder = take(level)
    before = {state.name: len(state.holders) for state in library.status()}
    lock = library.path_lock("/a/b/c", "PR")

    async def cancelled() -> None:
        waiter = asyncio.create_task(lock.acquire_async())
        async with asyncio.timeout(20):
            while not library.inspect(level).waiters:
                await asyncio.sleep(0.001)
        waiter.cancel()
        await waiter

    attempts: dict[str, tuple[Callable[[], Any], type[BaseException]]] = {
        "try": (lock.acquire_nowait, library.WouldBlock),
        "timeout": (lambda: lock.acquire(0.02), library.LockTimeout),
        "cancelled": (lambda: asyncio.run(cancelled()), asyncio.CancelledError),
    }
    attempt, error = attempts[how]
    with pytest.raises(error):
        attempt()
    after = {state.name: len(state.holders) for state in library.status()}
    assert {name: count for name, count in after.items() if count} == before
    holder.release()
    assert no_trace(directory)


def test_failed_release_of_one_level_releases_the_others(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    hold = take("/a/b/c")
    real = Claim.release

    def release(self: Claim, failed: bool = False) -> None:
        real(self, failed)
        if self.request.name == "/a/b":
            raise OSError(5, "broken")

    monkeypatch.setattr(Claim, "release", release)
    with pytest.raises(OSError, match="broken"):
        hold.release()
    assert no_trace(directory)


@contextmanager
def child_that_holds(*wanted: tuple[str, str]) -> Iterator[int]:
    """A forked child that took these nodes and keeps them until it is killed, at the end of the block."""
    end, child_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            kept = [take(path, mode) for path, mode in wanted]
            os.write(child_end, b"." * len(kept))
            signal.pause()
        finally:
            os._exit(1)
    os.close(child_end)
    try:
        assert os.read(end, 100) == b"." * len(wanted), "the child did not get them"
        yield pid
    finally:
        os.close(end)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_killed_holder_frees_every_level(directory: Path) -> None:
    with child_that_holds(("/a/b/c", "EX"), ("/a/d", "PR")):
        assert [is_granted(path, "PW") for path in ("/", "/a", "/a/b", "/a/b/c", "/a/d")] == [False] * 5
    assert no_trace(directory)
    assert [is_granted(path) for path in ("/a/b/c", "/a/d", "/a/b", "/a", "/")] == [True] * 5


def test_killed_holder_frees_its_own_node_whoever_made_the_tree() -> None:
    """The clean-up of FLoM looks only where the tree was made, and leaves the other branch locked for ever."""
    with child_that_holds(("/a/b", "EX")):
        with child_that_holds(("/a/c/d", "EX")):
            assert not is_granted("/a/c/d", "CR")
        assert [is_granted(path) for path in ("/a/c/d", "/a/c", "/a/c/d/e")] == [True] * 3
        assert [is_granted(path, "CR") for path in ("/a/b", "/a", "/")] == [False] * 3
    assert is_granted("/")


def test_waiter_is_seen_on_every_level_and_holds_none(directory: Path) -> None:
    holder = take("/a/b")
    pid = os.fork()
    if pid == 0:
        try:
            library.path_lock("/a/b/c").acquire()
        finally:
            os._exit(1)
    for level in ("/", "/a", "/a/b", "/a/b/c"):
        waiting(level, 1)
    assert [len(library.inspect(level).holders) for level in ("/", "/a", "/a/b", "/a/b/c")] == [1, 1, 1, 0]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert [library.inspect(level).waiters for level in ("/", "/a", "/a/b", "/a/b/c")] == [()] * 4
    holder.release()
    assert is_granted("/")


def test_killed_holder_hands_over_to_who_waits_above() -> None:
    with child_that_holds(("/a/b", "EX")):
        waiter = threading.Thread(target=lambda: library.path_lock("/").acquire(30).release())
        waiter.start()
        waiting("/", 1)
    waiter.join(30)
    assert not waiter.is_alive()


def test_commands_exclude_each_other_along_a_branch_only() -> None:
    ready = ["--", "sh", "-c", "echo ready; while :; do sleep 60; done"]
    started = [Running("run", "--tree=/a/b", *ready)]
    try:
        assert started[0].line() == "ready"
        started.append(Running("run", "--tree=/a/c", *ready))
        assert started[1].line() == "ready"
        started.append(Running("run", "-q", "--shared", "--tree=/a", "--", "echo", "granted"))
        waiting("/a", 1)
        started[1].signal_group(signal.SIGKILL)
        started[1].end()
        assert len(library.inspect("/a").waiters) == 1
        started[0].signal_group(signal.SIGKILL)
        started[0].end()
        assert started[2].end() == (0, "granted\n", "")
    finally:
        for running in started:
            running.close()


# Waiting on one level


def test_others_go_on_while_one_waits_on_a_level(executor: ThreadPoolExecutor) -> None:
    holder = take("/a/b")
    waiter = executor.submit(library.path_lock("/a/b/c").acquire)
    waiting("/a/b", 1)
    assert [is_granted(path) for path in ("/a/c", "/a/c/d", "/b", "/b/c")] == [True] * 4
    assert is_granted("/", "NL")
    holder.release()
    waiter.result(10).release()


def test_waiter_on_a_level_holds_none_and_all_come_to_an_end(executor: ThreadPoolExecutor) -> None:
    holder = take("/a/b")
    waiters = [executor.submit(library.path_lock("/a/b/c").acquire)]
    waiting("/a/b", 1)
    waiters.append(executor.submit(library.path_lock("/a").acquire))
    until(lambda: None in [seen.below for seen in library.inspect("/a").waiters])  # the first one may stand there, too
    assert [seen.below for seen in library.inspect("/").holders] == ["/a/b"]
    holder.release()
    for done in as_completed(waiters, 10):
        done.result().release()


def test_waiter_for_a_node_does_not_keep_off_who_goes_below_it(executor: ThreadPoolExecutor) -> None:
    """Nothing of what it tried stays locked while it waits."""
    take("/a/b").release()
    holder = take("/a", "CR")
    waiter = executor.submit(library.path_lock("/a").acquire)
    waiting("/a", 1)
    with library.path_lock("/a/b", "PW"):
        assert sorted(str(seen.below) for seen in library.inspect("/a").holders) == ["/a/b", "None"]
    holder.release()
    waiter.result(10).release()


@pytest.mark.parametrize("policy", ["shared-first", "fair"])
def test_policy_of_a_level_says_whether_newcomers_below_pass_who_waits_for_it(
    policy: str, executor: ThreadPoolExecutor
) -> None:
    holder = take("/a", policy=policy)
    waiter = executor.submit(library.path_lock("/", policy=policy).acquire)
    waiting("/", 1)
    below = library.path_lock("/b", policy=policy)
    if policy == "fair":
        with pytest.raises(library.WouldBlock, match="promised to pid"):
            below.acquire_nowait()
    else:
        below.acquire_nowait().release()
    holder.release()
    waiter.result(10).release()


def test_closed_node_closes_all_that_is_below_and_nothing_else(executor: ThreadPoolExecutor) -> None:
    below, beside = take("/a/b"), take("/c")
    library.define("/a", capacity=0, kind="path")
    below.check()
    for path in ("/a", "/a/c", "/a/b/c"):
        with pytest.raises(library.WouldBlock, match=r"the lock is closed \(capacity 0\)"):
            take(path, "CR")
    assert is_granted("/a/c", "NL")
    assert is_granted("/d")
    waiters = [executor.submit(library.path_lock(path).acquire) for path in ("/a/c", "/a/d", "/a/e/f")]
    waiting("/a", 3)
    library.define("/a", capacity=library.UNLIMITED)
    for hold in [below, beside, *(waiter.result(10) for waiter in waiters)]:
        hold.release()
    assert is_granted("/")


# Many at once


def related(one: str, other: str) -> bool:
    """Whether one of them is the other, or above or below it."""
    short, long = sorted((one.rstrip("/") + "/", other.rstrip("/") + "/"), key=len)
    return long.startswith(short)


def excludes(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """The rule of the model, for two of (path, mode)."""
    return related(one[0], other[0]) and one[1] not in LETS_IN[other[1]]


def levels_above(path: str) -> set[str]:
    return {path[:place] or "/" for place, letter in enumerate(path) if letter == "/"} - {path}


TREE = ["/", *("/" + "/".join(names) for depth in (1, 2, 3) for names in itertools.product("ab", repeat=depth))]


def test_threads_on_all_levels_exclude_each_other_and_all_come_to_an_end(
    executor: ThreadPoolExecutor, directory: Path
) -> None:
    inside: list[tuple[str, str]] = []
    guard = threading.Lock()

    def enter(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(40):
            mine = draw.choice(TREE), draw.choice(MODES)
            with library.path_lock(*mine, timeout=60):
                with guard:
                    assert not [other for other in inside if excludes(mine, other)]
                    inside.append(mine)
                with guard:
                    inside.remove(mine)

    for future in [executor.submit(enter, seed) for seed in range(8)]:
        future.result(90)
    assert no_trace(directory)


def test_all_of_paths_is_taken_in_any_order_without_a_deadlock(executor: ThreadPoolExecutor, directory: Path) -> None:
    def enter(*paths: str) -> None:
        for _ in range(25):
            library.all_of(*map(library.path_lock, paths)).acquire(60).release()

    orders = [("/a/b", "/c", "/a-b"), ("/a-b", "/c", "/a/b"), ("/c/d", "/a"), ("/a/b/c", "/c/d/e")]
    for future in [executor.submit(enter, *order) for order in orders]:
        future.result(90)
    assert no_trace(directory)


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize(("first", "second"), [("/a", "/a"), ("/a", "/a/b"), ("/a/b/c", "/a"), ("/", "/a/b/c")])
def test_all_of_a_node_and_one_below_it_is_refused(first: str, second: str, mode: str) -> None:
    """Who passes through the node and then wants it too may meet another who does the same: a deadlock."""
    with pytest.raises(
        ValueError, match=r"several locks at once are different ones.* a lock on a path is one on all that is below"
    ):
        library.all_of(library.path_lock(first, mode), library.path_lock(second, mode))


def test_who_is_inside_a_node_may_go_deeper_but_not_where_its_own_hold_is_in_the_way() -> None:
    with library.path_lock("/a", "CR"):
        with library.path_lock("/a/b", "PW"):
            assert not is_granted("/a/b/c", "PR")
        with pytest.raises(library.Deadlock, match="the same thread holds it"):
            library.path_lock("/a/b").acquire()


# The model


@dataclass(eq=False)
class Contender:
    """One request, in the tree and in the model."""

    lock: Any
    path: str
    mode: str
    open: set[str]
    """The levels above that have been open since it arrived: it may have passed them."""
    claims: Any = None
    steps: Any = None

    def __repr__(self) -> str:
        return f"<{self.mode} on {self.path}>"


class TreeMachine(RuleBasedStateMachine):
    """Contenders with descriptors of their own against a list of holders.

    Nobody sleeps: the wait of each is driven by hand, and `settle` goes round until nobody moves any more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="pylock-model-"))
        self.holders: list[Contender] = []
        self.waiters: list[Contender] = []
        self.closed: set[str] = set()
        # All are of one thread, which would be told that it waits for itself.
        self.patches = [mock.patch.object(waiting_room, "PATIENCE", 0.0), mock.patch.object(together, "note_taken")]
        for patch in self.patches:
            patch.start()

    def may(self, asked: Contender, passed: frozenset[str] | set[str] = frozenset()) -> bool:
        """The rule of the model, for who has passed some of the levels above."""
        if asked.mode == "NL":
            return True
        if not self.closed.isdisjoint({asked.path, *levels_above(asked.path)} - passed):
            return False
        return not any(excludes((asked.path, asked.mode), (holder.path, holder.mode)) for holder in self.holders)

    def new(self, path: str, mode: str) -> Contender:
        lock = library.path_lock(path, mode, directory=self.directory)
        return Contender(lock, path, mode, levels_above(path) - self.closed)

    @rule(path=st.sampled_from(TREE), mode=st.sampled_from(MODES))
    def try_once(self, path: str, mode: str) -> None:
        contender = self.new(path, mode)
        try:
            contender.claims = contender.lock.new_claim()
            fronts.drive(contender.claims.steps(0, waits_as_task=True, refused=library.WouldBlock))
        except library.WouldBlock as refused:
            contender.claims.give_up(refused)
            assert not self.may(contender) or self.waiters, "refused although it is free and nobody waits"
        else:
            self.granted(contender)
        self.settle()

    @rule(wanted=st.lists(st.tuples(st.sampled_from(TREE), st.sampled_from(MODES)), min_size=1, max_size=3))
    def arrive(self, wanted: list[tuple[str, str]]) -> None:
        for path, mode in wanted:
            contender = self.new(path, mode)
            contender.claims = contender.lock.new_claim()
            contender.steps = contender.claims.steps(None)
            self.waiters.append(contender)
            self.step(contender, None)
            self.settle()

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        contender = data.draw(st.sampled_from(self.holders))
        self.holders.remove(contender)
        contender.claims.release()
        self.settle()

    @precondition(lambda self: self.holders or self.waiters)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """Close without release, as the kernel does for a killed process."""
        contender = data.draw(st.sampled_from(self.holders + self.waiters))
        if contender in self.holders:
            self.holders.remove(contender)
        else:
            self.waiters.remove(contender)
            with mock.patch.object(together._Part, "leave"):
                contender.steps.close()
        for claim in contender.claims.claims:
            if not claim.is_released:
                descriptors.close(claim.fd)
                claim.fd = -1
        self.settle()

    @precondition(lambda self: self.waiters)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        contender = data.draw(st.sampled_from(self.waiters))
        self.waiters.remove(contender)
        contender.steps.close()
        contender.claims.give_up(KeyboardInterrupt())
        self.settle()

    @rule(path=st.sampled_from(TREE))
    def close_node(self, path: str) -> None:
        self.closed.add(path)
        library.define(path, capacity=0, kind="path", directory=self.directory)
        self.settle()

    @precondition(lambda self: self.closed)
    @rule(data=st.data())
    def open_node(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.closed)))
        self.closed.remove(path)
        for waiter in self.waiters:
            waiter.open |= levels_above(waiter.path) & {path}
        library.define(path, capacity=library.UNLIMITED, directory=self.directory)
        self.settle()

    def step(self, contender: Contender, rung: bool | None) -> bool:
        """Let the waiter look once; tell whether it left the queue."""
        try:
            _ = next(contender.steps) if rung is None else contender.steps.send(rung)
            return False
        except StopIteration:
            self.waiters.remove(contender)
            self.granted(contender)
            return True

    def granted(self, contender: Contender) -> None:
        may = self.may(contender, contender.open)
        self.holders.append(contender)
        assert may, f"granted beside {self.holders[:-1]}"

    def settle(self) -> None:
        """Ring everybody, in an order that favours nobody, until nobody is granted any more."""
        while any(self.step(contender, True) for contender in reversed(self.waiters)):
            pass

    @invariant()
    def somebody_who_waits_waits_for_a_holder(self) -> None:
        """Else those who wait would wait for each other for ever."""
        assert not self.waiters or not all(self.may(waiter) for waiter in self.waiters), self.waiters

    @invariant()
    def each_level_shows_who_is_on_it_and_below_it(self) -> None:
        if self.waiters:
            return  # who have got some of their levels
        expected: dict[str, list[str]] = {}
        for holder in self.holders:
            for node in TREE if holder.mode != "NL" else [holder.path]:
                if node == holder.path or node in levels_above(holder.path):
                    expected.setdefault(node, []).append(f"{holder.path} {holder.mode}")
        seen = {
            state.name: sorted(f"{holder.below or state.name} {holder.mode.code}" for holder in state.holders)
            for state in library.status(self.directory)
            if state.holders
        }
        assert seen == {node: sorted(holders) for node, holders in expected.items()}

    def teardown(self) -> None:
        for contender in self.waiters:
            contender.steps.close()
            contender.claims.close()
        for contender in self.holders:
            contender.claims.release()
        for patch in self.patches:
            patch.stop()
        try:
            assert not any(state.holders or state.waiters for state in library.status(self.directory))
        finally:
            shutil.rmtree(self.directory)


TestModel = TreeMachine.TestCase
TestModel.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
