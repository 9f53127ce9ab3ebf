"""What the build makes: the man pages, from the table of commands; and the page for an index of packages."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface


class ManPages(BuildHookInterface):  # type: ignore[type-arg]
    """Writes them for as long as the wheel is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        sys.path.insert(0, self.root)
        from pylock._cli.manual import man_pages

        self._folder = Path(mkdtemp())
        for name, page in man_pages().items():
            path = self._folder / f"{name}.1"
            path.write_text(f"{page}\n", encoding="utf-8")
            build_data["shared_data"][str(path)] = f"share/man/man1/{path.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        rmtree(self._folder)


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
