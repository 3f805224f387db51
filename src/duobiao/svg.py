"""The frame that all pictures share: one SVG file each, with its own style."""

from __future__ import annotations

from collections.abc import Iterable


def svg_page(width: float, height: float, style: str, parts: Iterable[str], defs: str = "") -> str:
    """An SVG file.

    Args:
        width: In pixels.
        height: In pixels.
        style: CSS; its class ``sheet`` is the paper.
        parts: Elements, from the back to the front.
        defs: What elements refer to.
    """
    size = f'width="{width:.0f}" height="{height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width:.0f} {height:.0f}">'
    lines = [head, f"<style>{style}</style>", *([f"<defs>{defs}</defs>"] if defs else []), f'<rect class="sheet" {size}/>']
    return "\n".join([*lines, *parts, "</svg>"]) + "\n"
