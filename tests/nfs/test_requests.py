"""What the server is asked for, as the hosts' own statistics count it; `benchmarks` computes it for many hosts."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from nfs.conftest import waiting
from nfs.hosts import Contender

New = Callable[[], Contender]
Figure = Callable[[str], None]
Counts = dict[str, int]

MOST_FOR_ONE = 20
"""Requests of a take and a release that nobody is in the way of."""
MOST_PER_WAITER = 40
"""Requests a second, also of the first, who looks most often; as in `benchmarks.hosts`."""
KEEPING = {"SEQUENCE", "RENEW", "NULL"}
"""What a client asks by itself, to be taken for alive."""


def counted(*contenders: Contender) -> Counts:
    """The requests of their hosts up to now. Skips where nothing counts them, as for the locks of NFS 3."""
    total: Counts = {}
    for contender in contenders:
        if contender.where["version"] == "3":
            pytest.skip("the statistics of NFS 3 do not count what is asked of its lock service")
        counts = contender.ask("requests")
        if counts is None:
            pytest.skip(f"the mount of {contender.where['type']} has no statistics")
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return total


def more(before: Counts, now: Counts) -> Counts:
    return {name: now[name] - before[name] for name in now if now[name] > before[name] and name not in KEEPING}


def words(counts: Counts, by: float) -> str:
    return ", ".join(f"{name} {count / by:.1f}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1]))


def test_lock_that_is_free_costs_few_requests(a: Contender, figure: Figure) -> None:
    a.ask("acquire", name="x")
    a.ask("release")
    before = counted(a)
    for _ in range(10):
        a.ask("acquire", name="x")
        a.ask("release")
    asked = more(before, counted(a))
    figure(f"requests of one take and release: {sum(asked.values()) / 10:.1f} ({words(asked, 10)})")
    assert sum(asked.values()) / 10 <= MOST_FOR_ONE


def test_who_waits_asks_little(on_a: New, on_b: New, figure: Figure) -> None:
    holder, watcher, queue = on_a(), on_b(), []
    holder.ask("acquire", name="x")
    for place, new in enumerate((on_b, on_a, on_b, on_a), 1):
        queue.append(new())
        queue[-1].tell("acquire", name="x")
        waiting(watcher, "x", place)
        time.sleep(2)  # in which its looks become as rare as they are for the rest of its wait
        before, seconds = counted(holder, watcher), 5
        time.sleep(seconds)
        asked = more(before, counted(holder, watcher))
        rate = sum(asked.values()) / seconds
        figure(f"{place} waiting: {rate:.0f} requests/s ({words(asked, seconds)})")
        assert rate <= MOST_PER_WAITER * place
