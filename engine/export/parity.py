"""Compare an exported file with its checkpoint on real photographs, in pixels and scores."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.backends.base import Backend
from engine.backends.torch import TorchBackend
from engine.backends.verified import compare_outputs
from engine.ops.letterbox import letterbox
from engine.ops.nms_numpy import filter_by_confidence, image_nms
from metrics.iou import iou_matrix
from models.network.full_precision import without_tf32

TOLERANCE = (0.1, 1e-3)  # pixels, and score from 0 to 1
HALF_TOLERANCE = (4.0, 0.03)  # the same in 16 bits, where a coordinate of 640 is known to half a pixel before decoding
CONF_THRES, IOU_THRES, MAX_DET = 0.05, 0.45, 300  # a low confidence, so that small models find something in them
SAME_IOU = 0.9  # IoU of two boxes of one class that are one detection
MIN_MATCHED = 0.98  # of the detections; suppression may choose otherwise between boxes that are all but alike


@dataclass(frozen=True)
class Parity:
    """Hold how far an exported file's outputs lie from the checkpoint's.

    Attributes:
        boxes: largest difference of a box coordinate in pixels.
        mean_boxes: mean of the largest of each box.
        scores: largest difference of a score.
        matched: detections of the checkpoint that the file finds too.
        detections: of the checkpoint.
        tolerance: of boxes and scores.
        raw: boxes compared before suppression, because none is a detection; 0 if there are detections.
    """

    boxes: float
    mean_boxes: float
    scores: float
    matched: int
    detections: int
    tolerance: tuple[float, float]
    raw: int = 0

    @property
    def holds(self) -> bool:
        """Tell whether all is within tolerance; not if something is no number."""
        boxes, scores = self.tolerance
        return self.boxes <= boxes and self.scores <= scores and self.matched >= MIN_MATCHED * self.detections

    @property
    def matches(self) -> str:
        """Say what was compared beside numbers: detections, or what stood in for them."""
        if self.detections:
            return f"{self.matched} of {self.detections} detections match"
        if self.raw:
            return f"{self.raw} raw boxes compared, as none reaches confidence {CONF_THRES} in the sample images"
        return "the sample images have no detection to compare"

    def __str__(self) -> str:
        """Return the comparison as one line."""
        return (
            f"boxes differ by {self.boxes:.2e} px at most ({self.mean_boxes:.2e} on average; tolerance "
            f"{self.tolerance[0]}), scores by {self.scores:.2e} (tolerance {self.tolerance[1]:.3g}), {self.matches}"
        )


def sample_batch(size: tuple[int, int], batch: int, channels: int = 3) -> np.ndarray:
    """Return (B, c, H, W): the photographs that scikit-learn ships, turned as often as needed.

    For another number of channels theirs are repeated, or left out.
    """
    from sklearn.datasets import load_sample_images

    photographs = [photograph[..., ::-1] for photograph in load_sample_images().images]
    if channels != 3:
        photographs = [photograph[..., np.arange(channels) % 3] for photograph in photographs]
    turned = [np.rot90(photographs[number % 2], number // 2) for number in range(batch)]
    return letterbox([np.ascontiguousarray(image) for image in turned], size)[0]


def compare_with_checkpoint(detector: Any, backend: Backend, imgsz: int, batch: int = 2, half: bool = False) -> Parity:
    """Compare an exported file with its checkpoint on the same images.

    Where the checkpoint finds nothing in them, as after a short training, scores are so small that any file would be
    within tolerance of them: it shrinks in proportion to the highest score.

    Args:
        detector: the checkpoint's model; it is not changed.
        backend: the opened file.
        imgsz: pixels of a side, where the file takes any size.
        batch: images, where it takes any number.
        half: the file computes in 16 bits.
    """
    channels = detector.yaml.get("channels", 3)
    images = sample_batch(backend.size or (imgsz, imgsz), backend.batch or max(batch, 2), channels)
    expected = TorchBackend(deepcopy(detector).float(), "cpu")(images)
    with without_tf32():
        output = backend(images)
    tolerance = HALF_TOLERANCE if half else TOLERANCE
    truth = [_detections(rows) for rows in filter_by_confidence(expected, CONF_THRES)]
    count = sum(map(len, truth))
    if backend.finished and output.shape[1:] != expected.shape[1:]:
        pairs = [_pairs(theirs, ours[ours[:, 4] > CONF_THRES]) for theirs, ours in zip(truth, output, strict=True)]
        apart = [abs(a[:5] - b[:5]) for both in pairs for a, b in both]
        boxes = np.array([row[:4].max() for row in apart] or [0.0])
        scores = max((float(row[4]) for row in apart), default=0.0)
        return Parity(float(boxes.max()), float(boxes.mean()), scores, len(apart), count, tolerance)
    highest = float(expected[:, 4:].max(initial=0))
    if not count:
        tolerance = (tolerance[0], tolerance[1] * highest / CONF_THRES)
    difference = compare_outputs(output, expected, conf_thres=min(CONF_THRES, highest / 2) if half else 0.0)
    if output.shape != expected.shape:
        return Parity(difference.boxes, difference.mean_boxes, difference.scores, 0, count, tolerance)
    ours = [_detections(rows) for rows in filter_by_confidence(output, CONF_THRES - tolerance[1])]
    matched = sum(len(_pairs(a, b)) for a, b in zip(truth, ours, strict=True))
    raw = 0 if count else difference.count
    return Parity(difference.boxes, difference.mean_boxes, difference.scores, matched, count, tolerance, raw)


def _detections(rows: np.ndarray) -> np.ndarray:
    """Return corners, score and class (n, 6) of what detect.py would show."""
    return image_nms(rows, 0.0, IOU_THRES, MAX_DET, None, agnostic=False)


def _pairs(expected: np.ndarray, detections: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the detections that are there twice: of one class, overlapping by SAME_IOU; each used once."""
    overlaps = np.nan_to_num(iou_matrix(expected[:, :4], detections[:, :4]))  # NaN for boxes without area
    overlaps[expected[:, 5:] != detections[:, 5]] = 0  # of different classes
    pairs, free = [], list(range(len(detections)))
    for row, overlap in zip(expected, overlaps, strict=True):
        best = max(free, key=overlap.__getitem__, default=None)
        if best is not None and overlap[best] >= SAME_IOU:
            free.remove(best)
            pairs.append((row, detections[best]))
    return pairs
