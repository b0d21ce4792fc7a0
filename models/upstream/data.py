"""What engine/ uses of ultralytics to read images and streams."""

from ultralytics.data.augment import Albumentations, BaseMixTransform, Compose, Mosaic
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.loaders import LoadStreams

from models.upstream.patches import apply

__all__ = ["Albumentations", "BaseMixTransform", "Compose", "LoadStreams", "Mosaic", "YOLODataset"]

apply()
