"""The picture of the architecture is that of the code."""

from __future__ import annotations

import runpy
import xml.etree.ElementTree as ET

from contender import ROOT
from test_architecture import ORDER, UPWARDS

DRAW = runpy.run_path(str(ROOT / "docs" / "draw.py"))


def test_picture_was_drawn_from_the_code_as_it_is() -> None:
    assert DRAW["PICTURE"].read_text() == DRAW["picture"](), "the picture is stale: make picture"


def test_picture_has_every_room_and_leads_downwards_only() -> None:
    rooms = [name for name, _ in DRAW["rooms"]()]
    assert [{"pylock": "__init__"}.get(name, name) for name in rooms[::-1]] == ORDER[:-1]
    for room, name in DRAW["arrows"](DRAW["known_rooms"]()):
        assert rooms.index(room) < rooms.index(name)
    assert DRAW["KNOWN_ABOVE"] == set(UPWARDS)


def test_picture_is_whole_xml_with_a_title_for_who_cannot_see_it() -> None:
    tree = ET.parse(DRAW["PICTURE"])
    assert tree.find("{http://www.w3.org/2000/svg}title") is not None
