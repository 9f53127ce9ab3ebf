"""What the settings files say a lock is: the administrator's word, which reaches the lock with the next command."""

from __future__ import annotations

from .._definitions import settle
from .._errors import harmless
from . import complain
from .admin import definition_changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .settings import RunSettings


def settle_all(settings: RunSettings, first: str, others: list[str], *, makes: bool) -> None:
    """Let the locks of this command be as ``[locks.NAME]`` says, if that has changed, and say so once.

    ``makes``: the first one is plain, which may be made. Raises as `settle`.
    """
    for each in (first, *others):
        said = settings.defined(each)
        if not said:
            continue
        where = str(settings.locks_from)
        changed = settle(each, said, where, settings.directory, makes=makes or each != first)
        if changed and not settings.quiet:
            text = definition_changes(*changed)
            complain(
                f'"{harmless(each)}": {harmless(text)}, as [locks."{harmless(each)}"] of {harmless(where)} says now'
            )
