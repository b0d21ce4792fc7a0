"""The v5 loss on cases worked by hand, and on the awkward ones."""

import math

import pytest
import torch

from models import build_model
from models.losses.anchor_matching import match_anchors
from models.losses.yolov5 import AnchorLoss

ANCHORS = torch.tensor([[[2.0, 2.0], [8.0, 8.0]]])  # one level, in cells


def positives(x: float, y: float, w: float = 0.2, h: float = 0.2, reach: float = 0.5) -> set[tuple[int, int, int]]:
    """Return (anchor, cell row, cell column) for one box on a grid of 10 × 10."""
    targets = torch.tensor([[0, 0, x, y, w, h]])
    match = match_anchors(targets, ANCHORS, [(10, 10)], reach=reach)[0]
    return set(zip(match.anchor.tolist(), match.y.tolist(), match.x.tolist(), strict=True))


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        # 5.2 leans left, 3.7 leans down: the cell itself, the one to the left, the one below.
        (0.52, 0.37, {(0, 3, 5), (0, 3, 4), (0, 4, 5)}),
        # In the first cell there is no neighbour to the left or above.
        (0.02, 0.03, {(0, 0, 0)}),
        # In the last cell there is none to the right or below.
        (0.98, 0.97, {(0, 9, 9)}),
    ],
)
def test_a_target_goes_to_its_cell_and_two_neighbours(x: float, y: float, expected: set) -> None:
    assert positives(x, y) == expected


def test_anchors_that_differ_by_four_do_not_fit() -> None:
    # 2 cells wide: the anchor of 8 is exactly 4 times as wide, which no longer counts.
    assert {a for a, _, _ in positives(0.5, 0.5, 0.2, 0.2)} == {0}
    assert {a for a, _, _ in positives(0.5, 0.5, 0.25, 0.25)} == {0, 1}
    assert positives(0.5, 0.5, 0.01, 0.2) == set()


def test_reach_of_one_takes_all_four_neighbours() -> None:
    assert positives(0.52, 0.37, reach=1.0) == {(0, 3, 5), (0, 3, 4), (0, 4, 5), (0, 3, 6), (0, 2, 5)}


def batch(*targets: tuple[float, ...], size: int = 64, images: int = 2) -> dict[str, torch.Tensor]:
    """Make a batch of (image, class, x, y, w, h)."""
    rows = torch.tensor(targets).view(-1, 6)
    return {
        "img": torch.rand(images, 3, size, size),
        "batch_idx": rows[:, 0],
        "cls": rows[:, 1:2],
        "bboxes": rows[:, 2:],
    }


def test_no_target_leaves_objectness_alone() -> None:
    detector = build_model("yolov5n", nc=3)
    raw = [torch.zeros(2, 3, n, n, 8, requires_grad=True) for n in (8, 4, 2)]
    total, items = detector.loss(batch(), raw)
    # Every logit is 0, so each of three levels costs log 2, weighed 4, 1, 0.4.
    assert items["obj_loss"].item() == pytest.approx(math.log(2) * 5.4)
    assert items["box_loss"] == items["cls_loss"] == 0
    assert total.item() == pytest.approx(2 * items["obj_loss"].item())
    total.backward()
    assert all(torch.isfinite(level.grad).all() for level in raw)


def test_one_class_has_no_class_term() -> None:
    detector = build_model("yolov5n", nc=1)
    _, items = detector.loss(batch((0, 0, 0.5, 0.5, 0.3, 0.3)))
    assert items["cls_loss"] == 0
    assert items["box_loss"] > 0


def test_class_term_by_hand() -> None:
    """With all logits 0 and no smoothing the class term is log 2 at each level that has positives, times the gain."""
    detector = build_model("yolov5n", nc=4, hyp={"cls": 0.5})
    raw = [torch.zeros(1, 3, n, n, 9) for n in (8, 4, 2)]
    data = batch((0, 2, 0.5, 0.5, 13 / 64, 23 / 64), images=1)  # fits anchors of the first two levels only
    levels = [
        len(m.image) > 0
        for m in match_anchors(
            torch.tensor([[0, 2, 0.5, 0.5, 13 / 64, 23 / 64]]), detector.model[-1].anchor_wh, [(8, 8), (4, 4), (2, 2)]
        )
    ]
    assert levels == [True, True, False]
    _, items = detector.loss(data, raw)
    assert items["cls_loss"].item() == pytest.approx(0.5 * 2 * math.log(2))


def test_smoothing_and_focal_change_the_targets_and_the_weight() -> None:
    detector = build_model("yolov5n", nc=4, hyp={"label_smoothing": 0.1})
    loss = AnchorLoss(detector)
    target = loss.class_targets(torch.zeros(1, 4), torch.tensor([2]))
    assert target.tolist() == [pytest.approx([0.05, 0.05, 0.95, 0.05])]
    focal = AnchorLoss(build_model("yolov5n", nc=4, hyp={"fl_gamma": 2.0}))
    # p = ½ everywhere: log 2 · (½)² · α, α being 0.25 for positives and 0.75 else.
    value = focal.score(torch.zeros(2), torch.tensor([1.0, 0.0]), "obj_pw")
    assert value.item() == pytest.approx(math.log(2) * 0.25 * (0.25 + 0.75) / 2)


def test_loss_takes_the_output_of_eval_mode() -> None:
    detector = build_model("yolov5n", nc=3).eval()
    data = batch((0, 1, 0.4, 0.6, 0.3, 0.2), (1, 2, 0.2, 0.2, 0.1, 0.1))
    with torch.no_grad():
        preds = detector(data["img"])
        expected = detector.loss(data, preds[1])
        found = detector.loss(data, preds)
    assert torch.equal(found[0], expected[0])


def test_targets_at_the_border_and_without_size_keep_the_loss_finite() -> None:
    detector = build_model("yolov5n", nc=3)
    rows = [(0, 0, 0.0, 0.0, 0.1, 0.1), (0, 1, 1.0, 1.0, 0.2, 0.2), (1, 2, 0.5, 0.5, 0.0, 0.0), (1, 0, 0.5, 0.5, 1, 1)]
    total, _ = detector.loss(batch(*rows))
    assert torch.isfinite(total)


def test_a_few_steps_lower_the_loss() -> None:
    torch.manual_seed(0)
    detector = build_model("yolov5n", nc=3).train()
    data = batch((0, 1, 0.4, 0.6, 0.3, 0.2), (1, 2, 0.3, 0.3, 0.4, 0.4))
    optimizer = torch.optim.SGD(detector.parameters(), lr=0.01, momentum=0.9)
    losses = []
    for _ in range(8):
        total, _ = detector.loss(data)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(total.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("gamma", [0.0, 1.5])
def test_class_weights_multiply_each_classs_part_of_the_class_term(gamma: float) -> None:
    detector = build_model("yolov5n", nc=3)
    detector.hyp["fl_gamma"] = gamma
    data = batch((0, 1, 0.5, 0.5, 0.3, 0.3), (1, 2, 0.2, 0.7, 0.5, 0.5))
    maps = detector.train()(data["img"])
    parts = []
    for weights in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.5, 3.0, 0.25)):
        detector.class_weights = torch.tensor(weights)
        parts.append(AnchorLoss(detector)(maps, data)[1])
    del detector.class_weights
    plain = AnchorLoss(detector)(maps, data)[1]
    single = [part["cls_loss"].item() for part in parts]
    assert sum(single[:3]) == pytest.approx(plain["cls_loss"].item(), rel=1e-5)
    assert single[3] == pytest.approx(0.5 * single[0] + 3 * single[1] + 0.25 * single[2], rel=1e-5)
    assert min(single) > 0
    assert all(part[term] == plain[term] for part in parts for term in ("box_loss", "obj_loss"))
