"""Recompute AP on resampled images from match tables: no box is compared again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics.average_precision import EPS, RECALLS, envelope
from metrics.inputs import Bools, Floats, Ints
from metrics.matching import IGNORED, IOU_THRESHOLDS, RIGHT, MatchTable

# Cells of the largest temporary array (resamples × detections of a class), 8 bytes each.
CELLS = 4_000_000


def image_resamples(images: int, resamples: int, seed: int, originals: Sequence[str] = ()) -> Ints:
    """Draw how often each image occurs in each resample.

    Tiles and frames of one original are alike, so they are no independent images: given originals, these are drawn, and
    an image occurs as often as its original.

    Args:
        images: number of images, > 0.
        resamples: number of resamples.
        seed: of numpy's generator; the same seed pairs the resamples of two models.
        originals: name of each image's original; none where every image is one of its own.

    Returns:
        (resamples, images) counts; without originals each row sums to `images`.

    Raises:
        ValueError: if there is not one original for each image.
    """
    if originals:
        if len(originals) != images:
            raise ValueError(f"{len(originals)} originals for {images} images; expected one for each")
        names, which = np.unique(np.asarray(originals), return_inverse=True)
        return image_resamples(len(names), resamples, seed)[:, which]
    return np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=resamples)


def bootstrap_ap(table: MatchTable, counts: Ints, ap50_only: bool = False) -> dict[str, Floats]:
    """Recompute AP for every resample of the images.

    A resample in which an image occurs twice equals a data set that holds two copies of the image, side by side (where
    detections of one image and class tie in score, their order among the copies differs). Classes without objects in a
    resample are left out of its mean.

    Args:
        table: from `match`.
        counts: (B, I) how often each image of `table.image_ids` occurs, from `image_resamples`.
        ap50_only: leave out the higher thresholds, for a tenth of the time.

    Returns:
        AP50 and, unless left out, AP (the mean over IoU 0.5 to 0.95): each (B,) in 0–1, NaN for a resample without
        any object.

    Raises:
        ValueError: if `counts` does not fit the table's images.
    """
    if counts.ndim != 2 or counts.shape[1] != len(table.image_ids):
        raise ValueError(f"counts have shape {counts.shape}; expected (resamples, {len(table.image_ids)} images)")
    thresholds = 1 if ap50_only else len(IOU_THRESHOLDS)
    classes = len(table.names)
    ap = np.full((thresholds, classes, len(counts)), np.nan)
    countable = table.truth_counts[0]
    # Objects of each image and class: (I, K).
    cell = table.truth_image[countable] * classes + table.truth_category[countable]
    objects = np.bincount(cell, minlength=len(table.image_ids) * classes).reshape(-1, classes)
    positives = counts @ objects  # (B, K)
    for k, rows in enumerate(table.class_slices()):
        step = max(1, CELLS // max(rows.stop - rows.start, 1))
        for start in range(0, len(counts), step):
            part = slice(start, start + step)
            copies = counts[part][:, table.image[rows]]  # (b, detections of the class)
            ignored = table.state[0, :thresholds, rows] == IGNORED
            for t, state in enumerate(table.state[0, :thresholds, rows]):
                if t == 0 or ignored.any():
                    passed = np.cumsum(copies * ~ignored[t], axis=1)
                ap[t, k, part] = _weighted_ap(state == RIGHT, copies, passed, positives[part, k])
    defined = ~np.isnan(ap)
    with np.errstate(invalid="ignore"):
        mean = np.where(defined, ap, 0.0).sum(1) / defined.sum(1)  # (T, B)
    return {"AP50": mean[0]} if ap50_only else {"AP50": mean[0], "AP": mean.mean(0)}


def _weighted_ap(right: Bools, copies: Ints, passed: Ints, positives: Ints) -> Floats:
    """Return AP of one class for each resample; NaN where it has no object.

    Args:
        right: (d,) by falling score: whether the detection found an object.
        copies: (b, d) how often each detection occurs.
        passed: (b, d) how many that are not ignored occur up to it.
        positives: (b,) objects to be found.
    """
    result = np.where(positives > 0, 0.0, np.nan)
    if not right.any():
        return result
    hits = np.cumsum(copies[:, right], axis=1)
    best = envelope(hits / (passed[:, right] + EPS))
    recall = hits / np.maximum(positives, 1)[:, None]
    # How many of the 101 recalls each right detection is the first to reach.
    reached = np.searchsorted(RECALLS, recall, side="right")
    result += (np.diff(reached, axis=1, prepend=0) * best).sum(1) / len(RECALLS)
    return result
