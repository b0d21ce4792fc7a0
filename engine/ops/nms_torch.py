"""Non-maximum suppression in PyTorch: no time limit, and no comparison of boxes that cannot be kept anyway."""

from typing import Any

import torch
from torch import Tensor

from engine.ops.nms_numpy import greedy_nms
from models.upstream.nms import non_max_suppression as stock


def non_max_suppression(
    prediction: Any,
    conf_thres: float = 0.25,
    iou_thres: float = 0.45,
    classes: list[int] | None = None,
    agnostic: bool = False,
    multi_label: bool = False,
    max_det: int = 300,
    nc: int = 0,
    max_nms: int = 30000,
    max_wh: int = 7680,
    end2end: bool = False,
    **others: Any,
) -> Any:
    """Run non-maximum suppression; the same results as ultralytics', which gives up when its time is over.

    Args:
        prediction: (B, 4 + nc, N) centre x, centre y, width, height in pixels, then class scores; or (that, anything).
        conf_thres: score above which a class of a row must be.
        iou_thres: intersection over union above which the lower score is dropped.
        classes: only these.
        agnostic: boxes of different classes suppress each other too.
        multi_label: a box may have several classes.
        max_det: boxes an image at most.
        nc: number of classes; 0 takes it from the shape. With more rows than that, ultralytics' own code runs.
        max_nms: candidates an image at most, the best ones.
        max_wh: distance in pixels by which classes are moved apart.
        end2end: the model suppresses by itself; ultralytics' own code runs.
        others: settings that only ultralytics' own code knows.

    Returns:
        For each image (n, 6): corners in pixels, score, class.
    """
    scores = prediction[0] if isinstance(prediction, list | tuple) else prediction
    plain = not end2end and not any(others.values()) and scores.shape[-1] != 6 and nc in (0, scores.shape[1] - 4)
    if not plain:
        others.pop("max_time_img", None)
        return stock(
            prediction,
            conf_thres,
            iou_thres,
            classes,
            agnostic,
            multi_label,
            max_det=max_det,
            nc=nc,
            max_nms=max_nms,
            max_wh=max_wh,
            end2end=end2end,
            max_time_img=float("inf"),
            **others,
        )
    wanted = None if classes is None else torch.as_tensor(classes, device=scores.device)
    several_labels = multi_label and scores.shape[1] > 5
    passing = scores[:, 4:].amax(1) > conf_thres
    detections = []
    for image, keep in zip(scores, passing, strict=True):
        candidates = _candidates(image.T[keep], conf_thres, several_labels, wanted)
        if len(candidates) > max_nms:
            candidates = candidates[candidates[:, 4].argsort(descending=True)[:max_nms]]
        moved = candidates[:, :4] + (0 if agnostic else max_wh) * candidates[:, 5:6]
        detections.append(candidates[_best(moved, candidates[:, 4], iou_thres, max_det)])
    return detections


def _candidates(rows: Tensor, conf_thres: float, several_labels: bool, wanted: Tensor | None) -> Tensor:
    """Return (n, 6) corners, score, class of rows (m, 4 + nc) that pass."""
    half = rows[:, 2:4] / 2
    corners = torch.cat((rows[:, :2] - half, rows[:, :2] + half), 1)
    if several_labels:
        box, class_number = (rows[:, 4:] > conf_thres).nonzero(as_tuple=True)
        score = rows[box, 4 + class_number]
    else:
        score, class_number = rows[:, 4:].max(1) if len(rows) else (rows.new_zeros(0), rows.new_zeros(0))
        box = (score > conf_thres).nonzero().flatten()
        score, class_number = score[box], class_number[box]
    if wanted is not None:
        chosen = (class_number[:, None] == wanted).any(1)
        box, score, class_number = box[chosen], score[chosen], class_number[chosen]
    return torch.cat((corners[box], score[:, None], class_number[:, None].to(corners.dtype)), 1).float()


def _best(boxes: Tensor, scores: Tensor, iou_thres: float, max_det: int) -> Tensor:
    """Return the indices that greedy suppression keeps, best first, at most `max_det`.

    Args:
        boxes: (n, 4) corners.
        scores: (n,).
        iou_thres: intersection over union above which a box is dropped.
        max_det: stop after so many.
    """
    if boxes.device.type != "cpu":
        import torchvision  # takes seconds; not at start-up

        return torchvision.ops.nms(boxes, scores, iou_thres)[:max_det]
    return torch.from_numpy(greedy_nms(boxes.numpy(), scores.numpy(), iou_thres, max_det))
