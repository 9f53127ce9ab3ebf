"""What comes from others is printed harmless."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command import pylock

import pylock as library
from pylock._cli.table import as_table
from pylock._definitions import Definition
from pylock._file.texts import harmless

EVIL = "a\x1b]0;owned\x07\n\r\u202ez\x9b"


@pytest.mark.parametrize("text", ["plain", "naïve 日本", ""])
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_what_moves_hides_rings_or_turns_round_is_spelled_out() -> None:
    assert harmless(EVIL) == "a\\x1b]0;owned\\x07\\n\\r\\u202ez\\x9b"
    assert harmless("\udcff") == "\\udcff"


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("status", EVIL),
        ("status", "--json"),
        ("set", EVIL, "-c", "1"),
        ("set", f"pool{EVIL}", "--elements", f"{EVIL},b"),
        ("clean", "--dry-run"),
        ("clean",),
        ("run", EVIL, "--verbose", "--reason", EVIL, "--", "true"),
        ("run", f"pool{EVIL}", "--any-of", EVIL, "--", EVIL),
        ("completion", "--answer", "--", "status", ""),
        ("completion", EVIL),
        (EVIL,),
    ],
)
def test_no_command_prints_a_name_raw(words: tuple[str, ...], directory: Path) -> None:
    library.lock(EVIL, reason=EVIL).acquire().release()
    (lock_file,) = directory.iterdir()
    shutil.copy(lock_file, directory / f"{EVIL.replace(chr(0x9B), '')}.lock")
    done = pylock(*words)
    for line in (done.stdout + done.stderr).split("\n"):
        assert line.isprintable()
    assert "Traceback" not in done.stderr


def test_table_shows_no_field_raw_that_another_process_wrote() -> None:
    waiter = library.Waiter(
        library.Mode.SHARED, 1, 7, 8, EVIL, EVIL, EVIL, None, EVIL, 0, EVIL, EVIL, held=None, place=1,
    )  # fmt: skip
    lock = library.LockStatus(EVIL, f"/{EVIL}", Definition(), (), (waiter,))
    lines = as_table((lock,), "/").splitlines()
    assert len(lines) == 2
    assert all(map(str.isprintable, lines))
    assert as_table((), EVIL).isprintable()
