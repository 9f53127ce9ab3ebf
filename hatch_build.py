"""Puts the man page, which is made from the table of commands, into the wheel."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPage(BuildHookInterface):  # type: ignore[type-arg]
    """Writes pylock(1) for as long as the wheel is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        sys.path.insert(0, self.root)
        from pylock._cli.manual import man_page

        self._path = Path(mkdtemp()) / "pylock.1"
        self._path.write_text(f"{man_page()}\n", encoding="utf-8")
        build_data["shared_data"][str(self._path)] = "share/man/man1/pylock.1"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._path.unlink()
        self._path.parent.rmdir()
