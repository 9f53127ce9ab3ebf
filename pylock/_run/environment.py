"""What a command is told, in its environment, of the locks that it runs under."""

from __future__ import annotations

from .._deadlock.nesting import VARIABLE, extended
from .._errors import harmless
from .._file.texts import to_os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._acquiring.claim import Claim
    from .._acquiring.claims import Claims


def refuse_untellable(names: Iterable[str]) -> None:
    """Raise ValueError for a name that no environment can have, as a command is told it there."""
    for name in names:
        try:
            is_tellable = "\0" not in to_os(name)
        except UnicodeEncodeError:
            is_tellable = False
        if not is_tellable:
            raise ValueError(
                f'a command cannot be told the name "{harmless(name)}", as PYLOCK_NAME in its environment: it has a NUL'
                " or half a surrogate pair; use another name"
            )


def variables(granted: Claim | Claims, first: Claim) -> dict[str, str]:
    """Return the variables for a command that runs under what was granted; ``first`` is the one to speak of."""
    request = first.request
    assert first.grant is not None
    told = {
        "PYLOCK_NAME": to_os(request.name),
        "PYLOCK_MODE": request.mode.name,
        "PYLOCK_TOKEN": str(first.grant.token),
        "PYLOCK_WAITED": f"{granted.waited:.3f}",
        "PYLOCK_DIR": request.directory.path,
        VARIABLE: extended([claim.request for claim in granted.claims]),
    }
    for claim in granted.claims:
        given = claim.grant and claim.grant.value
        if isinstance(given, tuple):
            told.setdefault("PYLOCK_ELEMENT", to_os(",".join(given)))
        elif given is not None:
            told.setdefault("PYLOCK_VALUE", to_os(str(given)))
    return told
