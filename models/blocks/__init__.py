"""Blocks of our own; importing this package registers them all."""

from models.blocks import v7, v7_rep

__all__ = ["v7", "v7_rep"]
