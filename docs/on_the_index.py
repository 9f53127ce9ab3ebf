"""README.md as an index of packages shows it, away from the files that it links to."""

from __future__ import annotations

import re

_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")


def readme_for_index(text: str, address: str, version: str) -> str:
    """Return the text with links to the files of that version at the address; without one, with their words alone."""

    def absolute(found: re.Match[str]) -> str:
        image, words, path = found.groups()
        if not address:
            return words
        return f"{image}[{words}]({address}/{'raw' if image else 'blob'}/v{version}/{path})"

    return _LINK.sub(absolute, text)


def urls(address: str) -> dict[str, str]:
    """What an index of packages links to, beside the page."""
    files = f"{address}/blob/HEAD"
    return {
        "Source": address,
        "Documentation": f"{files}/docs/index.md",
        "Changes": f"{files}/CHANGELOG.md",
        "Issues": f"{address}/issues",
        "Security": f"{files}/docs/explanation/security.md",
    }
