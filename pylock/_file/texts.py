"""Names on their way from and to the system, as bytes.

A name is the same lock in whatever locale it is typed: as text it is UTF-8, as the files have it. Python reads the
words of a command line, and the environment, in the encoding of the locale.
"""

from __future__ import annotations

from os import fsdecode, fsencode


def from_os(word: str) -> str:
    """Return the text whose bytes stand in a word of the command line; what is not UTF-8 is kept, as surrogates."""
    return fsencode(word).decode("utf-8", "surrogateescape")


def to_os(text: str) -> str:
    """Return the word that is handed to a command, or opened as a path, with the bytes of the text."""
    return fsdecode(text.encode("utf-8", "surrogateescape"))
