"""What the pictures share: the colours of both themes, and a few shapes as text."""

from __future__ import annotations

from html import escape
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
PICTURES = DOCS / "pictures"

STYLE = """
  svg { --ground: #ffffff; --text: #1f2328; --faint: #59636e; --box: #f6f8fa; --edge: #d1d9e0; --public: #ddf4ff;
        --wait: #fff8c5; --arrow: #0969da; }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #0d1117; --text: #f0f6fc; --faint: #9198a1; --box: #151b23; --edge: #3d444d; --public: #0c2d6b;
          --wait: #3a2c00; --arrow: #4493f8; }
  }
  .ground { fill: var(--ground); }
  .box { fill: var(--box); stroke: var(--edge); }
  .public { fill: var(--public); }
  .wait { fill: var(--wait); }
  .arrow { fill: none; stroke: var(--arrow); stroke-width: 1.4; opacity: .75; }
  .head { fill: var(--arrow); }
  text { font: 13px system-ui, sans-serif; fill: var(--text); }
  .name { font: 600 13px ui-monospace, monospace; }
  .faint { fill: var(--faint); }
"""


def document(size: tuple[float, float], title: str, description: str, shapes: list[str], style: str = "") -> str:
    """A whole picture on its ground, with words for who cannot see it."""
    width, height = (f"{side:g}" for side in size)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        ' role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(description)}</desc>',
        f"<style>{STYLE}{style}</style>",
        f'<rect class="ground" width="{width}" height="{height}"/>',
        *shapes,
    ]
    return "\n".join([*lines, "</svg>\n"])


def label(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    """Text whose baseline begins, has its middle, or ends there."""
    role = f' class="{kind}"' if kind else ""
    side = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text{role} x="{x:g}" y="{y:g}"{side}>{escape(text)}</text>'


def rectangle(x: float, y: float, width: float, height: float, kind: str = "box", radius: float = 5) -> str:
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"/>'


def arrow(*points: tuple[float, float], kind: str = "arrow") -> str:
    """A line through the points that ends in a head; it runs level or upright."""
    path = " L".join(f"{x:g} {y:g}" for x, y in points)
    (from_x, from_y), (x, y) = points[-2:]
    if from_y == y:
        back = -8 if x > from_x else 8
        head = f"M{x:g} {y:g} l{back} -3.5 v7 z"
    else:
        back = -8 if y > from_y else 8
        head = f"M{x:g} {y:g} l-3.5 {back} h7 z"
    return f'<path class="{kind}" d="M{path}"/><path class="head" d="{head}"/>'
