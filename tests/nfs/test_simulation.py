"""Who waits on a file server asks little of it: the simulation of `benchmarks.hosts`, small, with no hosts at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import hosts


@pytest.mark.parametrize("count", [2, 20])
def test_host_that_waits_asks_the_server_little(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seconds = 4.0
    with hosts.far_directory():
        waiting = hosts.waiting_hosts(count, seconds)
    for host in waiting:
        assert host.looks / seconds >= 1, "who never looks is never granted a lock that another host lets go"
        assert host.requests / seconds <= hosts.MOST_PER_HOST


def test_first_of_those_who_wait_looks_more_often_than_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with hosts.far_directory():
        first, *others = hosts.waiting_hosts(5, 4.0)
    assert first.looks > 3 * max(host.looks for host in others)
