"""simOTA: of the anchors that fit a target, those that predict it at the least cost.

Every target may take several candidates, every candidate serves one target. All targets of a batch are handled
together; a block of them at a time, so that memory stays bounded however crowded the images are.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from models.losses.anchor_matching import Matches
from models.losses.constants import constant

MAX_PAIRS = 1 << 21  # pairs of target and candidate held at once: 8 MiB a float32 tensor
IOU_WEIGHT = 3.0


class _Candidates(NamedTuple):
    """Candidates of all levels, by image; row = position in `order`.

    Attributes:
        order: (M,) index among the matches of all levels, in the order of images.
        image: (M,) image.
        box: (4, M) predicted corners in pixels.
        base: (M,) class cost of a candidate without the term of the target's class.
        logit: (nc, M) what the target's class takes off that cost.
    """

    order: Tensor
    image: Tensor
    box: Tensor
    base: Tensor
    logit: Tensor


class _Rows(NamedTuple):
    """Rows grouped by image.

    Attributes:
        number: (B,) rows of each image.
        table: (B, most) row numbers of each image; rows past its number repeat its last one.
        valid: (B, most) whether the place is one of the image's rows.
    """

    number: Tensor
    table: Tensor
    valid: Tensor


@torch.no_grad()
def assign(
    raw: Sequence[Tensor],
    matches: Sequence[Matches],
    targets: Tensor,
    strides: Sequence[float],
    size: tuple[int, int],
    top: int = 10,
) -> list[Matches]:
    """Choose among matches by cost: class cross-entropy + 3 · (−log IoU), both of the predictions as they are.

    A target gets as many candidates as the sum of its `top` largest IoUs says, rounded down, at least one.

    Args:
        raw: per level (B, na, H, W, 5 + nc) logits; no gradient flows.
        matches: candidates of each level, from `match_anchors`.
        targets: (n, 6) image, class, x, y, w, h; boxes normalised to 0–1.
        strides: pixels a cell, per level.
        size: width and height of the image in pixels.
        top: how many IoUs are summed.

    Returns:
        The chosen matches of each level, each with the target that it serves.

    Source:
        Ge et al., YOLOX, arXiv:2107.08430, §2.1 (simOTA), as used in YOLOv7, arXiv:2207.02696; authors' code
        WongKinYiu/yolov7. Differs: nothing in what is chosen; a candidate is compared in closed form for all classes.
    """
    if not targets.shape[0] or not sum(len(match.image) for match in matches):
        return list(matches)
    images = raw[0].shape[0]
    candidates = _candidates(raw, matches, strides)
    columns = _by_image(candidates.image, images)
    order = targets[:, 0].long().argsort(stable=True)
    order = order[columns.number[targets[order, 0].long()] > 0]  # targets of images with candidates
    image, cls = targets[order, 0].long(), targets[order, 1].long()
    box = corners(targets[order, 2:] * constant((*size, *size), targets)).T
    owner, claims = _claims(candidates, columns, image, cls, box, top)
    contested = (claims > 1).nonzero().squeeze(1)
    if len(contested):
        owner[contested] = _cheapest(candidates, contested, _by_image(image, images), cls, box)
    taken = (claims > 0).nonzero().squeeze(1)
    return _chosen(matches, targets, candidates.order[taken], order[owner[taken]], raw)


def _candidates(raw: Sequence[Tensor], matches: Sequence[Matches], strides: Sequence[float]) -> _Candidates:
    """Gather what the candidates predict."""
    logits, boxes = [], []
    for p, match, stride in zip(raw, matches, strides, strict=True):
        chosen = p[match.image, match.anchor, match.y, match.x].float()
        cell = torch.stack((match.x, match.y), 1)
        sigma = chosen[:, :4].sigmoid() * 2
        xywh = torch.cat((sigma[:, :2] - 0.5 + cell, sigma[:, 2:] ** 2 * match.anchor_wh), 1) * stride
        logits.append(chosen[:, 4:])
        boxes.append(corners(xywh))
    image = torch.cat([match.image for match in matches])
    order = image.argsort(stable=True)
    score = torch.cat(logits)[order].sigmoid()
    # The probability is √(objectness · class); its cross-entropy against a one-hot target is the sum over classes of
    # softplus(logit), less the logit of the target's class.
    p = (score[:, 1:] * score[:, :1]).sqrt().clamp(1e-18, 1 - 6e-8)
    logit = (p / (1 - p)).log()
    base = torch.nn.functional.softplus(logit).sum(1)
    return _Candidates(order, image[order], torch.cat(boxes)[order].T.contiguous(), base, logit.T.contiguous())


def _by_image(image: Tensor, images: int) -> _Rows:
    """Group rows that are sorted by image."""
    # Counted without torch.bincount, for which the host waits.
    number = torch.zeros(images, dtype=torch.long, device=image.device).index_add_(0, image, torch.ones_like(image))
    first = (number.cumsum(0) - number)[:, None]
    place = torch.arange(int(number.max()), device=image.device)
    table = first + torch.minimum(place, (number - 1).clamp(min=0)[:, None])
    return _Rows(number, table.clamp(max=len(image) - 1), place < number[:, None])


def _claims(
    candidates: _Candidates, columns: _Rows, image: Tensor, cls: Tensor, box: Tensor, top: int
) -> tuple[Tensor, Tensor]:
    """Let every target claim its cheapest candidates.

    Returns:
        For each candidate, a target that claims it (M,) and how many do (M,).
    """
    total = len(candidates.order)
    owner = torch.zeros(total + 1, dtype=torch.long, device=box.device)  # the last place takes what is not claimed
    claims = torch.zeros_like(candidates.order)
    boxes = candidates.box[:, columns.table]  # (4, B, most)
    base = candidates.base[columns.table]
    logit = candidates.logit[:, columns.table]  # (nc, B, most)
    most = columns.table.shape[1]
    top = min(top, most)
    rank = torch.arange(top, device=box.device)
    block = max(MAX_PAIRS // most, 1)
    for first in range(0, len(image), block):
        rows = slice(first, first + block)
        where = image[rows]
        iou = _iou(boxes[:, where], box[:, rows, None])
        padding = ~columns.valid[where]
        iou.masked_fill_(padding, 0)
        number = iou.topk(top, 1).values.sum(1).int().clamp(min=1)
        cost = _cost(iou, base[where], logit[cls[rows], where])
        cost.masked_fill_(padding, torch.inf)
        column = columns.table[where].gather(1, _lowest(cost, number, top))
        claimed = rank < number[:, None]  # of the cheapest `top`, as many as the target gets
        claims.index_add_(0, column.flatten(), claimed.long().flatten())
        row = torch.arange(first, first + len(where), device=box.device)[:, None].expand_as(column)
        owner[column.where(claimed, total)] = row
    return owner[:-1], claims


def _lowest(cost: Tensor, number: Tensor, top: int) -> Tensor:
    """Return columns (n, top) of which each row's first `number` are those of its lowest costs.

    Equal costs are common: two anchors may predict the same box. Which of them PyTorch takes depends on how many are
    asked for, and the original asks for each target's own number. On a CPU that is kept; a GPU would wait for every
    such number, and promises no order among equals.
    """
    if cost.device.type != "cpu":
        return cost.topk(top, 1, largest=False).indices
    columns = torch.zeros(len(cost), top, dtype=torch.long)
    for k in number.unique().tolist():  # at most `top` of them
        rows = (number == k).nonzero()[:, 0]
        columns[rows, :k] = cost[rows].topk(k, 1, largest=False).indices
    return columns


def _cheapest(candidates: _Candidates, contested: Tensor, rows: _Rows, cls: Tensor, box: Tensor) -> Tensor:
    """Return for each contested candidate the target of its image with the least cost, whether it claimed or not."""
    found = []
    for part in contested.split(max(MAX_PAIRS // rows.table.shape[1], 1)):
        image = candidates.image[part]
        row = rows.table[image]  # (c, most targets)
        iou = _iou(candidates.box[:, part, None], box[:, row])
        cost = _cost(iou, candidates.base[part, None], candidates.logit[cls[row], part[:, None]])
        cheapest = cost.masked_fill_(~rows.valid[image], torch.inf).argmin(1)
        found.append(row.gather(1, cheapest[:, None]).squeeze(1))
    return torch.cat(found)


def _chosen(
    matches: Sequence[Matches], targets: Tensor, taken: Tensor, served: Tensor, raw: Sequence[Tensor]
) -> list[Matches]:
    """Return the matches of each level with their targets, from positions among all matches and target numbers."""
    sizes = [len(match.image) for match in matches]
    ends = constant(tuple(accumulate(sizes)), taken)
    level = torch.bucketize(taken, ends, right=True)
    order = level.argsort(stable=True)
    counts = (level == torch.arange(len(sizes), device=level.device)[:, None]).sum(1).tolist()
    chosen, first = [], 0
    for match, p, index, target in zip(
        matches, raw, taken[order].split(counts), served[order].split(counts), strict=True
    ):
        index = index - first
        y, x = match.y[index], match.x[index]
        grid = constant((p.shape[3], p.shape[2], p.shape[3], p.shape[2]), targets)
        xywh = targets[target, 2:] * grid
        box = torch.cat((xywh[:, :2] - torch.stack((x, y), 1), xywh[:, 2:]), 1)
        cls = targets[target, 1].long()
        chosen.append(Matches(match.image[index], match.anchor[index], y, x, box, match.anchor_wh[index], cls, target))
        first += len(match.image)
    return chosen


def _cost(iou: Tensor, base: Tensor, logit: Tensor) -> Tensor:
    return (base - logit) - IOU_WEIGHT * (iou + 1e-8).log()


def corners(boxes: Tensor) -> Tensor:
    """Return left, top, right, bottom of boxes (n, 4) given as centre, width, height."""
    half = boxes[:, 2:] / 2
    return torch.cat((boxes[:, :2] - half, boxes[:, :2] + half), 1)


def _iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the IoU of boxes (4, …) that broadcast against one another; torchvision's compares every with every."""
    width = torch.minimum(a[2], b[2]) - torch.maximum(a[0], b[0])
    height = torch.minimum(a[3], b[3]) - torch.maximum(a[1], b[1])
    inter = width.clamp_(min=0).mul_(height.clamp_(min=0))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return inter.div_(union.clamp_(min=1e-12))
