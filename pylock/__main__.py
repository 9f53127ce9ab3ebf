"""``python -m pylock`` is the command ``pylock``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
