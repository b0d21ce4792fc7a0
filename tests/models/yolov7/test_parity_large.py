"""yolov7 and yolov7-w6 against values that the original code gave with the same generated weights (data/)."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from models import reparameterize

Make = Callable[..., Any]
DEPLOY_FUSED = {"yolov7": 36_905_341, "yolov7-w6": 70_394_300}


@pytest.fixture(scope="module", params=["yolov7", "yolov7-w6"])
def values(request: pytest.FixtureRequest, reference: Make) -> dict[str, Any]:
    """All values of one model."""
    return reference(request.param)


@pytest.fixture(scope="module")
def detector(values: dict[str, Any], build: Make) -> Any:
    """Our model with the same weights."""
    return build(values, values["name"])


@pytest.fixture(scope="module")
def crowd(values: dict[str, Any]) -> Tensor:
    """Sixty random targets in each of two images, as the values were made."""
    about = values["crowded"]
    generator = torch.Generator().manual_seed(about["seed"])
    n = about["n"]
    image = torch.arange(2).repeat_interleave(n // 2).float()[:, None]
    cls = torch.randint(0, 80, (n, 1), generator=generator).float()
    centre = 0.1 + 0.8 * torch.rand((n, 2), generator=generator)
    size = 0.03 + 0.2 * torch.rand((n, 2), generator=generator)
    targets = torch.cat((image, cls, centre, size), 1)
    assert targets[0].tolist() == pytest.approx(about["first"])
    assert targets[-1].tolist() == pytest.approx(about["last"])
    return targets


def test_every_tensor_of_the_original_has_a_place(detector: Any, values: dict[str, Any]) -> None:
    shapes = sorted(tuple(shape) for name, shape in values["state_dict"] if not name.endswith("anchor_grid"))
    assert sorted(tuple(value.shape) for value in detector.state_dict().values()) == shapes


@torch.no_grad()
def test_outputs(detector: Any, values: dict[str, Any], image: Make, sampled: Make, original_layout: Make) -> None:
    output = detector(image(values["eval_image"]))
    for level, expected in zip(output[1], values["eval"]["raw"], strict=True):
        torch.testing.assert_close(*sampled(level, expected), rtol=0, atol=2e-3)
    torch.testing.assert_close(*sampled(original_layout(output), values["eval"]["decoded"]), rtol=1e-3, atol=0.05)


def test_training_outputs(
    detector: Any, values: dict[str, Any], image: Make, sampled: Make, training_maps: Make
) -> None:
    maps = training_maps(detector, image(values["train_image"]))
    for level, expected in zip(maps, values["train_bn_eval"], strict=True):
        torch.testing.assert_close(*sampled(level, expected), rtol=0, atol=2e-3)


def test_losses(
    detector: Any,
    values: dict[str, Any],
    image: Make,
    training_maps: Make,
    check_loss: Make,
    cells: Make,
    fill: ModuleType,
    crowd: Tensor,
) -> None:
    square, wide = (training_maps(detector, image(values[f"{key}_image"])) for key in ("train", "nonsquare"))
    levels = values["nl"]
    for name, expected in values["loss"].items():
        maps = wide if name.endswith("_nonsquare") else square
        targets = crowd if name.endswith("_crowded") else fill.TARGETS
        maps = maps if name.startswith("aux") else maps[:levels]
        if not name.startswith("aux") and levels == 4 and not name.startswith("plain"):
            continue  # the original can drop the auxiliary maps and their 20 IoUs; here they belong to the head
        check_loss(detector, maps, targets, expected, loss_ota=int("ota" in name), ota_height_only=1)
        for key, reach in (("positives", 0.5), ("positives_aux", 1.0)):
            found = [cells(match) for match in detector.criterion.matches(maps[:levels], targets, reach)]
            if key in expected and isinstance(expected[key][0], int):
                assert [len(level) for level in found] == expected[key], name
            elif key in expected:
                assert found == expected[key], name


@torch.no_grad()
def test_fused_and_deploy_form(
    detector: Any, values: dict[str, Any], image: Make, sampled: Make, original_layout: Make
) -> None:
    x = image(values["eval_image"])
    deployed = reparameterize(detector)
    assert not [key for key in deployed.state_dict() if ".ia." in key or ".m2." in key or ".rbr_1x1." in key]
    expected = values["fused"]["decoded"]
    torch.testing.assert_close(*sampled(original_layout(deployed(x)), expected), rtol=1e-3, atol=0.05)
    deployed.fuse()
    assert sum(p.numel() for p in deployed.parameters()) == DEPLOY_FUSED[values["name"]]
    torch.testing.assert_close(*sampled(original_layout(deployed(x)), expected), rtol=1e-3, atol=0.05)
