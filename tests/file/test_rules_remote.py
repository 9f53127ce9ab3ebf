"""A directory that other hosts use: nothing that was read before counts, nothing is removed, all is written through.

The hosts are those of ``remote.Host``, which remember what they have read for ever.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import subprocess
from pathlib import Path

import pytest
from command import environment
from contender import Contender, until, waiting
from kernel import PENDING, descriptors_of, failing_once, is_locked, replaced
from remote import HOST

import pylock


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command on another host."""
    return subprocess.run(
        [*HOST, "-m", "pylock", *words], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )


def ring_and_be_heard(bell: Path) -> None:
    """Wake the waiter whose bell it is; return once it has taken note."""
    fd = os.open(bell, os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(fd, b"!")
        until(lambda: not select.select([fd], [], [], 0)[0])
    finally:
        os.close(fd)


def test_directory_is_taken_for_one_that_other_hosts_use(remote: Path) -> None:
    with pylock.lock("x"):
        pass
    assert "is on nfs4, where other hosts" in command("clean").stdout


def test_lock_excludes_on_other_hosts_too(hosts: type[Contender]) -> None:
    here, there = hosts(), hosts()
    here.acquire("x")
    assert there.ask("try", name="x", mode="shared") == "WouldBlock"
    there.start_acquiring("x")
    here.release()
    assert isinstance(there.answer(), int)


# What is read


def test_closed_lock_that_is_opened_on_another_host_is_noticed(hosts: type[Contender], remote: Path) -> None:
    pylock.define("x", capacity=0)
    waiter = hosts()
    waiter.start_acquiring("x")
    until(lambda: is_locked(remote / "x.lock", PENDING))  # the last lock that it takes as long as it is closed
    [bell] = remote.glob("x.lock.*")
    for _ in range(2):  # when it has heard the second, it has read after the first
        ring_and_be_heard(bell)
    pylock.define("x", capacity=pylock.UNLIMITED)
    assert isinstance(waiter.answer(), int)


def test_capacity_that_was_raised_on_another_host_is_seen_by_a_plain_try(hosts: type[Contender]) -> None:
    host = hosts()
    pylock.define("x", capacity=1)
    with pylock.lock("x", "shared"):
        assert host.ask("try", name="x", mode="shared") == "WouldBlock"
        pylock.define("x", capacity=2)
        assert isinstance(host.ask("try", name="x", mode="shared"), int)


def test_refusal_names_who_holds_now(hosts: type[Contender]) -> None:
    host = hosts()
    with pylock.lock("x", reason="the first"):
        assert "(the first)" in host.ask("complain", name="x")
    with pylock.lock("x", reason="the second"):
        assert "(the second)" in host.ask("complain", name="x")


def test_who_looks_sees_who_holds_now(hosts: type[Contender]) -> None:
    host, holder = hosts(), hosts()
    with pylock.lock("x"):
        assert host.ask("holders", name="x") == [os.getpid()]
    holder.acquire("x")
    assert host.ask("holders", name="x") == [holder.pid]


def test_file_that_was_made_on_another_host_is_found_by_who_looks(hosts: type[Contender]) -> None:
    host = hosts()
    assert host.ask("holders", name="x") == []
    with pylock.lock("x"):
        assert host.ask("holders", name="x") == [os.getpid()]


def test_file_that_is_made_on_another_host_meanwhile_is_found(remote: Path) -> None:
    """This host found it absent, and believes so until it asks the server to make it, whoever has made it."""
    real, absent = os.open, True

    def open_(path: str, flags: int, *mode: int) -> int:
        nonlocal absent
        if flags & os.O_EXCL:
            os.close(real(path, os.O_CREAT | os.O_EXCL, 0o600))
        elif flags & os.O_CREAT:
            absent = False
        elif absent:
            raise FileNotFoundError(errno.ENOENT, "so this host believes", path)
        return real(path, flags, *mode)

    with replaced(os, "open", open_):
        pylock.lock("x").acquire_nowait().release()
    assert not absent


def test_lock_files_on_nfs_4_are_read_past_the_cache(remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client with a delegation believes what it has cached, even after it locked; tests/nfs has it for real."""
    monkeypatch.setattr(os, "O_DIRECT", os.O_NOATIME)  # a flag that needs no alignment on this file system
    real, used = os.open, []

    def open_(path: str, flags: int, *mode: int) -> int:
        if str(path).endswith(".lock") and not flags & os.O_CREAT:
            used.append(bool(flags & os.O_NOATIME))
        return real(path, flags, *mode)

    with replaced(os, "open", open_):
        pylock.define("x", capacity=2)
        hold = pylock.lock("x", "shared").acquire()
        hold.check()
        pylock.inspect("x")
        with pytest.raises(pylock.LockTimeout):
            pylock.lock("x", timeout=0.01).acquire()
        hold.release()
    assert len(used) >= 5
    assert all(used)


def test_lock_files_on_a_disk_are_read_from_the_cache(directory: Path) -> None:
    with pylock.lock("x") as hold:
        assert not fcntl.fcntl(hold.fileno(), fcntl.F_GETFL) & os.O_DIRECT


# What is written


@pytest.mark.parametrize("mode", ["exclusive", "shared", "concurrent_read"])
def test_record_of_a_holder_is_on_the_server_as_long_as_it_holds(mode: str, hosts: type[Contender]) -> None:
    holder = hosts()
    holder.acquire("x", mode)
    assert [holder.pid for holder in pylock.inspect("x").holders] == [holder.pid]


def test_record_of_a_waiter_is_on_the_server_as_long_as_it_waits(hosts: type[Contender]) -> None:
    waiter = hosts()
    with pylock.lock("x"):
        waiter.start_acquiring("x")
        assert [waiter.pid for waiter in pylock.inspect("x").waiters] == [waiter.pid]


def test_record_of_a_converted_hold_is_on_the_server(hosts: type[Contender]) -> None:
    holder = hosts()
    holder.acquire("x")
    holder.ask("convert", mode="concurrent_read")
    assert [holder.mode.code for holder in pylock.inspect("x").holders] == ["CR"]


# What is removed


def test_no_lock_file_is_removed_where_another_host_may_go_on_with_the_dead_one(remote: Path) -> None:
    with pylock.lock("unused"):
        pass
    with pylock.lock("short", idle_lifespan=0):
        pass
    assert command("clean").returncode == 0
    assert "unused" not in command("clean", "--dry-run").stdout
    assert {"unused.lock", "short.lock"} <= set(os.listdir(remote))


def test_bell_of_one_who_was_killed_is_removed_there_too(remote: Path, contenders: type[Contender]) -> None:
    killed = contenders()
    with pylock.lock("x"):
        killed.start_acquiring("x")
        killed.kill()
        waiting("x", 0)
    assert [path for path in remote.iterdir() if stat.S_ISFIFO(path.stat().st_mode)]
    assert command("clean").returncode == 0
    assert os.listdir(remote) == ["x.lock"]


# What is kept open, and lost


def test_no_descriptor_is_kept_for_the_next_time(remote: Path) -> None:
    lock = pylock.lock("x")
    for _ in range(40):
        lock.acquire().release()
        assert descriptors_of(remote / "x.lock") == []


@pytest.mark.parametrize(("code", "why"), [(errno.EIO, "gave it up"), (errno.ESTALE, "removed on another host")])
def test_check_asks_the_server_whether_it_still_has_the_lock(code: int, why: str, remote: Path) -> None:
    with pylock.lock("x") as hold:
        hold.check()
        [held] = descriptors_of(remote / "x.lock")
        lost = failing_once(os.pread, code, lambda fd, *_: fd == held)
        with replaced(os, "pread", lost), pytest.raises(pylock.LockLost, match=why):
            hold.check()


def test_waiter_that_no_bell_reaches_has_the_lock_after_a_look(hosts: type[Contender], remote: Path) -> None:
    """As where the holder is on another host: its bell rings there."""
    holder, waiter = hosts(), hosts()
    holder.acquire("x")
    waiter.start_acquiring("x")
    for bell in until(lambda: list(remote.glob("x.lock.*"))):
        bell.unlink()
    holder.release()
    assert isinstance(waiter.answer(), int)
    assert is_locked(remote / "x.lock", 1)
