"""What ``pylock check`` found out."""

from __future__ import annotations

from ..._errors import harmless

OK, NOTE, BAD = "ok", "note", "BAD"
"""Good to know; to be thought about; rules the directory out."""


class Finding:
    """One thing found out: what, why it matters, what to do."""

    __slots__ = ("advice", "mark", "what", "why")

    def __init__(self, mark: str, what: str, why: str = "", advice: str = "") -> None:
        self.mark = mark
        self.what = what
        self.why = why
        self.advice = advice

    def __str__(self) -> str:
        lines = [f"{self.mark:<4} {harmless(self.what)}"]
        lines += [f"       why it matters: {harmless(self.why)}"] if self.why else []
        lines += [f"       what to do: {harmless(self.advice)}"] if self.advice else []
        return "\n".join(lines)

    @property
    def fields(self) -> tuple[str, str, str, str]:
        """What makes an equal one, for another process."""
        return self.mark, self.what, self.why, self.advice

    @property
    def fit(self) -> bool:
        return self.mark != BAD
