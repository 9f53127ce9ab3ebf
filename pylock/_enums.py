"""`Mode`, the modes as users name them. Apart from `modes`, because importing enum takes longer than a lock."""

from enum import StrEnum

from . import _modes as modes


class Mode(StrEnum):
    """The mode a lock is asked for or held in. Every function that takes a mode also takes its value or its code."""

    NULL = "null"
    CONCURRENT_READ = "concurrent_read"
    CONCURRENT_WRITE = "concurrent_write"
    SHARED = "shared"
    PROTECTED_READ = "shared"
    PROTECTED_WRITE = "protected_write"
    EXCLUSIVE = "exclusive"

    @property
    def code(self) -> str:
        """The two letters of the published matrix: NL CR CW PR PW EX."""
        return modes.rule_of(self).code

    @classmethod
    def _missing_(cls, value: object) -> "Mode":
        return cls(modes.rule_of(value).name)  # type: ignore[arg-type]  # rule_of refuses what is not a str
