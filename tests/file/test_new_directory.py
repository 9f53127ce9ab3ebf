"""Making lock directories: whose, what else is in them, who gets in, and what a link leads to."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from command import pylock

import pylock as library
from pylock._file.new_directory import make_private, make_shared

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to others")
SOMEBODY = 12345


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def existing(tmp_path: Path) -> Path:
    path = tmp_path / "existing"
    path.mkdir()
    path.chmod(0o755)
    return path


def refused(path: Path, *words: str) -> str:
    """What init says as it leaves the directory as it was."""
    before = path.stat()
    done = pylock("init", str(path), *words)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (125, "", 1)
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    return done.stderr


def test_init_refuses_a_directory_that_holds_something_else(existing: Path) -> None:
    (existing / "shadow").touch()
    assert 'holds "shadow", no lock file of pylock; ' in refused(existing)
    (existing / "shadow-").touch()
    told = refused(existing)
    assert f'{existing} holds "shadow" and 1 more, no lock file of pylock; use a directory for lock files alone' in told
    assert "holds" in refused(existing, "--force")


@pytest.mark.parametrize("name", ["x.lock", "x.lock.3", "x.lock.d", "\x1b[31m"])
def test_what_is_called_like_a_lock_file_must_be_one(existing: Path, name: str) -> None:
    (existing / name).write_text("not ours")
    assert "no lock file" in refused(existing)
    assert "\x1b" not in refused(existing)


def test_init_refuses_a_directory_among_lock_files(existing: Path) -> None:
    (existing / "x.lock").mkdir()
    assert "no lock file" in refused(existing)


def test_init_takes_a_directory_with_nothing_but_locks(existing: Path) -> None:
    existing.chmod(0o1777)
    library.lock("used", directory=existing).acquire().release()
    (existing / "begun.lock").touch()
    os.mkfifo(existing / "used.lock.7")
    assert pylock("init", str(existing)).returncode == 0
    assert mode(existing) == 0o1777


def test_init_lets_more_users_in_only_by_force(existing: Path) -> None:
    assert "has mode 0755, and 1777 would let more users in; name a new one, or use --force" in refused(existing)
    group = str(existing.stat().st_gid)
    assert "2770 would let more users in" in refused(existing, "--group", group)
    existing.chmod(0o2770)
    assert "has mode 2770" in refused(existing)
    assert pylock("init", str(existing), "--group", group).returncode == 0
    assert pylock("init", str(existing), "--force").returncode == 0
    assert mode(existing) == 0o1777
    assert pylock("init", str(existing), "-g", group).returncode == 0
    assert mode(existing) == 0o2770


@as_root
def test_another_group_is_let_in_only_by_force(existing: Path) -> None:
    existing.chmod(0o2770)
    assert "would let more users in" in refused(existing, "--group", "1")
    assert pylock("init", str(existing), "--group", "1", "--force").returncode == 0
    assert (mode(existing), existing.stat().st_gid) == (0o2770, 1)


@as_root
def test_directory_of_another_user_is_refused_unless_root_forces_it(existing: Path) -> None:
    os.chown(existing, SOMEBODY, -1)
    assert f"belongs to user {SOMEBODY}; name one of your own, or as root use --force" in refused(existing)
    assert pylock("init", str(existing), "-f").returncode == 0
    assert (mode(existing), existing.stat().st_uid) == (0o1777, SOMEBODY)


def test_force_is_no_help_against_other_users_but_for_root(existing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)
    with pytest.raises(library.LockError, match="belongs to user"):
        make_shared(str(existing), 0o1777, -1, force=True)
    assert mode(existing) == 0o755


def test_init_refuses_what_is_no_directory_itself(existing: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(existing)
    for words in ([], ["--force"]):
        assert "is a symbolic link; name the directory itself" in refused(link, *words)
    assert pylock("init", f"{link}/").returncode == 125
    (tmp_path / "file").touch()
    assert "is no directory" in refused(tmp_path / "file")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    assert pylock("init", str(tmp_path / "dangling")).returncode == 125
    assert not (tmp_path / "nothing").exists()
    assert mode(existing) == 0o755


def test_directory_that_was_looked_at_is_not_kept_open(tmp_path: Path, directory: Path) -> None:
    library.lock("x").acquire().release()
    for make in (lambda: make_shared(str(directory), 0o1777, -1, force=True), lambda: make_private(str(directory))):
        make()  # and whatever is loaded for it
        before = os.listdir("/proc/self/fd")
        make()
        assert len(os.listdir("/proc/self/fd")) == len(before)


def test_what_was_looked_at_is_what_is_changed(existing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A: looks at its new directory. B: puts a link in its place. A: changes what it looked at."""
    new, listdir = tmp_path / "new", os.listdir

    def swap(fd: int) -> list[str]:
        new.rename(tmp_path / "moved")
        new.symlink_to(existing)
        return listdir(fd)

    monkeypatch.setattr(os, "listdir", swap)
    make_shared(str(new), 0o1777, -1, force=False)
    assert mode(existing) == 0o755
    assert mode(tmp_path / "moved") == 0o1777


@as_root
def test_what_could_not_be_given_its_group_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", denied)
    with pytest.raises(library.LockError, match="cannot be given to group 1; only its members and root can do that"):
        make_shared(str(tmp_path / "new"), 0o2770, 1, force=False)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("group", ["99999999999", "4294967295", "-1", "²", "", "no-such-group", "\x1b", "9" * 5000])
def test_odd_groups_are_one_clear_line(group: str, tmp_path: Path) -> None:
    done = pylock("init", str(tmp_path / "new"), f"--group={group}")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("pylock: there is no group '")
    assert len(done.stderr) < 120
    assert not (tmp_path / "new").exists()


def test_private_directory_is_made_for_its_user_alone(tmp_path: Path) -> None:
    assert make_private(str(tmp_path / "new")) == str(tmp_path / "new")
    assert mode(tmp_path / "new") == 0o700


def test_private_directory_that_is_there_stays_as_it_is(existing: Path, tmp_path: Path) -> None:
    make_private(str(existing))
    assert mode(existing) == 0o755
    (tmp_path / "link").symlink_to(existing)
    with pytest.raises(library.LockError, match="is a symbolic link"):
        make_private(str(tmp_path / "link"))
    (existing / "passwd").touch()
    with pytest.raises(library.LockError, match='holds "passwd"'):
        make_private(str(existing))


@as_root
def test_private_directory_is_none_that_another_user_has_opened_to_all(existing: Path) -> None:
    os.chown(existing, SOMEBODY, -1)
    existing.chmod(0o1777)
    with pytest.raises(library.LockError, match=f"belongs to user {SOMEBODY} and is open to everybody"):
        make_private(str(existing))
    existing.chmod(0o2770)
    make_private(str(existing))


@pytest.mark.parametrize("path", ["", "x\0y"])
def test_names_of_nothing_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a lock directory"):
        make_private(path)


def test_socket_of_flom_is_made_with_the_same_care(existing: Path) -> None:
    (existing / "passwd").touch()
    done = pylock("flom", "-s", str(existing), "--", "true")
    assert (done.returncode, 'holds "passwd"' in done.stderr) == (99, True)
    assert not list(existing.glob("*.lock"))
