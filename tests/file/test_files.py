"""Names, directories and lock files: what is there is checked, never believed."""

from __future__ import annotations

import json
import os
import pwd
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import hypothesis.strategies as st
import pytest
from contender import waiting
from hypothesis import given, settings
from kernel import GATE, is_locked

import pylock
from pylock import _definitions
from pylock import _process as process
from pylock._acquiring import agreement
from pylock._file import directories, layout, lockfile, removal
from pylock._file import directories as mounts
from pylock._file import header as headers
from pylock._file.bytemap import SEAT_COUNT
from pylock._request import Grant, Request

NAMES = ["a/b", "a_b", "a%2Fb", ".", "..", "ä", "a\0b", "-", "x" * 300, "x" * 301, "ö" * 200, '"', "\udc80", " "]


def test_names_that_look_alike_are_different_locks() -> None:
    holds = [pylock.lock(name).acquire_nowait() for name in NAMES]
    assert sorted(lock.name for lock in pylock.status()) == sorted(NAMES)
    for name, hold in zip(NAMES, holds, strict=True):
        with pytest.raises(pylock.WouldBlock):
            pylock.lock(name).acquire_nowait()
        hold.release()


@given(st.text(min_size=1), st.text(min_size=1))
def test_file_name_is_injective_and_fits(one: str, other: str) -> None:
    first, second = layout.file_name(one), layout.file_name(other)
    assert (first == second) is (one == other)
    assert len(os.fsencode(first)) <= 255 - len(".16383")
    assert "/" not in first
    assert not first.startswith(".")


@given(
    st.text(min_size=1),
    st.none() | st.integers(0, pylock.UNLIMITED),
    st.sampled_from([None, "fair", "shared-first"]),
    st.booleans(),
)
def test_header_is_read_as_it_was_written(name: str, capacity: int | None, policy: str | None, defined: bool) -> None:
    definition = pylock.Definition(capacity, policy, defined)
    raw = headers.write_header(name, definition)
    assert len(raw) == layout.header_size(name)
    assert raw.endswith(b"\n")
    assert headers.read_header(raw + b"more", name, "path") == definition


def test_header_that_was_seen_half_written_is_not_remembered(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "n" * 9000
    header = headers.write_header(name, pylock.Definition())
    (directory / layout.file_name(name)).write_bytes(header[:4096])

    def while_the_writer_goes_on(fd: int) -> bool:
        os.pwrite(fd, header, 0)
        return False

    lock = pylock.lock(name)
    with monkeypatch.context() as patch:
        patch.setattr(agreement, "take_gate", while_the_writer_goes_on)
        lock.acquire().release()
    pylock.define(name, capacity=0)
    with pytest.raises(pylock.WouldBlock, match="closed"):
        lock.acquire_nowait()


def test_file_that_becomes_one_of_another_kind_meanwhile_is_no_damaged_one(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def while_somebody_makes_a_pool(fd: int) -> bool:
        headers.put_header(fd, str(directory / "x.lock"), "x", headers.Definition(kind="pool", places=(("red", 0),)))
        return True

    monkeypatch.setattr(agreement, "take_gate", while_somebody_makes_a_pool)
    with pytest.raises(pylock.DefinitionMismatch, match="is a pool, not a lock"):
        pylock.lock("x").acquire()


def test_header_that_was_read_again_leaves_the_gate_to_others(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looked damaged, as somebody was about to write it."""
    pylock.define("x", capacity=3)
    looks = iter([b'{"pylock":1,"na'])
    real = agreement._definition
    monkeypatch.setattr(
        agreement, "_definition", lambda head, request: real(next(looks, head).ljust(len(head)), request)
    )
    with pylock.lock("x", "shared", capacity=3):
        assert next(looks, None) is None
        pylock.define("x", capacity=4)
        assert not is_locked(directory / "x.lock", GATE)


def test_kind_is_set_while_somebody_has_taken_the_lock_and_is_about_to_say_the_same(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, goes_on = Event(), Event()

    def once_it_may(fd: int) -> bool:
        taken.set()
        assert goes_on.wait(10)
        return lockfile.take_gate(fd)

    def leave(fd: int) -> None:
        lockfile.leave_gate(fd)
        goes_on.set()

    monkeypatch.setattr(agreement, "take_gate", once_it_may)
    monkeypatch.setattr(_definitions, "leave_gate", leave)
    taking = executor.submit(pylock.sequence("x").acquire)
    assert taken.wait(10)
    assert pylock.define("x", kind="sequence").kind == "sequence"
    taking.result().release()


@given(st.text())
def test_quoted_text_is_json(text: str) -> None:
    raw = layout.quote(text).encode("utf-8", "surrogatepass")
    assert json.loads(raw.decode("utf-8", "surrogatepass")) == text
    assert len(raw.splitlines()) == 1


@settings(max_examples=300)
@given(st.binary(min_size=1, max_size=300), st.integers(0, 250))
def test_damaged_header_is_a_bad_lock_file_before_anything_is_granted(noise: bytes, place: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        with pylock.lock("x", directory=directory):
            pass
        path = Path(directory, "x.lock")
        raw = path.read_bytes()
        damaged = (raw[:place] + noise + raw[place + len(noise) :])[: max(len(raw), place + len(noise))]
        path.write_bytes(damaged)
        try:
            with pylock.lock("x", directory=directory), pytest.raises(pylock.WouldBlock):
                pylock.lock("x", directory=directory).acquire_nowait()
        except pylock.BadLockFile as error:
            assert str(path) in str(error)
            assert path.read_bytes() == damaged, "nothing was changed"
        pylock.status(directory)


@pytest.mark.parametrize("content", [b"", b"\0" * 256, b"\0" * 5])
def test_file_that_was_emptied_or_zeroed_begins_anew_and_still_excludes(content: bytes, directory: Path) -> None:
    with pylock.lock("x", "exclusive", capacity=5):
        (directory / "x.lock").write_bytes(content)
        with pytest.raises(pylock.WouldBlock):
            pylock.lock("x").acquire_nowait()
    with pylock.lock("x"):
        pass


def test_record_that_is_garbage_hides_nobody(directory: Path) -> None:
    with pylock.lock("x"):
        raw = bytearray((directory / "x.lock").read_bytes())
        raw[256:] = b"\xff" * (len(raw) - 256)
        (directory / "x.lock").write_bytes(raw)
        (holder,) = pylock.inspect("x").holders
        assert (holder.mode, holder.pid, holder.token) == (pylock.Mode.EXCLUSIVE, None, None)
        with pytest.raises(pylock.WouldBlock, match="somebody whose record cannot be read"):
            pylock.lock("x").acquire_nowait()


def test_token_after_garbage_is_greater_than_before(directory: Path) -> None:
    with pylock.lock("x") as hold:
        before = hold.token
    raw = bytearray((directory / "x.lock").read_bytes())
    raw[265:281] = b"0" * 16
    (directory / "x.lock").write_bytes(raw)
    with pylock.lock("x") as hold:
        assert hold.token > before


def test_newer_format_is_refused_with_what_to_do(directory: Path) -> None:
    (directory / "x.lock").write_text('{"pylock":2,"name":"x"}\n')
    with pytest.raises(pylock.BadLockFile, match="format 2, this pylock knows 1; use a newer pylock"):
        pylock.lock("x").acquire()


def test_file_of_another_lock_is_refused(directory: Path) -> None:
    with pylock.lock("x"):
        pass
    (directory / "x.lock").rename(directory / "y.lock")
    with pytest.raises(pylock.BadLockFile, match="the file of the lock 'x', not of 'y'"):
        pylock.lock("y").acquire()


def test_symbolic_link_is_not_followed(directory: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    (directory / "x.lock").symlink_to(target)
    with pytest.raises(pylock.BadLockFile, match="a symbolic link"):
        pylock.lock("x").acquire()
    assert not target.exists()


def test_fifo_directory_and_other_file_are_refused_and_left_alone(directory: Path) -> None:
    os.mkfifo(directory / "fifo.lock")
    (directory / "directory.lock").mkdir()
    (directory / "text.lock").write_text("precious")
    for name in ("fifo", "directory", "text"):
        with pytest.raises(pylock.BadLockFile, match=f"{name}.lock cannot be used as a lock file"):
            pylock.lock(name).acquire()
    assert (directory / "text.lock").read_text() == "precious"


def test_empty_file_with_a_second_name_is_not_written_to(directory: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.touch()
    os.link(precious, directory / "x.lock")
    with pytest.raises(pylock.BadLockFile, match="more than one name"):
        pylock.lock("x").acquire()
    assert precious.read_bytes() == b""


def test_file_planted_as_a_bell_is_not_written_to(directory: Path) -> None:
    planted = directory / "x.lock.0"
    planted.write_text("precious")
    hold = pylock.lock("x").acquire()
    with pytest.raises(pylock.LockTimeout):
        pylock.lock("x").acquire(0.02)
    hold.release()
    assert planted.read_text() == "precious"


@pytest.mark.parametrize(("mode", "expected"), [(0o700, 0o600), (0o2770, 0o660), (0o1777, 0o666), (0o755, 0o644)])
def test_mode_of_a_new_file_follows_the_directory_and_not_the_umask(mode: int, expected: int, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    before = os.umask(0o077)
    try:
        with pylock.lock("x", directory=shared):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((shared / "x.lock").stat().st_mode) == expected | stat.S_ISVTX


def test_existing_file_keeps_its_mode(directory: Path) -> None:
    with pylock.lock("x"):
        pass
    (directory / "x.lock").chmod(0o640)
    with pylock.lock("x"):
        pass
    assert stat.S_IMODE((directory / "x.lock").stat().st_mode) == 0o640


def test_lock_file_is_readable_text(directory: Path) -> None:
    with pylock.lock("x", "exclusive", reason="nightly", capacity=3):
        header, record = (directory / "x.lock").read_text().splitlines()
    assert json.loads(header)["name"] == "x"
    assert json.loads(header)["capacity"] == 3
    assert json.loads(record)["reason"] == "nightly"
    assert json.loads(record)["pid"] == os.getpid()


def test_long_reason_and_command_are_cut_to_fit() -> None:
    with pylock.lock("x", reason='"ä' * 500):
        (holder,) = pylock.inspect("x").holders
        assert holder.reason is not None
        assert holder.reason.startswith('"ä"ä')
        assert holder.pid == os.getpid()


def test_user_is_recorded_by_number_and_shown_by_name(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pylock.lock("x"):
        assert f'"uid":{os.geteuid()},' in (directory / "x.lock").read_text()
        assert pylock.inspect("x").holders[0].user == pwd.getpwuid(os.geteuid()).pw_name
    for nobody in (3_999_999_999, 1 << 80):  # one that has no name, and one that cannot be a user
        monkeypatch.setattr(process, "_identity", None)
        monkeypatch.setattr(os, "geteuid", lambda uid=nobody: uid)
        with pylock.lock(f"of {nobody}"):
            assert pylock.inspect(f"of {nobody}").holders[0].user == str(nobody)


def test_given_directory_that_is_missing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match="does not exist; make it, or check that its file system is mounted"
    ) as caught:
        pylock.lock("x", directory=tmp_path / "absent")
    assert caught.value.filename == str(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        pylock.lock("x", directory=tmp_path / "file")


def test_relative_directory_is_meant_from_where_the_call_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("one", "two"):
        (tmp_path / place / "locks").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / place)
        with pylock.lock("x", directory="locks"):
            assert (tmp_path / place / "locks" / "x.lock").exists()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "home" / ".local" / "state" / "pylock"
    monkeypatch.delenv("PYLOCK_DIR")
    monkeypatch.setattr(directories, "_own_path", lambda: str(path))
    return path


def test_own_directory_is_made_private(own: Path) -> None:
    with pylock.lock("own-1"):
        assert stat.S_IMODE(own.stat().st_mode) == 0o700


def test_own_directory_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = directories._own_path()
    for variable in ("HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "TMPDIR"):
        monkeypatch.setenv(variable, "/nonsense")
    assert directories._own_path() == before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda own: own.symlink_to("/tmp"), "is a symbolic link"),
        (lambda own: own.mkdir() or own.chmod(0o777), "can be written by others"),
        (lambda own: own.mkdir() or os.chown(own, 12345, -1), "belongs to user 12345"),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_own_directory_that_is_not_ours_alone_is_refused(own: Path, spoil: object, message: str) -> None:
    own.parent.mkdir(parents=True)
    spoil(own)  # type: ignore[operator]
    with pytest.raises(pylock.LockError, match=message):
        pylock.lock("own-2")


def test_mount_table_is_understood() -> None:
    line = "36 35 98:0 /mnt1 /a\\040b rw,noatime shared:1 - nfs4 server:/export rw,local_lock=posix\n"
    mount = mounts._parse(line)
    assert (mount.point, mount.type, mount.source) == ("/a b", "nfs4", "server:/export")
    assert mount.remote
    assert mount.locks_stay_on_this_host
    assert not mounts._parse(line.replace("local_lock=posix", "local_lock=none")).locks_stay_on_this_host
    assert mounts.mount_of("/proc").type == "proc"


def test_of_two_mounts_at_one_point_the_later_one_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    line = "36 35 98:0 / /mnt rw - {} source rw\n"
    table.write_text(line.format("nfs4") + line.format("ext4") + line.replace("/mnt", "/").format("xfs"))
    monkeypatch.setattr(mounts, "open", lambda path, **how: table.open(**how), raising=False)
    assert mounts.mount_of("/mnt/locks").type == "ext4"


def test_mount_that_hides_locks_from_other_hosts_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = mounts.Mount("/mnt", "nfs", "server:/export", frozenset(["nolock"]))
    monkeypatch.setattr(directories, "mount_of", lambda path: mount)
    monkeypatch.setattr(os, "major", lambda device: 0)  # as a file system without a disk has
    (tmp_path / "nfs").mkdir()
    with pytest.raises(pylock.Unsupported, match="mounted from server:/export with locks kept on this host"):
        pylock.lock("x", directory=tmp_path / "nfs")


def test_file_system_without_a_disk_is_told_by_its_type_from_one_of_other_hosts() -> None:
    table = Path("/proc/self/mountinfo").read_text().splitlines()
    types = {line.split(" - ")[1].split()[0]: line.split()[4] for line in table}
    assert directories._is_of_this_host(os.stat(types["tmpfs"]).st_dev)
    assert not directories._is_of_this_host(os.stat(types["proc"]).st_dev)
    assert not directories._is_of_this_host(os.makedev(0, 99_999)), "not in the table, as a part of a btrfs"


@pytest.mark.parametrize("several", [False, True], ids=["lock", "all_of"])
def test_file_removed_by_hand_during_a_long_wait_is_noticed(
    several: bool, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pylock._acquiring import steps, together

    monkeypatch.setattr(steps, "LONG", 0.0)
    monkeypatch.setattr(together, "LONG", 0.0)
    wanted: Any = pylock.all_of(pylock.lock("x"), pylock.lock("y")) if several else pylock.lock("x")
    old = pylock.lock("x").acquire()
    with ThreadPoolExecutor() as pool:
        waiter = pool.submit(wanted.acquire)
        waiting("x", 1)
        (directory / "x.lock").unlink()
        new = pylock.lock("x").acquire()
        old.release()
        waiting("x", 1)
        assert not waiter.done(), "it was granted the dead file, and queues up at the new one"
        new.release()
        waiter.result(10).release()


def test_disk_that_several_hosts_share_is_looked_up_in_the_table_of_mounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "gfs2"
    shared.mkdir()
    monkeypatch.setattr(os, "major", lambda device: 253)
    monkeypatch.setattr(directories, "mount_of", lambda path: mounts.Mount("/", "gfs2", "/dev/san", frozenset()))
    assert not directories._look_at(str(tmp_path)).remote
    monkeypatch.setattr(directories, "_SHARED_DISKS", (str(shared),))
    assert directories._look_at(str(tmp_path)).remote
    assert directories._look_at(str(tmp_path)).mount.type == "gfs2"


def test_clean_removes_what_is_idle_and_keeps_the_rest(directory: Path) -> None:
    where = directories.resolve(str(directory))
    for name in ("idle", "held", "defined"):
        with pylock.lock(name):
            pass
    pylock.define("defined", capacity=0)
    os.mkfifo(directory / "idle.lock.3")
    like_bells = [f"idle.lock.{word}" for word in ("03", "x", SEAT_COUNT)]
    for name in like_bells:
        os.mkfifo(directory / name)
    (directory / "other").touch()
    (directory / "of-another-program.lock").touch()
    with pylock.lock("held"):
        assert list(removal.clean(where, dry_run=True)) == ["idle.lock.3", "idle.lock"]
        assert list(removal.clean(where)) == ["idle.lock.3", "idle.lock"]
        left = sorted(entry.name for entry in directory.iterdir())
        assert left == ["defined.lock", "held.lock", *sorted(like_bells), "of-another-program.lock", "other"]


def test_bell_of_a_waiter_for_a_file_that_took_the_place_meanwhile_stays(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its seat is free in the file that was opened, and taken in the one that is there."""
    with pylock.lock("x"):
        pass
    bell = directory / "x.lock.0"
    os.mkfifo(bell)
    real = removal.try_lock

    def too_late(fd: int, lock: bytes) -> bool:
        (directory / "x.lock").rename(directory / "old")
        (directory / "x.lock").touch()
        return real(fd, lock)

    monkeypatch.setattr(removal, "try_lock", too_late)
    assert not removal._remove_bell(str(directory), "x.lock", "0", dry_run=False)
    assert bell.exists()


def test_file_removed_between_open_and_lock_is_noticed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pylock.lock("x"):
        pass
    lock = pylock.lock("x")
    real, removed = lock.request.attempt, []

    def attempt(fd: int, request: Request, seat: int | None) -> Grant | None:
        if not removed:
            removed.extend(removal.clean(directories.resolve(directory)))
        return real(fd, request, seat)

    monkeypatch.setattr(lock.request, "attempt", attempt)
    with lock as hold:
        assert removed == ["x.lock"]
        hold.check()
        with pytest.raises(pylock.WouldBlock):
            pylock.lock("x").acquire_nowait()


def test_removal_that_was_cut_short_is_finished_by_the_next_one(directory: Path) -> None:
    with pylock.lock("x"):
        pass
    with (directory / "x.lock").open("r+b") as file:
        file.write(headers.REMOVED)
    with pylock.lock("x") as hold:
        hold.check()


def test_check_notices_a_removed_and_a_replaced_file(directory: Path) -> None:
    with pylock.lock("x") as hold:
        hold.check()
        (directory / "x.lock").unlink()
        with pytest.raises(pylock.LockLost, match="removed or replaced"):
            hold.check()
        (directory / "x.lock").touch()
        with pytest.raises(pylock.LockLost):
            hold.check()


@pytest.mark.parametrize("mode", ["EX", "PW", "PR"])
def test_check_notices_a_lock_that_was_dropped_behind_our_back(mode: str) -> None:
    from pylock._file.byterange import let_go

    with pylock.lock("x", mode) as hold:
        hold.check()
        let_go(hold.fileno())
        with pytest.raises(pylock.LockLost, match="it was unlocked"):
            hold.check()


def test_status_shows_every_lock_and_leaves_out_other_files(directory: Path) -> None:
    (directory / "noise.lock").write_text("noise")
    (directory / "link.lock").symlink_to("noise.lock")
    with pylock.lock("b", "shared", weight=2, capacity=4, reason="why"), pylock.lock("a"):
        seen = {lock.name: lock for lock in pylock.status()}
    assert list(seen) == ["a", "b"]
    (holder,) = seen["b"].holders
    assert (holder.mode, holder.weight, holder.reason) == (pylock.Mode.SHARED, 2, "why")
    assert seen["b"].used == 2


def test_inspect_of_an_unused_name_is_free_and_makes_nothing(directory: Path) -> None:
    state = pylock.inspect("never")
    assert (state.holders, state.waiters, state.definition.capacity) == ((), (), pylock.UNLIMITED)
    assert list(directory.iterdir()) == []


def test_header_that_did_not_fit_on_the_disk_leaves_the_file_as_it_was(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite

    def short(fd: int, data: bytes, offset: int) -> int:
        return real(fd, data[:100], offset)

    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", short)
        with pytest.raises(OSError, match="cannot write all of the header"):
            pylock.pool("printers", ["red"]).acquire()
    with pylock.pool("printers", ["red"]) as hold:
        assert hold.element == "red"
