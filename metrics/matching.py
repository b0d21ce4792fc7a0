"""Match detections with objects, once for all numbers: COCO's matching as one table.

The table keeps every detection with its image, so a study can resample images and recompute AP without matching again.
Matching is greedy within an image and class, by falling score. Detections of equal rank in different images do not
concern each other, so they are matched together: a round for every rank, each a few array operations over all
thresholds and size classes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from metrics.inputs import Bools, Detections, Floats, Ints, Truths
from metrics.iou import Pairs, overlapping

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
SIZES = ("all", "small", "medium", "large")
# Pixels², both ends included: an object of exactly 32² pixels counts as small and as medium, as in the reference.
AREA_RANGES: Floats = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]])
MAX_DETECTIONS = 100

WRONG, RIGHT, IGNORED = 0, 1, 2


@dataclass(frozen=True)
class MatchTable:
    """COCO's matching of one prediction set: D detections (the best 100 of each image and class) and G objects.

    Detections are sorted by class, then by falling score, then by image and input order: the order in which the
    precision–recall curve of each class runs through them.

    Attributes:
        names: (K,) classes.
        image_ids: (I,) images, as text.
        image: (D,) position in `image_ids`.
        category: (D,) position in `names`.
        score: (D,) confidence.
        rank: (D,) 0 for the best of its image and class.
        row: (D,) position in the input list.
        state: (A, T, D) for each size class and IoU threshold WRONG, RIGHT or IGNORED.
        truth: (D,) object that the detection matched at IoU 0.5 whatever its size, -1 when none.
        truth_image: (G,) position in `image_ids`.
        truth_category: (G,) position in `names`.
        truth_counts: (A, G) whether the object counts in the size class: not a crowd and of that size.
    """

    names: npt.NDArray[np.str_]
    image_ids: npt.NDArray[np.str_]
    image: Ints
    category: Ints
    score: Floats
    rank: Ints
    row: Ints
    state: npt.NDArray[np.uint8]
    truth: Ints
    truth_image: Ints
    truth_category: Ints
    truth_counts: Bools

    def positives(self, size: int = 0) -> Ints:
        """Count objects to be found, by class: (K,)."""
        return np.bincount(self.truth_category[self.truth_counts[size]], minlength=len(self.names))

    def class_slices(self) -> list[slice]:
        """Return the rows of each class."""
        edges = np.searchsorted(self.category, np.arange(len(self.names) + 1))
        return [slice(a, b) for a, b in pairwise(edges.tolist())]

    def save(self, path: str | Path) -> None:
        """Write the table as a compressed .npz of plain arrays."""
        with Path(path).open("wb") as file:
            np.savez_compressed(file, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: str | Path) -> MatchTable:
        """Read a table that `save` wrote.

        Raises:
            ValueError: if the file is not such a table; nothing in it is executed.
        """
        wanted = {field.name for field in fields(cls)}
        with np.load(path, allow_pickle=False) as file:
            if missing := sorted(wanted - set(file.files)):
                raise ValueError(f"{path}: no match table, it lacks {', '.join(missing)}")
            return cls(**{name: file[name] for name in wanted})


def match(truths: Truths, detections: Detections) -> MatchTable:
    """Match detections with objects as the COCO evaluation does.

    Args:
        truths: annotated objects; crowds and objects outside a size class are ignored in it.
        detections: predictions; the 100 best of each image and class take part.

    Returns:
        The table, for ten IoU thresholds and four size classes.

    Source:
        Behaviour of pycocotools 2.0.11, COCOeval.evaluateImg; equal numbers are tested. Differs: an annotation with
        id 0 is an object like any other (the reference takes its matches for misses).
    """
    best, rank = best_rows(truths, detections)
    pairs = overlapping(truths, detections, float(IOU_THRESHOLDS[0]), same_class=True, rows=best)
    ignored = truths.crowd | (truths.area < AREA_RANGES[:, :1]) | (truths.area > AREA_RANGES[:, 1:])
    area = detections.boxes_xywh[best, 2] * detections.boxes_xywh[best, 3]
    out_of_range = (area < AREA_RANGES[:, :1]) | (area > AREA_RANGES[:, 1:])  # (A, D)
    state = np.where(out_of_range, np.uint8(IGNORED), np.uint8(WRONG))[:, None].repeat(len(IOU_THRESHOLDS), 1)
    truth = np.full(len(best), -1)
    if len(pairs.iou):
        position = np.empty(len(detections), dtype=np.int64)
        position[best] = np.arange(len(best))
        group = truths.image[pairs.truth] * len(truths.names) + truths.category[pairs.truth]
        _greedy(pairs, position[pairs.detection], group, truths.crowd, ignored, state, truth)
    image, category = detections.image[best], detections.category[best]
    order = np.lexsort((best, image, -detections.score[best], category))
    return MatchTable(
        names=np.array(truths.names, dtype=np.str_),
        image_ids=np.array([str(key) for key in truths.image_ids], dtype=np.str_),
        image=image[order],
        category=category[order],
        score=detections.score[best][order],
        rank=rank[order],
        row=best[order],
        state=state[:, :, order],
        truth=truth[order],
        truth_image=truths.image,
        truth_category=truths.category,
        truth_counts=~ignored,
    )


def best_rows(truths: Truths, detections: Detections) -> tuple[Ints, Ints]:
    """Return rows of the best detections of each image and class in falling score, and the rank of each."""
    group = detections.image * len(truths.names) + detections.category
    rows = np.lexsort((-detections.score, group))  # stable: ties keep the input order
    sorted_group = group[rows]
    rank = np.arange(len(rows)) - np.searchsorted(sorted_group, sorted_group, "left")
    keep = rank < MAX_DETECTIONS
    return rows[keep], rank[keep]


def _greedy(
    pairs: Pairs,
    detection: Ints,
    group: Ints,
    crowd: Bools,
    ignored: Bools,
    state: npt.NDArray[np.uint8],
    truth: Ints,
) -> None:
    """Fill `state` (A, T, D) and `truth` (D,) of the detections that overlap something.

    Each detection takes the best object that is still free: one that counts before an ignored one, then the larger
    overlap, then the later annotation. `priority` says this as one integer.
    """
    used, local = np.unique(pairs.truth, return_inverse=True)  # work on overlapped objects only
    areas, thresholds, count = len(AREA_RANGES), np.minimum(IOU_THRESHOLDS, 1 - 1e-10), len(pairs.iou)
    by_quality = np.lexsort((pairs.truth, pairs.iou))
    quality = np.empty(count, dtype=np.int32)
    quality[by_quality] = np.arange(1, count + 1, dtype=np.int32)
    counts = ~ignored[:, used].T  # (U, A)
    reusable = crowd[used]
    free = np.ones((len(used), areas, len(thresholds)), dtype=bool)
    turn = _turns(detection, group)
    order = np.argsort(turn, kind="stable")
    edges = np.searchsorted(turn[order], np.arange(int(turn.max()) + 2))
    for a, b in pairwise(edges.tolist()):
        now = order[a:b]
        objects = local[now]
        priority = quality[now, None] + np.where(counts[objects], np.int32(count), np.int32(0))  # (P, A)
        possible = free[objects] & (pairs.iou[now, None] >= thresholds)[:, None, :]
        priority_of = np.where(possible, priority[:, :, None], 0)  # (P, A, T)
        starts = np.flatnonzero(np.diff(detection[now], prepend=-1))
        winner = np.maximum.reduceat(priority_of, starts, axis=0)  # (detections of the round, A, T)
        d, area, t = np.nonzero(winner)
        pair = by_quality[(winner[d, area, t] - 1) % count]
        chosen, rows = local[pair], detection[now][starts][d]
        free[chosen, area, t] = reusable[chosen]
        state[area, t, rows] = np.where(counts[chosen, area], RIGHT, IGNORED)
        first = (area == 0) & (t == 0)
        truth[rows[first]] = used[chosen[first]]


def _turns(detection: Ints, group: Ints) -> Ints:
    """Round in which each pair is looked at: the position of its detection among those of its group that overlap.

    Args:
        detection: (P,) rising; a group's detections are consecutive and fall in score.
        group: (P,) image and class.
    """
    new = np.diff(detection, prepend=-1) > 0
    nth = np.cumsum(new) - 1  # detections before this one, over all groups
    first_of_group = np.flatnonzero(np.diff(group, prepend=-1) != 0)
    lengths = np.diff(first_of_group, append=len(group))
    return nth - np.repeat(nth[first_of_group], lengths)
