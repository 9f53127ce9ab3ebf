#!python
"""Installed as the command ``pylock``. Written by hand, because the script that installers generate imports re."""

import gc

gc.set_threshold(100_000)  # a start makes no garbage to look for

from pylock.cli import console  # noqa: E402

if __name__ == "__main__":
    console()
