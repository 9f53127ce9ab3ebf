"""Text from a file, a file name or another process, as it may be printed."""


def harmless(text: str) -> str:
    """Return the text with whatever could move a cursor, ring, hide or turn text round spelled out, as \\x1b."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
