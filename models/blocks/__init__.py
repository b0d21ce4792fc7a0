"""Blocks of our own; importing this package registers them all."""

from models.blocks import torchvision_stage, v7, v7_rep

__all__ = ["torchvision_stage", "v7", "v7_rep"]
