"""Adapt the records of `data.load_dataset` to ultralytics' data set, for training and validation."""

import math
import random
from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np

from engine.errors import UsageError
from data.image_files import image_channels

from engine.datasets.augmentation.samples import OnePassSamples
from engine.datasets.memory_budget import keeps_images
from engine.runtime.log import LOGGER
from models.upstream.data import Albumentations, BaseMixTransform, Compose, Mosaic, YOLODataset


NUMBER = "number"  # key of a sample's number in validation: a file that is listed twice is two samples


class Draw(NamedTuple):
    """Identify one training sample by all that decides its random draws, so that no state has to be kept.

    Attributes:
        seed: the run's.
        epoch: counted from 0.
        image: position of the image in the data set.
        mosaic: whether images are still combined in this epoch.
        repeat: how often the image came before in this epoch.
    """

    seed: int
    epoch: int
    image: int
    mosaic: bool
    repeat: int = 0

    def numbers(self) -> tuple[int, ...]:
        """Return what random numbers of the sample are drawn from."""
        numbers = (self.seed, self.epoch, self.image)
        return (*numbers, self.repeat) if self.repeat else numbers


def describe(names: dict[int, str], splits: dict[str, Any], single_cls: bool = False) -> dict[str, Any]:
    """Return ultralytics' data dictionary for records.

    Args:
        names: class number → name.
        splits: "train", "val", "test" → `data.records.Split`; missing ones are left out.
        single_cls: all classes are one, named "item" unless there was one only.

    Returns:
        Keys names, nc, channels, and per split its Split under the split's name, where ultralytics has paths.
    """
    if single_cls and len(names) > 1:
        names = {0: "item"}
    channels = next((split.channels for split in splits.values() if hasattr(split, "channels")), 3)
    return {"names": dict(names), "nc": len(names), "channels": channels, **splits}


class Label(dict):
    """Hold a label dictionary of which ultralytics' deep copy, one for each image of a mosaic, is cheap."""

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return {key: value.copy() if isinstance(value, np.ndarray | list) else value for key, value in self.items()}


def to_labels(records: Sequence[Any]) -> list[dict[str, Any]]:
    """Convert records into ultralytics' label dictionaries.

    Boxes marked crowd or difficult are left out, as YOLOv5's own conversions of COCO and VOC do.

    Args:
        records: `data.records.Record` objects.

    Returns:
        One dictionary an image; bboxes (n, 4) float32: centre x, centre y, width, height as parts of the image.
    """
    labels: list[dict[str, Any]] = []
    for record in records:
        keep = ~(record.crowd | record.difficult)
        corners = record.boxes_xyxy[keep] / [record.width, record.height, record.width, record.height]
        centres, sizes = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
        labels.append(
            Label(
                im_file=str(record.path),
                shape=(record.height, record.width),
                cls=record.classes[keep].astype(np.float32).reshape(-1, 1),
                bboxes=np.concatenate((centres, sizes), axis=1).astype(np.float32),
                segments=[],
                keypoints=None,
                normalized=True,
                bbox_format="xywh",
            )
        )
    return labels


class RecordDataset(YOLODataset):
    """Serve records in memory as ultralytics' data set: nothing is scanned, and nothing is written beside the user's files.

    Args:
        records: the images of one split.
        cache: "auto" keeps the images in memory where they fit easily, "ram" where they fit at all, "off" never.
        stretch: spread the values of images of more than 8 bits.
        reduced_decode: decode JPEGs at a part of their size, where that is at least `imgsz`.
        factors: how often an epoch shows each image, (n,); partners of a mosaic are drawn in proportion. None draws
            all alike.
        kwargs: as for YOLODataset.
    """

    one_pass: OnePassSamples | None = None  # makes training samples; None leaves them to ultralytics' transforms

    def __init__(
        self,
        records: Sequence[Any],
        *,
        cache: str = "off",
        stretch: bool = False,
        reduced_decode: bool = False,
        factors: np.ndarray | None = None,
        **kwargs: Any,
    ) -> None:
        if not len(records):
            raise UsageError("the data set has no usable image in this split")
        self.records = list(records)
        self.factors = factors
        self.stretch, self.reduced_decode = stretch, reduced_decode
        super().__init__(img_path="", cache=None, **kwargs)
        self.plain_transforms = self.transforms
        if self.augment:
            closed = copy(kwargs["hyp"])
            closed.mosaic = closed.mixup = closed.cutmix = closed.copy_paste = 0.0
            self.plain_transforms = self.build_transforms(closed)
            self.one_pass = self._one_pass(kwargs["hyp"])
        self._cache(cache)

    @property
    def images(self) -> list[Any]:
        """Return the records of whole images."""
        return self.records

    def get_img_files(self, img_path: Any) -> list[str]:
        """Return the paths of the records."""
        return [str(record.path) for record in self.records]

    def get_labels(self) -> list[dict[str, Any]]:
        """Return the labels of the records."""
        return to_labels(self.records)

    def build_transforms(self, hyp: Any) -> Compose:
        """Build ultralytics' transforms, with mosaic partners drawn from the whole data set.

        Stock draws them from recently loaded images, so that results depend on memory and on the number of workers.
        """
        transforms = super().build_transforms(copy(hyp))
        for transform in _all_transforms(transforms):
            if isinstance(transform, Mosaic):
                transform.buffer_enabled = False
                if self.factors is not None:
                    transform.get_indexes = partial(self._partners, transform.n - 1)
            elif self.factors is not None and isinstance(transform, BaseMixTransform):
                transform.get_indexes = self._partner
        return transforms

    def _one_pass(self, hyp: Any) -> OnePassSamples | None:
        """Return what makes training samples in one pass; None where only ultralytics' transforms can make them."""
        transforms = _all_transforms(self.transforms)
        extra = any(isinstance(each, Albumentations) and each.transform is not None for each in transforms)
        reasons = {"mixup": hyp.mixup, "cutmix": hyp.cutmix, "bgr": hyp.bgr, "Albumentations": extra}
        wanted = [name for name, value in reasons.items() if value] + ["channels"] * (self.channels != 3)
        if wanted:
            LOGGER.info(f"{self.prefix}augmentation by ultralytics' transforms, half as fast ({', '.join(wanted)})")
            return None
        return OnePassSamples(self, hyp, self.factors)

    def _partners(self, count: int) -> list[int]:
        """Draw images to combine with another, in proportion to how often an epoch shows them."""
        return random.choices(range(len(self.records)), weights=self.factors, k=count)  # type: ignore[arg-type]

    def _partner(self) -> int:
        return self._partners(1)[0]

    def load_image(
        self, i: int, rect_mode: bool = True, resize_short: bool = False
    ) -> tuple[np.ndarray, tuple[int, int], tuple[int, int]]:
        """Read an image at training size.

        Args:
            i: index.
            rect_mode: kept for the signature; the longer side always becomes imgsz.
            resize_short: likewise.

        Returns:
            The image (h, w, c) uint8, colour as BGR, its original (height, width) and its present one.

        Raises:
            UsageError: if the file can no longer be read, or has other channels by now.

        Source:
            YOLOv5 v7.0 dataloaders.load_image: area interpolation where a validation image shrinks, else linear.
        """
        cached = self.ims[i]
        if cached is not None:
            return cached, self.im_hw0[i], self.im_hw[i]
        image, (height, width) = self._read(i)
        ratio = self.imgsz / max(height, width)
        if max(image.shape[:2]) != self.imgsz:
            size = min(math.ceil(width * ratio), self.imgsz), min(math.ceil(height * ratio), self.imgsz)
            smooth = cv2.INTER_LINEAR if self.augment or ratio > 1 else cv2.INTER_AREA
            image = cv2.resize(image, size, interpolation=smooth)
            image = image if image.ndim == 3 else image[..., None]
        return image, (height, width), image.shape[:2]

    def _read(self, i: int) -> tuple[np.ndarray, tuple[int, int]]:
        """Read an image, (h, w, c) uint8, colour as BGR, perhaps at a part of its size; and its (height, width).

        Raises:
            UsageError: if the file can no longer be read, or has other channels by now.
        """
        size = self.records[i].height, self.records[i].width
        longer = self.imgsz if self.reduced_decode else max(size)
        image, size = image_channels.read_reduced(self.im_files[i], size, longer, self.channels, self.stretch)
        if image is None:
            raise UsageError(
                f"{self.im_files[i]}: was there at the start, and cannot be read any more; "
                "bring it back and run it again (train.py goes on with --resume)"
            )
        wrong = image_channels.mismatch(image, self.channels)
        if wrong:
            raise UsageError(f"{self.im_files[i]}: {wrong}")
        return image, size

    def __getitem__(self, key: Any) -> dict[str, Any]:
        """Return one sample: for a Draw with its own random numbers, for a number the unaugmented image with it."""
        if not isinstance(key, Draw):
            sample = super().__getitem__(key)
            return sample if self.augment else {**sample, NUMBER: key}
        if self.one_pass is not None:
            return self.one_pass.sample(key.numbers(), key.image, key.mosaic)
        for_python, for_numpy = np.random.SeedSequence(key.numbers()).generate_state(2)
        random.seed(int(for_python))
        np.random.seed(int(for_numpy))
        transforms = self.transforms if key.mosaic else self.plain_transforms
        return transforms(self.get_image_and_label(key.image))

    def __getitems__(self, keys: list[Any]) -> Any:
        """Return a batch that needs no collating where samples can be made in place, else the samples."""
        if self.one_pass is None or not isinstance(keys[0], Draw):
            return [self[key] for key in keys]
        return self.one_pass.batch([(key.numbers(), key.image, key.mosaic) for key in keys])

    @staticmethod
    def collate_fn(batch: Any) -> Any:
        """Collate samples; a batch is one already."""
        return batch if isinstance(batch, dict) else YOLODataset.collate_fn(batch)

    def close_mosaic(self, hyp: Any) -> None:
        """Do nothing: every Draw says itself whether images are combined."""

    def set_rectangle(self) -> None:
        """Sort everything by aspect ratio, the records too."""
        record_of = {id(label): record for label, record in zip(self.labels, self.records, strict=True)}
        super().set_rectangle()
        self.records = [record_of[id(label)] for label in self.labels]

    def _cache(self, mode: str) -> None:
        """Keep all images at training size in memory if `mode` and the free memory allow it."""
        if keeps_images(mode, sum(self._cached_bytes(record) for record in self.records), self.prefix):
            self.cache = "ram"
            self.cache_images()

    def _cached_bytes(self, record: Any) -> int:
        ratio = self.imgsz / max(record.width, record.height)
        return int(record.width * ratio + 1) * int(record.height * ratio + 1) * self.channels


def _all_transforms(transform: Any) -> list[Any]:
    """Return a transform and everything nested in it."""
    nested = list(getattr(transform, "transforms", None) or [])
    before = getattr(transform, "pre_transform", None)
    transforms = [transform]
    for inner in [*nested, *([before] if before is not None else [])]:
        transforms += _all_transforms(inner)
    return transforms


def box_sizes(records: Sequence[Any], imgsz: int) -> np.ndarray:
    """Return the width and height of every box at training size, (n, 2) float64, for autoanchor."""
    sizes = [
        (record.boxes_xyxy[:, 2:] - record.boxes_xyxy[:, :2]) * imgsz / max(record.width, record.height)
        for record in records
    ]
    return np.concatenate(sizes) if sizes else np.zeros((0, 2))
