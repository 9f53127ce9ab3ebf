"""`Mode`, the modes as users name them. Apart from `modes`, because importing enum takes longer than a lock."""

from enum import StrEnum

from . import _modes as modes


class Mode(StrEnum):
    """The mode a lock is asked for or held in. Every function that takes a mode also takes its value or its code."""

    NULL = modes.NULL.name
    CONCURRENT_READ = modes.CONCURRENT_READ.name
    CONCURRENT_WRITE = modes.CONCURRENT_WRITE.name
    SHARED = modes.SHARED.name
    PROTECTED_READ = modes.SHARED.name
    PROTECTED_WRITE = modes.PROTECTED_WRITE.name
    EXCLUSIVE = modes.EXCLUSIVE.name

    @property
    def code(self) -> str:
        """The two letters of the published matrix: NL CR CW PR PW EX."""
        return modes.rule_of(self).code

    @classmethod
    def _missing_(cls, value: object) -> "Mode":
        return cls(modes.rule_of(value).name)  # type: ignore[arg-type]  # rule_of refuses what is not a str
