"""Draws all pictures, or those whose names begin as one of the arguments."""

from __future__ import annotations

import sys

from .gallery import GALLERY

if __name__ == "__main__":
    for path, draw in GALLERY.items():
        if not sys.argv[1:] or path.stem.startswith(tuple(sys.argv[1:])):
            path.write_text(draw(), encoding="utf-8")
