"""What the build makes: the man page, from the table of commands; and the page for an index of packages."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface


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


class IndexPage(MetadataHookInterface):
    """Sets the page and the links, by the ``address`` of the project in pyproject.toml."""

    def update(self, metadata: dict[str, Any]) -> None:
        sys.path.insert(0, str(Path(self.root) / "docs"))
        from on_the_index import readme_for_index, urls

        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        address = self.config["address"].rstrip("/")
        page = readme_for_index(text, address, metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": page}
        metadata["urls"] = urls(address) if address else {}
