"""Every message that pylock can print or raise stands in docs/reference/messages.md, to be found by its words."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from contender import ROOT

PAGE = (ROOT / "docs" / "reference" / "messages.md").read_text()
SAYING = {
    "BadLockFile", "CannotRun", "Deadlock", "DefinitionMismatch", "GateTakenError", "LockError", "LockLost", "NotHeld",
    "Unsupported", "UsageError", "ValueError", "_say", "_wrong", "bad_file", "complain", "undelivered",
}  # fmt: skip
"""What is called with a message. What `pylock check` finds says itself why it matters and what to do."""
LEAST = 12
"""Characters of a text that could be searched for."""


def modules() -> list[Path]:
    found = (ROOT / "pylock").rglob("*.py")
    return sorted(path for path in found if not {"compat", "check"} & set(path.parts))


def messages(module: Path) -> Iterator[str]:
    """The longest part of each message that does not change."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call) and _name(node.func) in SAYING:
            for text in node.args:
                part = max(_parts(text), key=len, default="").strip()
                if len(part) >= LEAST and " " in part:
                    yield part


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _parts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        for value in node.values:
            yield from _parts(value)


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(ROOT / "pylock")))
def test_messages_of_a_module_are_on_the_page(module: Path) -> None:
    assert [message for message in messages(module) if message not in PAGE] == []
