"""The loss of YOLOv7: the terms of YOLOv5 on simOTA's assignment, for lead and auxiliary outputs."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.losses.anchor_matching import Matches, match_anchors
from models.losses.simota import assign, corners
from models.losses.yolov5 import HYP, AnchorLoss, batch_targets, raw_maps
from models.upstream.layers import bbox_iou

V7_HYP: dict[str, float] = {**HYP, "loss_ota": 1, "ota_height_only": 0}
"""HYP and two switches. `loss_ota`: 1 assigns by cost (simOTA), 0 takes every match, as YOLOv5. `ota_height_only`: 1
scales targets by the image height on both axes while assigning, as the original does; the same for square images."""

AUXILIARY_WEIGHT = 0.25
AUXILIARY_REACH = 1.0  # the auxiliary outputs learn from more neighbour cells
TOP_IOUS, TOP_IOUS_WITH_AUXILIARY = 10, 20  # how many IoUs tell how many cells a target gets


class V7Loss(AnchorLoss):
    """Loss of YOLOv7's heads.

    Args:
        model: detector whose last layer is a PlainHead, and whose `hyp` holds the keys of `V7_HYP`.

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696, §4.3; simOTA from Ge et al., YOLOX, arXiv:2107.08430. The original has no
        plain loss for auxiliary outputs; here it is the same sum with every match taken.
    """

    defaults: Mapping[str, float] = V7_HYP

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.strides = [float(stride) for stride in self.head.stride]  # the head's own are on the device

    def __call__(self, preds: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss.

        Args:
            preds: raw maps (B, na, H, W, 5 + nc), lead ones and then perhaps auxiliary ones, or the eval output
                `(y, raw)`.
            batch: `batch_idx` (n,), `cls` (n,) or (n, 1), `bboxes` (n, 4) centre form normalised to 0–1.

        Returns:
            Sum of the terms × B, and the terms, detached: box_loss, obj_loss, cls_loss.
        """
        raw = raw_maps(preds)
        lead, auxiliary = raw[: self.head.nl], raw[self.head.nl :]
        targets = batch_targets(batch, raw[0].device)
        terms = torch.stack(self.terms(lead, self.matches(lead, targets, 0.5)))
        if auxiliary:
            # Auxiliary outputs learn what the lead predictions are assigned, not what their own would be.
            matches = self.matches(lead, targets, AUXILIARY_REACH)
            terms = terms + AUXILIARY_WEIGHT * torch.stack(self.terms(auxiliary, matches))
        box, obj, cls = terms.detach()
        return terms.sum() * raw[0].shape[0], {"box_loss": box, "obj_loss": obj, "cls_loss": cls}

    def matches(self, lead: list[Tensor], targets: Tensor, reach: float) -> list[Matches]:
        """Return the positives of each level."""
        head = self.head
        shapes = [(p.shape[2], p.shape[3]) for p in lead]
        candidates = match_anchors(targets, head.anchor_wh.float(), shapes, self.hyp["anchor_t"], reach)
        if not self.hyp["loss_ota"]:
            return candidates
        height, width = (int(size * self.strides[0]) for size in shapes[0])
        if self.hyp["ota_height_only"]:
            width = height
        top = TOP_IOUS_WITH_AUXILIARY if hasattr(head, "m2") else TOP_IOUS
        return assign(lead, candidates, targets, self.strides, (width, height), top)

    def overlap(self, boxes: Tensor, targets: Tensor) -> Tensor:
        """Return the CIoU (n,) of boxes (n, 4) and targets (n, 4), both centre and size in cells.

        Corners, because the original keeps a small constant in the heights, which ultralytics' function adds to
        corners only.
        """
        ciou: Tensor = bbox_iou(corners(boxes), corners(targets), xywh=False, CIoU=True)
        return ciou.squeeze(-1)
