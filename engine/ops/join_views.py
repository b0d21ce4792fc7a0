"""Join the boxes that several windows of one image gave: every object once, also one that a seam cuts.

Two boxes of different windows are of one object if they agree where both windows could see. A box that touches a seam
(the border of a window inside the image) is a fragment: nobody knows how far it goes on. So on that side both boxes are
cut off at the seam, and only then compared, by intersection over union:

    same object  ⇔  IoU(clip(a, seams that b touches), clip(b, seams that a touches)) ≥ JOIN

For two boxes that touch no seam that is their plain IoU. A fragment and the whole object seen by a neighbour agree
exactly, however little the fragment shows of it; the fragments of two objects side by side do not, however near.
"""

from dataclasses import dataclass

import numpy as np

from engine.ops.nms_numpy import greedy_nms
from metrics.iou import iou_of_pairs

JOIN = 0.5  # least agreement of two boxes of one object
TOUCH = 0.01, 2.0  # a box touches a seam within that part of the window's side, and at least so many pixels
NONE = -1  # in place of a box's number
REACH = 1.0  # pixels by which windows see beyond their border, so that windows without overlap meet


@dataclass(frozen=True)
class Views:
    """Hold the boxes of all views of one image.

    Attributes:
        boxes: (n, 4) float32 corners in the image's pixels.
        scores: (n,).
        classes: (n,) int.
        view: (n,) number of the window that each was seen in.
        windows: (v, 4) left, top, right, bottom of each view.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    view: np.ndarray
    windows: np.ndarray


def join_views(views: Views, iou_thres: float, max_det: int, agnostic: bool = False) -> np.ndarray:
    """Join the boxes of all views of one image.

    A box that touches no seam stands for its object; those of other views that agree with it are dropped, the lower
    score first. Fragments that agree with no such box are united with each other, but never two of one view: neighbours
    stay apart. A fragment that agrees with nothing is dropped where another window shows all of it, and what lies
    beyond the seam, and sees no such object there.

    Args:
        views: the boxes, after suppression within each view.
        iou_thres: of a last suppression among the joined boxes.
        max_det: boxes at most.
        agnostic: boxes of different classes are compared too.

    Returns:
        (m, 6) float32: corners, score, class; best first.
    """
    cut = _touching(views)
    fragment = cut.max(1)
    pairs = _agreeing(views, cut, agnostic)
    keeper = _suppress(views.scores, fragment, pairs)
    kept = np.flatnonzero(keeper == np.arange(len(keeper)))
    complete = np.concatenate([views.boxes[kept], views.scores[kept, None], views.classes[kept, None]], 1)
    joined = np.concatenate([complete, _united(views, cut, keeper == NONE, pairs)]).astype(np.float32)
    apart = 0.0 if agnostic else float(views.windows[-1, 2:].max()) + 1
    moved = joined[:, :4].astype(np.float64) + apart * joined[:, 5:]
    return joined[greedy_nms(moved, joined[:, 4], iou_thres, max_det)]  # type: ignore[no-any-return]


def _seams(windows: np.ndarray) -> np.ndarray:
    """Return which sides of each window (v, 4) lie inside the image, whose own window comes last."""
    return np.concatenate([windows[:, :2] > windows[-1, :2], windows[:, 2:] < windows[-1, 2:]], 1)


def _tolerance(windows: np.ndarray) -> np.ndarray:
    """Return within how many pixels of a seam a box touches it, for each window (v, 1)."""
    part, least = TOUCH
    return np.maximum(part * (windows[:, 2:] - windows[:, :2]).max(1, keepdims=True), least)  # type: ignore[no-any-return]


def _touching(views: Views) -> np.ndarray:
    """Return which sides of each box touch a seam, (n, 4) of bool: left, top, right, bottom."""
    near = np.abs(views.boxes - views.windows[views.view]) <= _tolerance(views.windows)[views.view]
    return near & _seams(views.windows)[views.view]


def _agreeing(views: Views, cut: np.ndarray, agnostic: bool) -> np.ndarray:
    """Return the pairs of boxes of different views that are of one object, (2, p), each of them both ways round."""
    beyond = views.windows[views.view] + np.array([-REACH, -REACH, REACH, REACH])
    unlimited = np.array([-np.inf, -np.inf, np.inf, np.inf])
    bounds = np.where(cut, beyond, unlimited)  # (n, 4): where a fragment ends, and with it what can be compared
    boxes = np.where(cut, beyond, views.boxes)
    near = [np.zeros((2, 0), np.int64)]
    starts = np.searchsorted(views.view, np.arange(len(views.windows) + 1))
    for one, other in _neighbours(views.windows):
        first, second = slice(*starts[one : one + 2]), slice(*starts[other : other + 2])
        if first.start < first.stop and second.start < second.stop:
            hits = _overlap(boxes[first], boxes[second])
            if not agnostic:
                hits &= views.classes[first, None] == views.classes[second]
            rows, columns = np.nonzero(hits)
            near.append(np.stack([rows + first.start, columns + second.start]))
    one, other = np.concatenate(near, 1)
    low = np.maximum(bounds[one, :2], bounds[other, :2])
    high = np.minimum(bounds[one, 2:], bounds[other, 2:])
    agree = iou_of_pairs(_clipped(boxes[one], low, high), _clipped(boxes[other], low, high), np.zeros(len(one), bool))
    one, other = one[agree >= JOIN], other[agree >= JOIN]
    return np.stack([np.concatenate([one, other]), np.concatenate([other, one])])


def _neighbours(windows: np.ndarray) -> np.ndarray:
    """Return the pairs of windows that overlap or meet, (p, 2), the lower number first."""
    reach = windows + np.array([-REACH, -REACH, REACH, REACH])
    return np.argwhere(np.triu(_overlap(reach, reach), 1))


def _overlap(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which of some boxes (n, 4) overlap which of others (m, 4), (n, m) of bool."""
    left, top, right, bottom = some.T[:, :, None]
    hits = (left < others[:, 2]) & (right > others[:, 0])
    hits &= (top < others[:, 3]) & (bottom > others[:, 1])
    return hits  # type: ignore[no-any-return]


def _clipped(boxes: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Clip boxes (p, 4) to limits (p, 2) each, and return them as left, top, width, height."""
    corner = np.maximum(boxes[:, :2], low)
    return np.concatenate([corner, np.minimum(boxes[:, 2:], high) - corner], 1)


def _suppress(scores: np.ndarray, fragment: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return for each box the one that stands for its object.

    Args:
        scores: (n,).
        fragment: (n,) which boxes touch a seam.
        pairs: as `_agreeing` returns them.

    Returns:
        (n,) its own number for a box that is kept; `NONE` for a fragment that agrees with no complete box.
    """
    after = _adjacent(pairs, len(scores))
    keeper = np.full(len(scores), NONE)
    for i in np.lexsort((-scores, fragment)).tolist():
        others = [keeper[j] for j in after.get(i, ()) if not fragment[j] and keeper[j] != NONE]
        if others:
            keeper[i] = others[0]
        elif not fragment[i]:
            keeper[i] = i
    return keeper


def _adjacent(pairs: np.ndarray, count: int) -> dict[int, list[int]]:
    after: dict[int, list[int]] = {}
    for one, other in zip(*pairs.tolist(), strict=True):
        after.setdefault(one, []).append(other)
    return after


def _united(views: Views, cut: np.ndarray, alone: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Unite the fragments that agree with no complete box, and return (m, 6): corners, score, class.

    Args:
        views: the boxes.
        cut: (n, 4) which sides touch a seam.
        alone: (n,) which boxes these fragments are.
        pairs: as `_agreeing` returns them.
    """
    groups = _groups(views, np.flatnonzero(alone), pairs)
    redundant = _seen_whole(views, cut)
    rows = []
    for group in groups:
        if len(group) == 1 and redundant[group[0]]:
            continue
        best = max(group, key=lambda i: views.scores[i])
        boxes = views.boxes[group]
        rows.append([*boxes[:, :2].min(0), *boxes[:, 2:].max(0), views.scores[best], views.classes[best]])
    return np.array(rows).reshape(-1, 6)


def _groups(views: Views, members: np.ndarray, pairs: np.ndarray) -> list[list[int]]:
    """Group fragments that agree, surest first, never two of one view."""
    group: dict[int, list[int]] = {int(i): [int(i)] for i in members}
    one, other = pairs[:, np.isin(pairs[0], members) & np.isin(pairs[1], members) & (pairs[0] < pairs[1])]
    surest = np.argsort(-np.minimum(views.scores[one], views.scores[other]), kind="stable")
    for i, j in zip(one[surest].tolist(), other[surest].tolist(), strict=True):
        if group[i] is group[j] or {views.view[k] for k in group[i]} & {views.view[k] for k in group[j]}:
            continue
        group[i] += group[j]
        group.update({k: group[i] for k in group[j]})
    return list({id(entry): entry for entry in group.values()}.values())


def _seen_whole(views: Views, cut: np.ndarray) -> np.ndarray:
    """Return which boxes touch a seam in their own window, but none in another that shows all of them, (n,) of bool."""
    windows, inside = views.windows[:-1], np.zeros(len(views.boxes), bool)
    margin = np.where(_seams(views.windows)[:-1], _tolerance(windows), 0) * [1, 1, -1, -1]
    inner = windows + margin
    for number, window in enumerate(inner):
        within = (views.boxes[:, :2] >= window[:2]).all(1) & (views.boxes[:, 2:] <= window[2:]).all(1)
        inside |= within & (views.view != number)
    return inside & cut.any(1)
