"""Blocks of our own; importing this package registers them all."""

from models.blocks import torchvision_stage, v7, v7_elan, v7_rep, v7_spp

__all__ = ["torchvision_stage", "v7", "v7_elan", "v7_rep", "v7_spp"]
