"""``python -m pylock`` is the command ``pylock``."""

from .cli import console

if __name__ == "__main__":
    console()
