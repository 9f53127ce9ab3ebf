"""``python -m pylock`` is the command ``pylock``."""

from ._cli import console

if __name__ == "__main__":
    console()
