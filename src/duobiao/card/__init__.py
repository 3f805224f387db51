"""The model card of a bundle: its README.md, worked out from the manifest and nothing else."""

from duobiao.card.render import CARD, render_card

__all__ = ["CARD", "render_card"]
