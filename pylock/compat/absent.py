"""What to say where the package that an adapter adapts is not installed, or is another one than it knows."""

from __future__ import annotations


def absent(package: str, version: str, error: ImportError) -> ImportError:
    return ImportError(
        f"pylock.compat.{package} adapts the package {package}, {version} or newer, which is not here ({error}):"
        f' pip install "pylock-fcntl[{package}]"',
        name=package,
    )
