"""Text from files, file names and other processes, made fit to be printed."""

from __future__ import annotations


def harmless(text: str) -> str:
    """Return the text with whatever could move a cursor, ring, hide or turn text round spelled out, as \\x1b."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
