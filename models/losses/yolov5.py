"""The loss of YOLOv5: CIoU on boxes, cross-entropy on objectness and classes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from models.losses.anchor_matching import Matches, match_anchors
from models.losses.constants import constant
from models.upstream.layers import bbox_iou

HYP: dict[str, float] = {
    "box": 0.05,
    "cls": 0.5,
    "cls_pw": 1.0,
    "obj": 1.0,
    "obj_pw": 1.0,
    "anchor_t": 4.0,
    "fl_gamma": 0.0,
    "label_smoothing": 0.0,
}
"""Gains and thresholds with YOLOv5's values; the trainer scales box, cls and obj for levels, classes and image size."""

# Small objects are many and hard, so the finer levels' objectness weighs more; by number of levels.
BALANCE = {3: (4.0, 1.0, 0.4), 4: (4.0, 1.0, 0.25, 0.06), 5: (4.0, 1.0, 0.25, 0.06, 0.02)}


class AnchorLoss:
    """Loss of anchor-based predictions.

    Args:
        model: detector whose last layer has `anchor_wh`, `nc`, `na`, and whose `hyp` holds the keys of `HYP`; perhaps
            with `class_weights` (nc,), by which the class term of each class is multiplied.

    Attributes:
        defaults: gains and thresholds that a detector with this loss starts with.
        shares: for several processes: takes how many elements each mean has here, (k,), and returns factors (k,) with
            which the mean over processes is the one over all elements. None for a single process.

    Source:
        Published with YOLOv5 (v6 and later); CIoU from Zheng et al., AAAI 2020, arXiv:1911.08287.
    """

    defaults: Mapping[str, float] = HYP

    def __init__(self, model: nn.Module) -> None:
        head: Any = model.model[-1]  # type: ignore[index]
        self.head = head
        self.hyp: Mapping[str, float] = {**self.defaults, **model.hyp}  # type: ignore[dict-item]
        self.class_weights: Tensor | None = getattr(model, "class_weights", None)
        self.balance = BALANCE.get(head.nl, BALANCE[5][: head.nl])
        self.shares: Callable[[Tensor], Tensor] | None = None

    def __call__(self, preds: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss.

        Args:
            preds: raw maps per level (B, na, H, W, 5 + nc), or the eval output `(y, raw)`.
            batch: `batch_idx` (n,), `cls` (n,) or (n, 1), `bboxes` (n, 4) centre form normalised to 0–1.

        Returns:
            Sum of the terms × B, and the terms, detached: box_loss, obj_loss, cls_loss.
        """
        raw = raw_maps(preds)
        targets = batch_targets(batch, raw[0].device)
        shapes = [(p.shape[2], p.shape[3]) for p in raw]
        matches = match_anchors(targets, self.head.anchor_wh.float(), shapes, self.hyp["anchor_t"])
        box, obj, cls = self.terms(raw, matches)
        total = (box + obj + cls) * raw[0].shape[0]
        return total, {"box_loss": box.detach(), "obj_loss": obj.detach(), "cls_loss": cls.detach()}

    def terms(self, raw: Sequence[Tensor], matches: Sequence[Matches]) -> tuple[Tensor, Tensor, Tensor]:
        """Return box, objectness and class terms, gains applied."""
        zero = raw[0].new_zeros((), dtype=torch.float32)
        box, obj, cls = zero, zero, zero
        weights = self.weights(raw, matches)
        for p, match, balance, (found, cells) in zip(raw, matches, self.balance, weights, strict=True):
            objectness = torch.zeros(p.shape[:4], device=p.device)
            if len(match.image):
                chosen = p[match.image, match.anchor, match.y, match.x].float()
                overlap = self.overlap(decode_cells(chosen, match.anchor_wh), match.box)
                box = box + (1 - overlap).mean() * found
                objectness[match.image, match.anchor, match.y, match.x] = overlap.detach().clamp(min=0)
                if self.head.nc > 1:
                    targets = self.class_targets(chosen[:, 5:], match.cls)
                    cls = cls + self.score(chosen[:, 5:], targets, "cls_pw", self.class_weights) * found
            obj = obj + self.score(p[..., 4].float(), objectness, "obj_pw") * balance * cells
        return box * self.hyp["box"], obj * self.hyp["obj"], cls * self.hyp["cls"]

    def weights(self, raw: Sequence[Tensor], matches: Sequence[Matches]) -> Sequence[Sequence[Tensor | float]]:
        """Return per level the factors of the means over positives and over cells, 1 for a single process."""
        if self.shares is None:
            return [(1.0, 1.0)] * len(raw)
        counts = [(len(match.image), p[..., 4].numel()) for p, match in zip(raw, matches, strict=True)]
        dtype = torch.float32 if raw[0].device.type == "mps" else torch.float64  # which Apple's GPUs have not
        shares = self.shares(torch.tensor(counts, device=raw[0].device, dtype=dtype).flatten())
        return [tuple(level) for level in shares.float().view(-1, 2)]

    def overlap(self, boxes: Tensor, targets: Tensor) -> Tensor:
        """Return the CIoU (n,) of boxes (n, 4) and targets (n, 4), both centre and size in cells."""
        ciou: Tensor = bbox_iou(boxes, targets, xywh=True, CIoU=True)
        return ciou.squeeze(-1)

    def class_targets(self, logits: Tensor, cls: Tensor) -> Tensor:
        """Return smoothed one-hot targets (n, nc)."""
        smoothing = self.hyp["label_smoothing"]
        target = torch.full_like(logits, 0.5 * smoothing)
        target.scatter_(1, cls.unsqueeze(1), 1 - 0.5 * smoothing)
        return target

    def score(self, logits: Tensor, target: Tensor, weight: str, columns: Tensor | None = None) -> Tensor:
        """Return mean cross-entropy with the positive weight that `weight` names, focal if asked for.

        Args:
            logits: (…), the classes last where `columns` is given.
            target: likewise, 0–1.
            weight: key of the hyperparameter.
            columns: factors (nc,) of the classes.
        """
        gamma = self.hyp["fl_gamma"]
        positive = self.hyp[weight]
        pos_weight = constant((positive,), logits) if positive != 1 else None
        if columns is not None:
            columns = columns.to(logits.device).expand_as(logits)
        if not gamma:
            return cross_entropy(logits, target, columns, pos_weight=pos_weight)
        loss = cross_entropy(logits, target, columns, pos_weight=pos_weight, reduction="none")
        p = logits.sigmoid()
        hit = target * p + (1 - target) * (1 - p)
        balance = target * 0.25 + (1 - target) * 0.75  # α of Lin et al., arXiv:1708.02002
        return (loss * balance * (1 - hit) ** gamma).mean()


def decode_cells(logits: Tensor, anchor_wh: Tensor) -> Tensor:
    """Turn logits (n, ≥ 4) into boxes (n, 4): centre offset from the cell, and size, in cells."""
    xy = logits[:, :2].sigmoid() * 2 - 0.5
    wh = (logits[:, 2:4].sigmoid() * 2) ** 2 * anchor_wh
    return torch.cat((xy, wh), 1)


def batch_targets(batch: Mapping[str, Tensor], device: torch.device) -> Tensor:
    """Return (n, 6) image, class, x, y, w, h of a batch as ultralytics' loader makes it."""
    image, cls = batch["batch_idx"].view(-1, 1), batch["cls"].view(-1, 1)
    return torch.cat((image, cls, batch["bboxes"].view(-1, 4)), 1).float().to(device)


def raw_maps(preds: Any) -> list[Tensor]:
    """Return the raw maps, whether the head ran in training mode (a list) or in eval mode (`(y, raw)`)."""
    if isinstance(preds, tuple):
        preds = preds[1]
    return list(preds)
