"""``pylock check``: what it finds, what it proves, and what it says that it has not proven."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from command import environment, pylock
from kernel import replaced

import pylock as library
from pylock._cli.check import inspection, sweepers
from pylock._cli.check.findings import BAD, NOTE, OK, Finding
from pylock._file.directories import Mount, mount_of

HERE_ONLY = "is fit for locks between the processes of this host; of other hosts nothing is proven without --peer\n"


def marks(findings: list[Finding]) -> list[str]:
    return [finding.mark for finding in findings]


def mounted(type: str, *options: str) -> list[Finding]:
    """What is found out about such a mount, beyond that it is one."""
    return list(inspection.mount_findings(Mount("/mnt", type, "source", frozenset(options))))[1:]


def test_check_proves_exclusion_here_says_so_and_leaves_nothing(directory: Path) -> None:
    done = pylock("check", str(directory))
    assert done.returncode == 0, done.stdout
    assert "ok   two processes exclude each other" in done.stdout
    assert done.stdout.endswith(f"{directory} {HERE_ONLY}")
    assert list(directory.iterdir()) == []


def test_check_looks_at_the_directory_that_locks_would_be_in(tmp_path: Path) -> None:
    done = pylock("check", env=environment(PYLOCK_DIR="locks"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (125, "")
    assert "must be an absolute path" in done.stderr


def test_check_tells_of_a_peer_that_is_lost_meanwhile(directory: Path) -> None:
    done = pylock("check", str(directory), "--peer", "sh -c 'echo refused'")
    assert done.returncode == 1
    assert "BAD  the lock was not handed over: it ended without a word" in done.stdout
    assert done.stdout.endswith("is NOT fit for locks\n")


def test_check_tells_of_a_peer_that_gets_the_lock_as_well(directory: Path) -> None:
    done = pylock("check", str(directory), "--peer", "sh -c 'echo granted'")
    assert done.returncode == 1
    assert "got one exclusive lock at the same time" in done.stdout


def test_check_with_a_peer_that_is_another_command(directory: Path) -> None:
    path = os.path.dirname(sys.executable) + ":" + os.environ["PATH"]
    done = pylock("check", str(directory), "--peer", "env", env=environment(PATH=path))
    assert done.returncode == 0, done.stdout
    assert "this host and 'env' exclude each other" in done.stdout
    assert done.stdout.endswith("is fit for locks between the processes of this host and of 'env'\n")


@pytest.mark.parametrize("peer", ["env", """sh -c 'eval "$*"' sh"""], ids=["words as they are", "read by a shell"])
def test_check_with_a_peer_finds_a_directory_of_any_name(peer: str, tmp_path: Path) -> None:
    directory = tmp_path / "it's a $HOME; directory"
    directory.mkdir(mode=0o700)
    path = os.path.dirname(sys.executable) + ":" + os.environ["PATH"]
    done = pylock("check", str(directory), "--peer", peer, env=environment(PATH=path))
    assert done.returncode == 0, done.stdout
    assert "exclude each other" in done.stdout


def test_check_does_not_hang_with_the_file_system(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks is a child, and here one that never answers."""
    hanging = tmp_path / "hanging"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hanging))
    (finding,) = inspection.look(inspection.DIRECTORY, str(directory), 0.05)
    assert not finding.fit
    assert "no answer within 0.05 s" in finding.what


def test_check_tells_what_is_wrong(tmp_path: Path) -> None:
    absent = pylock("check", str(tmp_path / "absent"))
    assert (absent.returncode, "is not a directory" in absent.stdout) == (1, True)
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    done = pylock("check", str(open_to_all))
    assert done.returncode == 1
    assert "not sticky" in done.stdout
    assert f"what to do: chmod +t {open_to_all}" in done.stdout


def test_check_prints_nothing_raw(tmp_path: Path) -> None:
    odd = tmp_path / "\x1b[31m"
    odd.mkdir()
    (odd / "\x07.lock").write_text("damaged")
    done = pylock("check", str(odd))
    assert "\\x1b[31m" in done.stdout
    assert "\\x07.lock" in done.stdout
    assert all(line.isprintable() for line in done.stdout.splitlines())


def test_damaged_lock_file_is_a_finding(directory: Path) -> None:
    library.lock("good").acquire().release()
    (directory / "begun.lock").touch()
    done = pylock("check")
    assert "ok   2 lock files, none of them damaged" in done.stdout
    assert done.stdout.endswith(HERE_ONLY)
    (directory / "bad.lock").write_bytes(b"\xff\x00" * 150)
    done = pylock("check")
    assert done.returncode == 1
    assert f"BAD  {directory}/bad.lock cannot be used as a lock file" in done.stdout
    assert "two processes exclude each other" in done.stdout
    assert done.stdout.endswith("is NOT fit for locks\n")


def test_each_kind_of_damage_is_told_and_not_endlessly(directory: Path, tmp_path: Path) -> None:
    (directory / "folder.lock").mkdir()
    (directory / "link.lock").symlink_to(tmp_path)
    for number in range(9):
        (directory / f"x{number}.lock").write_text("{}")
    found = list(inspection.lock_file_findings(str(directory)))
    assert marks(found) == [BAD] * 6
    assert found[0].what == f"{directory}/folder.lock is not a regular file"
    assert found[1].what == f"{directory}/link.lock is not a regular file"
    assert found[5].what == "and 6 more such files"


def test_lock_file_that_cannot_be_read_is_a_finding(directory: Path) -> None:
    def denied(path: str, flags: int, mode: int = 0) -> int:
        raise PermissionError(13, "Permission denied", path)

    library.lock("secret").acquire().release()
    with replaced(os, "open", denied):
        (finding,) = inspection.lock_file_findings(str(directory))
    assert (finding.mark, finding.what) == (NOTE, "secret.lock: Permission denied")


@pytest.mark.parametrize(
    "type", ["fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.bindfs", "fuse.gocryptfs", "virtiofs"]
)
def test_file_system_with_locks_of_each_mount_is_named(type: str) -> None:
    (finding,) = mounted(type)
    assert finding.mark == NOTE
    assert f"locks through {type} are, as a rule, each mount's own" in finding.what


@pytest.mark.parametrize("type", ["ext4", "nfs4", "fuse.glusterfs", "ceph", "fuseblk"])
def test_file_system_that_hands_locks_on_is_not_warned_of(type: str) -> None:
    assert mounted(type) == []


def test_options_of_the_mount_are_told() -> None:
    assert marks(mounted("nfs4", "local_lock=all")) == [BAD]
    assert marks(mounted("nfs4", "ro", "soft")) == [BAD, NOTE]
    assert "does not say which" in mounted("fuse")[0].what


@pytest.mark.parametrize("type", ["fuse", "fuse.sshfs", "virtiofs", "nfs4", "9p"])
def test_what_other_hosts_may_see_is_remote(type: str) -> None:
    assert Mount("/mnt", type, "source", frozenset()).remote
    assert not Mount("/mnt", "fuseblk", "source", frozenset()).remote


@pytest.fixture
def settings(tmp_path: Path) -> tuple[str, str]:
    """Two folders of settings of systemd-tmpfiles, the first of which goes before."""
    for name in ("etc", "usr"):
        (tmp_path / name).mkdir()
    return str(tmp_path / "etc"), str(tmp_path / "usr")


@pytest.mark.parametrize(
    ("line", "swept"),
    [
        ("'' /srv 0755 root root 10d", False),
        ("d /srv/spool 1777 root root 10d", True),
        ("d /srv/spool 1777 root root -", False),
        ("d /srv/spool", False),
        ("q! /srv 0755 - - 30d", True),
        ("e /srv/sp* - - - 5d", True),
        ('D "/srv/spool" 1777 root root ~1w', True),
        ("# d /srv/spool 1777 root root 10d", False),
        ("d /srv/spool/locks/below 1777 root root 10d", False),
        ("d /srv/spoo 1777 root root 10d", False),
        ("r /srv/spool", False),
        ("", False),
        ('d "', False),
    ],
)
def test_settings_of_systemd_tmpfiles_tell_who_cleans(line: str, swept: bool, settings: tuple[str, str]) -> None:
    Path(settings[1], "a.conf").write_text(f"{line}\n")
    found = sweepers.sweeper_of("/srv/spool/locks", settings)
    assert bool(found) == swept
    assert not found or found.startswith("systemd-tmpfiles, after ")


def test_nearest_line_counts_and_a_later_folder_does_not(settings: tuple[str, str]) -> None:
    Path(settings[1], "a.conf").write_text("d /srv 0755 root root 10d\n")
    assert sweepers.sweeper_of("/srv/spool/locks", settings)
    Path(settings[1], "b.conf").write_text("x /srv/spool/locks\n")
    assert sweepers.sweeper_of("/srv/spool/locks", settings) is None
    Path(settings[0], "b.conf").write_text("")
    assert sweepers.sweeper_of("/srv/spool/locks", settings)
    Path(settings[0], "a.conf").symlink_to("/dev/null")
    assert sweepers.sweeper_of("/srv/spool/locks", settings) is None


@pytest.mark.parametrize("path", ["/tmp/locks", "/var/tmp/a/b", "/dev/shm/locks", "/run/user/1000/locks"])
def test_directories_that_are_cleaned_by_custom_are_warned_of(path: str, settings: tuple[str, str]) -> None:
    assert sweepers.sweeper_of(path, settings)
    Path(settings[0], "a.conf").write_text("D /tmp 1777 root root -\n")
    assert sweepers.sweeper_of(path, settings)
    Path(settings[0], "a.conf").write_text(f"D /tmp 1777 root root -\nx {path}\n")
    assert sweepers.sweeper_of(path, settings) is None


@pytest.mark.parametrize("path", ["/", "/srv/locks", "/var/lib/locks", "/tmpfoo", "/home/somebody/tmp"])
def test_other_directories_are_not_warned_of(path: str, settings: tuple[str, str]) -> None:
    Path(settings[0], "a.conf").write_text("D /tmp 1777 root root 10d\n")
    assert sweepers.sweeper_of(path, settings) is None


def test_check_warns_of_a_directory_that_is_cleaned(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "sweeper_of", lambda path: f"somebody who knows {path}")
    (warning,) = [each for each in inspection.directory_findings(str(directory)) if each.mark == NOTE and each.advice]
    assert warning.what == f"old files here are removed by somebody who knows {directory}"


def test_finding_says_why_and_what_to_do() -> None:
    assert str(Finding(BAD, "what", "why", "advice")) == (
        "BAD  what\n       why it matters: why\n       what to do: advice"
    )
    assert str(Finding(OK, "what")) == "ok   what"


def test_mount_of_a_directory_is_found(directory: Path) -> None:
    assert str(directory).startswith(mount_of(str(directory)).point)
