"""simOTA against a plain loop over images and targets, and in its limits."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, one_hot
from torchvision.ops import box_convert, box_iou

from models.losses import simota
from models.losses.anchor_matching import Matches, match_anchors

STRIDES = (8.0, 16.0)
WIDTH, HEIGHT = 384, 192
ANCHORS = torch.tensor([[[2.0, 2.0], [4.0, 3.0]], [[3.0, 3.0], [6.0, 5.0]]])


def scene(images: int, each: int, nc: int, seed: int) -> tuple[list[Tensor], Tensor]:
    """Return random logits of a 192 × 384 image's two levels, and targets in no order, side by side in each image."""
    generator = torch.Generator().manual_seed(seed)
    raw = [torch.randn((images, 2, int(HEIGHT / s), int(WIDTH / s), 5 + nc), generator=generator) for s in STRIDES]
    n = images * each
    order = torch.randperm(n, generator=generator)
    image, strip = (order % images).float()[:, None], (order // images).float()[:, None]
    cls = torch.randint(0, nc, (n, 1), generator=generator).float()
    x = (strip + 0.4 + 0.2 * torch.rand((n, 1), generator=generator)) / each
    y = 0.2 + 0.6 * torch.rand((n, 1), generator=generator)
    size = 0.1 + 0.2 * torch.rand((n, 2), generator=generator)
    return raw, torch.cat((image, cls, x, y, size), 1)


def run(raw: list[Tensor], targets: Tensor, top: int = 10) -> tuple[list[Matches], list[Matches]]:
    """Return candidates and what is assigned."""
    shapes = [(p.shape[2], p.shape[3]) for p in raw]
    candidates = match_anchors(targets, ANCHORS, shapes)
    return candidates, simota.assign(raw, candidates, targets, STRIDES, (WIDTH, HEIGHT), top)


def slowly(raw: list[Tensor], candidates: list[Matches], targets: Tensor, top: int) -> list[list[int]]:
    """Assign as the definition says, one image and one target at a time; returns level, image, anchor, y, x, target."""
    found = []
    nc = raw[0].shape[-1] - 5
    for image in range(raw[0].shape[0]):
        own = (targets[:, 0] == image).nonzero().flatten().tolist()
        cells, boxes, scores = [], [], []
        for level, (p, match) in enumerate(zip(raw, candidates, strict=True)):
            for row in (match.image == image).nonzero().flatten().tolist():
                anchor, y, x = int(match.anchor[row]), int(match.y[row]), int(match.x[row])
                sigma = p[image, anchor, y, x].double().sigmoid()
                xy = (2 * sigma[:2] - 0.5 + torch.tensor([x, y])) * STRIDES[level]
                wh = (2 * sigma[2:4]) ** 2 * ANCHORS[level, anchor] * STRIDES[level]
                cells.append([level, image, anchor, y, x])
                boxes.append(torch.cat((xy, wh)))
                scores.append((sigma[5:] * sigma[4]).sqrt())
        if not own or not cells:
            continue
        truth = targets[own, 2:].double() * torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
        iou = box_iou(box_convert(truth, "cxcywh", "xyxy"), box_convert(torch.stack(boxes), "cxcywh", "xyxy"))
        label = one_hot(targets[own, 1].long(), nc).double()
        cost = torch.stack(
            [
                torch.stack([binary_cross_entropy(score, wanted, reduction="sum") for score in scores])
                for wanted in label
            ]
        )
        cost = cost - 3 * (iou + 1e-8).log()
        claims: dict[int, list[int]] = {}
        for row in range(len(own)):
            number = max(int(iou[row].sort(descending=True).values[:top].sum()), 1)
            for column in cost[row].argsort()[:number].tolist():
                claims.setdefault(column, []).append(row)
        for column, rows in claims.items():
            row = rows[0] if len(rows) == 1 else int(cost[:, column].argmin())
            found.append([*cells[column], own[row]])
    return sorted(found)


def listed(matches: list[Matches]) -> list[list[int]]:
    """Return level, image, anchor, y, x, target of all matches."""
    return sorted(
        [level, *row]
        for level, m in enumerate(matches)
        for row in torch.stack((m.image, m.anchor, m.y, m.x, m.target), 1).tolist()
    )


@pytest.mark.parametrize("top", [10, 20])
@pytest.mark.parametrize(("images", "each", "nc"), [(3, 4, 5), (1, 1, 2), (4, 2, 1)])
def test_as_a_plain_loop(images: int, each: int, nc: int, top: int) -> None:
    for seed in range(4):
        raw, targets = scene(images, each, nc, seed)
        candidates, assigned = run(raw, targets, top)
        cells = [tuple(row[:5]) for row in listed(candidates)]
        assert len(set(cells)) == len(cells), "equal candidates would tie, and a tie has no right answer"
        assert listed(assigned) == slowly(raw, candidates, targets, top)


def test_blocks_of_targets_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    raw, targets = scene(3, 30, 4, 0)
    _, whole = run(raw, targets)
    monkeypatch.setattr(simota, "MAX_PAIRS", 50)
    _, parts = run(raw, targets)
    assert listed(parts) == listed(whole)


def test_boxes_and_classes_are_those_of_the_target() -> None:
    raw, targets = scene(2, 6, 3, 1)
    _, assigned = run(raw, targets)
    for p, match in zip(raw, assigned, strict=True):
        grid = torch.tensor([p.shape[3], p.shape[2]] * 2)
        expected = targets[match.target, 2:] * grid
        expected[:, :2] -= torch.stack((match.x, match.y), 1)
        torch.testing.assert_close(match.box, expected)
        assert match.cls.tolist() == targets[match.target, 1].long().tolist()
        assert match.image.tolist() == targets[match.target, 0].long().tolist()


def test_no_targets_no_matches() -> None:
    raw, _ = scene(2, 1, 3, 0)
    _, assigned = run(raw, torch.zeros(0, 6))
    assert [len(match.image) for match in assigned] == [0, 0]


def test_certain_predictions_stay_finite() -> None:
    raw, targets = scene(1, 3, 3, 0)
    for value in (200.0, -200.0):
        candidates, assigned = run([p * 0 + value for p in raw], targets)
        assert sum(len(match.image) for match in assigned) <= sum(len(match.image) for match in candidates)
        assert sum(len(match.image) for match in assigned) >= 1
