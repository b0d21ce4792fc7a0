"""Compute statistics of a data set: class balance, object sizes at the training resolution, fit of anchors."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from data.balance.class_weights import class_counts, class_weights
from data.balance.repeat_factors import class_factors, class_frequencies, epoch_size, image_factors
from data.records import Dataset, Record, Split

COCO_SMALL, COCO_LARGE = 32.0**2, 96.0**2  # square pixels; COCO's borders between small, medium and large
ANCHOR_THRESHOLD = 4.0  # YOLOv5's anchor_t: an anchor fits a box whose sides differ by less than this factor
YOLOV5_ANCHORS = ((10, 13, 16, 30, 33, 23), (30, 61, 62, 45, 59, 119), (116, 90, 156, 198, 373, 326))


def split_statistics(split: Split, names: dict[int, str], imgsz: int) -> dict[str, Any]:
    """Count the images, boxes and sizes of one split, as plain types.

    Args:
        split: the images.
        names: class names.
        imgsz: the training resolution in pixels: the longer side of an image is scaled to it.
    """
    sides = sides_at(split.records, imgsz)
    classes = np.concatenate([record.classes for record in split] or [np.empty(0, np.int64)])
    per_class = np.bincount(classes, minlength=len(names))
    with_class = Counter(cls for record in split for cls in set(record.classes.tolist()))
    return {
        "images": len(split),
        "without objects": sum(len(record) == 0 for record in split),
        "boxes": len(classes),
        "difficult": int(sum(record.difficult.sum() for record in split)),
        "crowd": int(sum(record.crowd.sum() for record in split)),
        "boxes per image": _quantiles(np.array([len(record) for record in split], dtype=np.float64)),
        "image sizes": _image_sizes(split.records),
        "classes": {
            names[cls]: {"boxes": int(per_class[cls]), "images": with_class.get(cls, 0)} for cls in sorted(names)
        },
        "box sides": {"width": _quantiles(sides[:, 0]), "height": _quantiles(sides[:, 1])},
        "AP sizes": _size_shares(sides),
        "one pixel": int((own_sides(split.records).min(1, initial=np.inf) <= 1.0).sum()),
        "under two pixels in training": int((sides.min(1, initial=np.inf) < 2.0).sum()),
    }


def own_sides(records: Sequence[Record]) -> np.ndarray:
    """Return widths and heights of all boxes in pixels of their images.

    Shape:
        (n, 2) float64.
    """
    return np.concatenate([r.boxes_xyxy[:, 2:] - r.boxes_xyxy[:, :2] for r in records] or [np.empty((0, 2))])


def sides_at(records: Sequence[Record], imgsz: int) -> np.ndarray:
    """Return widths and heights of all boxes when the longer side of each image is scaled to `imgsz` pixels.

    Shape:
        (n, 2) float64.
    """
    scales = np.repeat(
        [imgsz / max(record.width, record.height) for record in records], [len(record) for record in records]
    )
    return own_sides(records) * scales[:, None]


def best_possible_recall(
    sides: np.ndarray, anchors: np.ndarray, threshold: float = ANCHOR_THRESHOLD
) -> tuple[float, float]:
    """Return the share of the boxes that some anchor fits, and how many anchors fit a box on average.

    Args:
        sides: (n, 2) widths and heights in pixels.
        anchors: (k, 2) likewise.
        threshold: the largest factor between a side of a box and of its anchor.

    Source:
        YOLOv5's autoanchor and loss: an anchor takes a box when max(w / aw, aw / w, h / ah, ah / h) < threshold.
    """
    if not len(sides):
        return float("nan"), float("nan")
    ratio = sides[:, None] / anchors[None]  # (n, k, 2)
    fits = np.maximum(ratio, 1 / ratio).max(2) < threshold
    return float(fits.any(1).mean()), float(fits.sum(1).mean())


def balance(dataset: Dataset) -> dict[str, Any]:
    """Return how unequal the classes are, and which are missing where."""
    counts = {
        name: np.bincount(
            np.concatenate([record.classes for record in split] or [np.empty(0, np.int64)]), minlength=dataset.nc
        )
        for name, split in dataset.splits.items()
    }
    total = np.sum(list(counts.values()), axis=0)
    present = total[total > 0]
    return {
        "largest to smallest class": round(float(present.max() / present.min()), 2) if len(present) else None,
        "classes without boxes": {
            name: [dataset.names[cls] for cls in np.flatnonzero(count == 0).tolist()] for name, count in counts.items()
        },
    }


def remedies(split: Split, names: dict[int, str], threshold: float) -> dict[str, Any]:
    """Say what --oversample and --class-weights of train.py would do to a split, as plain types.

    Args:
        split: the training images.
        names: class names.
        threshold: of --oversample.
    """
    frequencies = class_frequencies(split.records, len(names))
    factors = class_factors(frequencies, threshold)
    weights = class_weights(class_counts(split.records, len(names)), 1)
    return {
        "threshold": threshold,
        "images": len(split),
        "samples": epoch_size(image_factors(split.records, len(names), threshold)),
        "classes": {
            names[cls]: {
                "part of images": round(float(frequencies[cls]), 4),
                "repeat factor": round(float(factors[cls]), 4),
                "class weight": round(float(weights[cls]), 4),
            }
            for cls in sorted(names)
        },
    }


def _quantiles(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    quantiles = np.quantile(values, [0, 0.05, 0.5, 0.95, 1])
    return {
        key: round(value, 2) for key, value in zip(("min", "5%", "50%", "95%", "max"), quantiles.tolist(), strict=True)
    }


def _image_sizes(records: Sequence[Record]) -> dict[str, int]:
    """Return the most frequent sizes; the rest together."""
    sizes = Counter(f"{record.width}×{record.height}" for record in records)
    shown = dict(sizes.most_common(8))
    rest = len(records) - sum(shown.values())
    return {**shown, f"{len(sizes) - len(shown)} other sizes": rest} if rest else shown


def _size_shares(sides: np.ndarray) -> dict[str, float]:
    """Divide boxes into COCO's size classes by area, as APs, APm and APl do."""
    area = sides[:, 0] * sides[:, 1]
    total = max(len(area), 1)
    small, large = int((area < COCO_SMALL).sum()), int((area > COCO_LARGE).sum())
    shares = {"small": small, "medium": len(area) - small - large, "large": large}
    return {name: round(number / total, 4) for name, number in shares.items()}
