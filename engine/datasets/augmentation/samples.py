"""Make augmented samples and batches of a data set in one pass."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from engine.datasets.augmentation.batch_memory import BatchMemory
from engine.datasets.augmentation.boxes import move_boxes
from engine.datasets.augmentation.draws import Recipe, draw
from engine.datasets.augmentation.layout import lay_out
from engine.datasets.augmentation.pixels import render


class OnePassSamples:
    """Make the training samples of a data set.

    Args:
        dataset: with `load_image`, `labels`, `im_files`, `imgsz`, and for rectangular batches `batch` and `batch_shapes`.
        hyp: namespace of hyperparameters.
        factors: (images,) in what proportion they are drawn for a mosaic; None draws all alike.
    """

    def __init__(self, dataset: Any, hyp: Any, factors: np.ndarray | None = None) -> None:
        self.dataset = dataset
        self.shares = None if factors is None else np.cumsum(factors) / np.sum(factors)
        self.memory = BatchMemory()
        self.corners: list[Any] = [None] * len(dataset.labels)
        self.recipe = Recipe.read(hyp)
        self.single = replace(self.recipe, mosaic=0.0)

    def sample(self, seed: tuple[int, ...], index: int, mosaic: bool) -> dict[str, Any]:
        """Make one sample, as ultralytics' data set returns it.

        Args:
            seed: numbers that decide its random draws.
            index: of the image in the data set.
            mosaic: whether images are still combined in this epoch.
        """
        out = np.empty((*self._shape(index), 3), np.uint8)
        classes, boxes, original = self._fill(out, seed, index, mosaic)
        return {
            "im_file": self.dataset.im_files[index],
            "ori_shape": original,
            "resized_shape": out.shape[:2],
            "img": torch.from_numpy(out).permute(2, 0, 1),
            "cls": torch.from_numpy(classes),
            "bboxes": torch.from_numpy(boxes),
            "batch_idx": torch.zeros(len(classes)),
        }

    def batch(self, keys: Sequence[tuple[tuple[int, ...], int, bool]]) -> dict[str, Any]:
        """Make a batch, in place: in a loader process in memory that the main one sees.

        Args:
            keys: (seed, index, mosaic) a sample.

        Returns:
            ultralytics' batch. img (b, 3, h, w) uint8 RGB lies in memory as (b, h, w, 3): channels last.
        """
        images = self.memory.tensor((len(keys), *self._shape(keys[0][1]), 3))
        classes, boxes, originals = zip(
            *(self._fill(out, *key) for out, key in zip(images.numpy(), keys, strict=True)), strict=True
        )
        numbers = np.repeat(np.arange(len(keys), dtype=np.float32), [len(each) for each in classes])
        return {
            "im_file": tuple(self.dataset.im_files[index] for _, index, _ in keys),
            "ori_shape": originals,
            "resized_shape": (tuple(images.shape[1:3]),) * len(keys),
            "img": images.permute(0, 3, 1, 2),
            "cls": torch.from_numpy(np.concatenate(classes)),
            "bboxes": torch.from_numpy(np.concatenate(boxes)),
            "batch_idx": torch.from_numpy(numbers),
        }

    def _fill(
        self, out: np.ndarray, seed: tuple[int, ...], index: int, mosaic: bool
    ) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        """Render a sample into an array (h, w, 3).

        Returns:
            Classes (n, 1) float32; boxes (n, 4) float32, centres and sizes as parts of the sample; and the (height, width)
            of the image's file.
        """
        dataset = self.dataset
        recipe = self.recipe if mosaic and not dataset.rect else self.single
        draws = draw(recipe, seed, len(dataset.labels), self.shares)
        indices = (index, *draws.partners) if draws.combined else (index,)
        images, originals, shapes = zip(*(dataset.load_image(each) for each in indices), strict=True)
        layout = lay_out(draws, shapes, dataset.imgsz, out.shape[1::-1])
        render(draws, layout, images, out)
        boxes = [self._corners(each, shape) for each, shape in zip(indices, shapes, strict=True)]
        moved, kept = move_boxes(draws, layout, boxes)
        classes = np.concatenate([dataset.labels[each]["cls"] for each in indices])
        return classes[kept], _centres(moved, layout.size), originals[0]

    def _corners(self, index: int, shape: tuple[int, int]) -> np.ndarray:
        """Return an image's boxes as corners (n, 4) in pixels at training size, (height, width); computed once."""
        if self.corners[index] is None:
            boxes = self.dataset.labels[index]["bboxes"]
            half = boxes[:, 2:] / 2
            corners = np.concatenate((boxes[:, :2] - half, boxes[:, :2] + half), axis=1)
            self.corners[index] = corners * [*shape[::-1], *shape[::-1]]
        return self.corners[index]

    def _shape(self, index: int) -> tuple[int, int]:
        """Return the (height, width) of the sample of an image."""
        dataset = self.dataset
        if dataset.rect:
            height, width = dataset.batch_shapes[dataset.batch[index]]
            return int(height), int(width)
        return dataset.imgsz, dataset.imgsz


def _centres(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return corners (n, 4) in pixels as centres and sizes, parts of (width, height)."""
    low, high = boxes[:, :2], boxes[:, 2:]
    return np.concatenate(((low + high) / 2, high - low), axis=1) / np.array([*size, *size], np.float32)
