#!python
"""Installed as the command ``pylock``. Written by hand, because the script that installers generate imports re."""

from pylock._cli import console

if __name__ == "__main__":
    console()
