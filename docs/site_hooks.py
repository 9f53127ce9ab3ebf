"""What mkdocs does besides for the site: it takes in the pages that stand above docs/, and their links with them.

What a block of commands says to the tests alone is left out. In tables, code loses the backslash before a bar: where
the pages are looked at otherwise, the bar would end the column.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, normpath, relpath
from typing import Any

from mkdocs.structure.files import File, Files

ABOVE = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md")
_FOR_TESTS = re.compile(r"(^ *```sh\n) *# tested\n", re.MULTILINE)
_ROW = re.compile(r"^ *\|.*$", re.MULTILINE)
_CODE = re.compile(r"`[^`]+`")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from above as if they stood in docs/."""
    root = Path(config.docs_dir).parent
    for name in ABOVE:
        files.append(File.generated(config, name, content=(root / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Lead links to where the pages stand in the site; of what is not in it the words stay."""
    here = page.file.src_uri
    at = here if here in ABOVE else f"docs/{here}"

    def moved(found: re.Match[str]) -> str:
        image, words, path, anchor = found.groups()
        target = normpath(f"{dirname(at)}/{path}" if dirname(at) else path)
        to = target.removeprefix("docs/")
        if (target.startswith("docs/") or target in ABOVE) and files.get_file_from_path(to):
            return f"{image}[{words}]({relpath(to, dirname(here) or '.')}{anchor or ''})"
        if (Path(config.docs_dir).parent / target).exists():
            return words
        return found[0]  # mkdocs says that it leads nowhere

    plain = _ROW.sub(lambda row: _CODE.sub(lambda code: code[0].replace(r"\|", "|"), row[0]), markdown)
    return _LINK.sub(moved, _FOR_TESTS.sub(r"\1", plain))
