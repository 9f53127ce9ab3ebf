"""What only some sites can do: restart the file server, cut a host off, switch it off. See ``conftest.py``."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from nfs.conftest import Link, Site, waiting
from nfs.hosts import Contender, Refused

New = Callable[[], Contender]
Figure = Callable[[str], None]
Hook = Callable[[str], Callable[[], None]]

GRACE = 120
"""Seconds that a server may take, after its restart, until it answers all."""


def patience(site: Site) -> float:
    """Seconds in which the locks of a host that is cut off have been given away, if they ever are."""
    return 2 * site.lease + 30


def gives_locks_away(contender: Contender) -> bool:
    """Whether the server does so after a lease; that of NFS 3 keeps them until the host is back."""
    return contender.where["version"] != "3"


def test_locks_and_waiters_outlive_a_restart_of_the_server(on_a: New, on_b: New, hook: Hook, figure: Figure) -> None:
    restart, holder, waiter, other = hook("RESTART_SERVER"), on_a(), on_b(), on_b()
    token = holder.ask("acquire", name="x")
    waiter.tell("acquire", name="x")
    waiting(other, "x", 1)
    restart()
    begun = time.monotonic()
    holder.tell("check")
    holder.answer(GRACE)
    other.tell("attempt", name="y")
    other.answer(GRACE)
    figure(f"server restarted: another lock is had again after {time.monotonic() - begun:.1f} s")
    assert other.refusal("attempt", name="x") == "WouldBlock"
    assert other.ask("inspect", "x")["waiters"] == [[waiter.host, waiter.pid]]
    assert not waiter.has_answered()
    begun = time.monotonic()
    holder.ask("release")
    assert waiter.answer() > token
    figure(f"server restarted: hand-over after it {(time.monotonic() - begun) * 1e3:.0f} ms")


def test_counter_loses_nothing_over_a_restart_of_the_server(on_a: New, on_b: New, hook: Hook, place: str) -> None:
    restart, rounds, workers = hook("RESTART_SERVER"), 30, [on_a(), on_b()]
    for worker in workers:
        worker.tell("count", "x", f"{place}/counter", rounds)
    restart()
    seen = sorted(number for worker in workers for _, number in worker.answer(GRACE + 300))
    assert seen == list(range(1, 2 * rounds + 1))


def test_lock_of_a_host_that_is_cut_off_is_lost_and_check_tells(
    site: Site, a: Contender, b: Contender, link: Link, figure: Figure
) -> None:
    if not gives_locks_away(a):
        pytest.skip("NFS 3 has no lease: the locks of a host that is cut off stay its own")
    token = a.ask("acquire", name="x")
    link.cut()
    begun = time.monotonic()
    b.tell("acquire", name="x")
    assert b.answer(patience(site)) > token
    figure(f"host cut off, lease {site.lease:g} s: the other has its lock after {time.monotonic() - begun:.1f} s")
    link.join()
    a.tell("check")
    with pytest.raises(Refused) as caught:
        a.answer(patience(site))
    assert caught.value.kind == "LockLost"
    a.ask("release")
    b.ask("check")
    assert a.refusal("attempt", name="x") == "WouldBlock"


def test_command_whose_lock_is_lost_is_ended(
    site: Site, a: Contender, b: Contender, link: Link, figure: Figure
) -> None:
    if not gives_locks_away(a):
        pytest.skip("NFS 3 has no lease: the locks of a host that is cut off stay its own")
    command = a.ask("start", "run", "x", "--", "sh", "-c", "echo in; exec sleep 600")
    assert a.ask("line", command) == "in"
    link.cut()
    b.tell("acquire", name="x")
    b.answer(patience(site))
    link.join()
    begun = time.monotonic()
    a.tell("end", command)
    ended = a.answer(patience(site))
    figure(f"host joined again: the command whose lock was lost has ended after {time.monotonic() - begun:.1f} s")
    assert ended["code"] != 0
    assert "lost" in ended["errors"]


def test_lock_of_a_host_that_is_cut_off_stays_its_own_on_nfs_3(
    site: Site, a: Contender, b: Contender, link: Link
) -> None:
    if gives_locks_away(a):
        pytest.skip("is for NFS 3, which has no lease")
    a.ask("acquire", name="x")
    link.cut()
    b.tell("acquire", name="x")
    assert not b.has_answered(2 * site.lease)
    link.join()
    a.tell("check")
    a.answer(patience(site))
    a.ask("release")
    b.answer()


def test_lock_that_nobody_wanted_is_kept_by_a_host_that_was_cut_off(
    site: Site, a: Contender, b: Contender, link: Link
) -> None:
    a.ask("acquire", name="x")
    link.cut()
    assert not a.has_answered(1.5 * site.lease)
    link.join()
    a.tell("check")
    a.answer(patience(site))
    assert b.refusal("attempt", name="x") == "WouldBlock"


def test_waiter_that_was_cut_off_waits_on(site: Site, a: Contender, on_b: New, link: Link) -> None:
    holder = on_b()
    holder.ask("acquire", name="x")
    a.tell("acquire", name="x")
    waiting(holder, "x", 1)
    link.cut()
    assert not a.has_answered(0.5 * site.lease)
    link.join()
    holder.ask("release")
    a.answer(patience(site))


def test_locks_of_a_host_that_crashed_are_free_again(
    site: Site, on_a: New, b: Contender, hook: Hook, figure: Figure
) -> None:
    crash, boot, lost = hook("CRASH_A"), hook("BOOT_A"), on_a()
    gives_away = gives_locks_away(lost)
    lost.ask("acquire", name="x")
    crash()
    try:
        begun = time.monotonic()
        b.tell("acquire", name="x")
        if gives_away:
            b.answer(patience(site))
            figure(f"host crashed: the other has its lock after {time.monotonic() - begun:.1f} s, while it is down")
        else:
            assert not b.has_answered(2 * site.lease)
    finally:
        boot()
    if not gives_away:
        b.answer(patience(site))
        figure("host crashed: the other has its lock only once it is up again")
    site.a.close()
    assert on_a().refusal("attempt", name="x") == "WouldBlock"
