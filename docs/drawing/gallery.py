"""Which pictures there are, and what draws each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from . import architecture, plots, protocol, screens
from .svg import PICTURES

GALLERY: dict[Path, Callable[[], str]] = {
    architecture.PICTURE: architecture.picture,
    PICTURES / "byte-map.svg": protocol.byte_map,
    PICTURES / "life-of-a-request.svg": protocol.life_of_a_request,
    PICTURES / "who-wakes-whom.svg": protocol.who_wakes_whom,
    **{PICTURES / f"plot-{name}.svg": plot.draw for name, plot in plots.PLOTS.items()},
    **{PICTURES / f"screen-{name}.svg": partial(screens.draw, name) for name in screens.TITLES},
}
