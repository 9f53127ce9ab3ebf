"""Lock files that somebody wrote who knows the format, checksums and all: refused in one line, or taken as they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command import pylock

import pylock as library
from pylock._file import layout
from pylock._file.header import checksum, read_head
from pylock._file.layout import STATE_SIZE, header_size


def forge(path: Path, text: str, kind: str) -> int:
    """Write a header with a true checksum, and return its size."""
    line = text.encode() + b',"check":"%08x"}' % checksum(text.encode())
    size = header_size(path.stem, kind)
    path.write_bytes(line.ljust(size - 1) + b"\n")
    return size


def forge_state(path: Path, text: str, kind: str) -> None:
    head = f'{{"pylock":1,"name":"{path.stem}","capacity":1,"policy":null,"defined":false,"kind":"{kind}"'
    size = forge(path, head, kind)
    line = text.encode() + b',"check":"%08x"}\n' % checksum(text.encode())
    with path.open("r+b") as file:
        for turn in (0, 1):
            file.seek(size + turn * STATE_SIZE)
            file.write(line)


@pytest.mark.parametrize(
    "units",
    [
        ('"a":-5', ""),
        (f'"a":{2**30}', ""),
        (f'"a":{2**64}', ""),
        (f'"a":{2**70}', ""),
        ('"a":1', '"b":-7'),
        ('"a":0,"b":0', ""),
        ('"a":0', '"b":0'),
    ],
)
def test_pool_whose_elements_have_no_unit_of_their_own_is_damaged(units: tuple[str, str], directory: Path) -> None:
    elements, leaving = (f"{{{each}}}" for each in units)
    head = '{"pylock":1,"name":"p","capacity":null,"policy":null,"defined":true,"kind":"pool"'
    forge(directory / "p.lock", f'{head},"elements":{elements},"leaving":{leaving}', "pool")
    for use in (
        lambda: library.pool("p").acquire(timeout=0),
        lambda: library.define("p", elements=["x", "y"]),
        lambda: library.inspect("p"),
    ):
        with pytest.raises(library.BadLockFile, match="damaged"):
            use()


STATES = [
    '{"out":[],"back":[],"last":1,"number":9',
    '{"out":{"x":1},"back":[],"last":1,"number":9',
    '{"out":{"0":"a"},"back":["z"],"last":1,"number":9',
    '{"out":{"-3":4},"back":[],"last":1,"number":9',
    '{"out":{"99999999999999999999":4},"back":[],"number":9',
    '{"last":"x","number":9',
    '{"last":true,"number":9',
    '{"number":1e999',
    '{"number":-1',
    f'{{"number":{"9" * 4000}',
    '{"utc":"a","wall":[],"number":4',
    '{"utc":1e308,"wall":1e308,"number":4',
    '{"back":{},"number":4',
    "{",
]


@pytest.mark.parametrize("state", STATES, ids=[state[:40] for state in STATES])
@pytest.mark.parametrize("kind", ["sequence", "timestamp"])
def test_state_that_pylock_cannot_have_written_is_damaged(kind: str, state: str, directory: Path) -> None:
    forge_state(directory / "x.lock", state, kind)
    lock = library.sequence("x", transactional=True) if kind == "sequence" else library.timestamp("x", "%H:%M:%S")
    with pytest.raises(library.BadLockFile, match="damaged"):
        lock.acquire(timeout=0)


def test_command_says_in_one_line_what_is_forged(directory: Path) -> None:
    forge_state(directory / "x.lock", STATES[0], "sequence")
    done = pylock("run", "--sequence", "x", "--", "true")
    assert (done.returncode, len(done.stderr.splitlines())) == (125, 1)
    assert "is damaged" in done.stderr


@pytest.mark.parametrize("beginning", [b"", b"{", b'{"pylock":1,"name":"x"', b" "])
def test_of_a_huge_file_no_more_is_read_than_shows_that_it_is_none_of_ours(beginning: bytes, directory: Path) -> None:
    path = directory / "x.lock"
    path.write_bytes(beginning)
    os.truncate(path, 1 << 40)
    fd = os.open(path, os.O_RDONLY)
    assert len(read_head(fd)) == 4096
    os.close(fd)


def test_long_name_is_read_to_its_end(directory: Path) -> None:
    name = "n" * 100_000
    library.define(name, capacity=3)
    assert [lock.name for lock in library.status()] == [name]


@pytest.mark.parametrize("format", ["%999999999H", "%_9999H", "%M:%0256S", "%E300H", "%-^#99999999999999999999S"])
def test_format_of_a_field_that_takes_for_ever_to_write_is_refused(format: str) -> None:
    with pytest.raises(ValueError, match=r"255 are enough|less than hourly"):
        library.timestamp("x", format)


def test_format_of_the_widest_field_is_taken() -> None:
    with library.timestamp("x", "%0255S") as hold:
        assert len(hold.value) == 255


def test_format_of_a_wide_field_is_written() -> None:
    with library.timestamp("x", "%020H") as hold:
        assert len(hold.value) == 20


@pytest.mark.parametrize(
    ("pid", "start", "found"), [("12", "34", (12, 34)), ("12", "x", None), ("x", "34", None), ("0", "34", None)]
)
def test_process_is_read_from_a_record_only_if_both_its_numbers_are_such(
    pid: str, start: str, found: tuple[int, int] | None
) -> None:
    here = layout.where_text("web1", "boot", 7)
    assert layout.process_in(f'{{"pid":{pid},"start":{start}'.encode() + here, here) == found
