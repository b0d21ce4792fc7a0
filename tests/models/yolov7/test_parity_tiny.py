"""yolov7-tiny against reference values of the original code (parity/)."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from models import build_model, load_model, reparameterize
from models.network.detector import Detector
from models.spec.model_spec import read_spec
from models.weights.official import read_official

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def values(reference: Make) -> dict[str, Any]:
    """All reference values."""
    return reference("yolov7-tiny")


@pytest.fixture(scope="module")
def detector(values: dict[str, Any], build: Make) -> Any:
    """The model with blocks and the reference weights."""
    return build(values, "yolov7-tiny")


@pytest.fixture(scope="module")
def flat(shared: Path, official_state: Make, values: dict[str, Any]) -> Any:
    """The model as the flat description in an official file says, with the reference weights."""
    description = read_official(shared / "parity" / "ckpt" / "yolov7-tiny.pt").yaml
    assert description is not None
    model = Detector(read_spec({**description, "nc": values["nc"]}))
    state = {key.replace(".anchors", ".anchor_wh"): value for key, value in official_state(values).items()}
    left = model.load_state_dict(state, strict=False)
    assert left.unexpected_keys == ["model.77.anchor_grid"]
    assert all(key.endswith("num_batches_tracked") for key in left.missing_keys)
    return model.eval()


def test_every_tensor_of_the_original_has_a_place(detector: Any, values: dict[str, Any]) -> None:
    shapes = sorted(tuple(shape) for name, shape, _ in values["state_dict"] if not name.endswith("anchor_grid"))
    assert sorted(tuple(value.shape) for value in detector.state_dict().values()) == shapes


@torch.no_grad()
def test_outputs(detector: Any, values: dict[str, Any], image: Make, sampled: Make, original_layout: Make) -> None:
    output = detector(image(values["eval_image"]))
    for level, expected in zip(output[1], values["eval"]["raw"], strict=True):
        torch.testing.assert_close(*sampled(level, expected), rtol=0, atol=2e-3)
    torch.testing.assert_close(*sampled(original_layout(output), values["eval"]["decoded"]), rtol=1e-3, atol=0.05)


@torch.no_grad()
def test_scores_are_objectness_times_class(detector: Any, values: dict[str, Any], image: Make) -> None:
    decoded, raw = detector(image(values["eval_image"]))
    p = torch.cat([level.flatten(1, 3) for level in raw], 1).sigmoid()
    torch.testing.assert_close(decoded[:, 4:], (p[..., 5:] * p[..., 4:5]).transpose(1, 2))


@torch.no_grad()
def test_flat_description_gives_the_same_layer_by_layer(flat: Any, values: dict[str, Any], image: Make) -> None:
    outputs: dict[str, Tensor] = {}
    for name, layer in flat.model.named_children():
        layer.register_forward_hook(lambda _, __, out, name=name: outputs.__setitem__(name, out))
    flat(image(values["eval_image"]))
    for name, expected in values["eval_layer_stats"].items():
        out = outputs[name].double()
        assert list(out.shape) == expected["shape"]
        assert [float(out.mean()), float(out.std())] == pytest.approx([expected["mean"], expected["std"]], rel=1e-4), (
            f"layer {name}"
        )


@torch.no_grad()
def test_blocks_compute_what_the_flat_rows_compute(
    detector: Any, flat: Any, values: dict[str, Any], image: Make
) -> None:
    x = image(values["eval_image"])
    torch.testing.assert_close(detector(x)[0], flat(x)[0], rtol=1e-6, atol=1e-3)


def test_training_outputs(
    detector: Any, values: dict[str, Any], image: Make, sampled: Make, training_maps: Make
) -> None:
    for level, expected in zip(
        training_maps(detector, image(values["train_image"])), values["train_bn_eval"]["raw"], strict=True
    ):
        torch.testing.assert_close(*sampled(level, expected), rtol=0, atol=2e-3)


@torch.no_grad()
def test_training_batch_normalisation(values: dict[str, Any], build: Make, image: Make, sampled: Make) -> None:
    model = build(values, "yolov7-tiny").train()
    for level, expected in zip(model(image(values["train_image"])), values["train_bn_train"]["raw"], strict=True):
        torch.testing.assert_close(*sampled(level, expected), rtol=1e-3, atol=2e-3)
    ours = model.state_dict()
    # Rows 0, 40 and 76 of the original: the first convolution, the one at backbone P4, the last before the head.
    for key, name in (("model.0", "0"), ("model.12", "40"), ("model.28", "76")):
        expected = values["train_bn_train"]["running_after"][f"model.{name}.bn.running_mean"]
        found = ours[f"{key}.bn.running_mean"].double()
        assert float(found.mean()) == pytest.approx(expected["mean"], abs=1e-5)
        assert float(found.std()) == pytest.approx(expected["std"], rel=1e-4)


@pytest.mark.parametrize("scaled", ["", "_hyp_scaled_nl3_img320"])
@pytest.mark.parametrize(("name", "ota"), [("ComputeLoss", 0), ("ComputeLossOTA", 1)])
def test_losses(
    detector: Any,
    values: dict[str, Any],
    image: Make,
    training_maps: Make,
    check_loss: Make,
    cells: Make,
    fill: ModuleType,
    name: str,
    ota: int,
    scaled: str,
) -> None:
    expected = values["loss"][name + scaled]
    maps = training_maps(detector, image(values["train_image"]))
    check_loss(detector, maps, fill.TARGETS, expected, loss_ota=ota)
    if "positives" in expected:
        matches = detector.criterion.matches(maps, fill.TARGETS, 0.5)
        assert [cells(match) for match in matches] == [
            sorted(row[:4] for row in level) for level in expected["positives"]
        ]


def test_targets_scaled_by_height_alone_on_request(
    detector: Any,
    values: dict[str, Any],
    image: Make,
    training_maps: Make,
    check_loss: Make,
    sampled: Make,
    fill: ModuleType,
) -> None:
    expected = values["loss_nonsquare_quirk"]
    maps = training_maps(detector, image(expected["image"]))
    for level, about in zip(maps, expected["raw"], strict=True):
        torch.testing.assert_close(*sampled(level, about), rtol=0, atol=2e-3)
    gains = {"hyp": values["loss"]["ComputeLossOTA"]["hyp"], **expected}
    check_loss(detector, maps, fill.TARGETS, gains, loss_ota=1, ota_height_only=1)
    with pytest.raises(AssertionError):
        check_loss(detector, maps, fill.TARGETS, gains, loss_ota=1, ota_height_only=0)


@torch.no_grad()
def test_deploy_form(detector: Any, values: dict[str, Any], image: Make, sampled: Make, original_layout: Make) -> None:
    x = image(values["eval_image"])
    deployed = reparameterize(detector)
    assert sum(p.numel() for p in deployed.parameters()) == values["deploy"]["params"]
    torch.testing.assert_close(
        *sampled(original_layout(deployed(x)), values["deploy"]["decoded"]), rtol=1e-3, atol=0.05
    )
    deployed.fuse()
    assert sum(p.numel() for p in deployed.parameters()) == values["deploy_fused"]["params"]
    expected = values["deploy_fused"]["decoded"]
    torch.testing.assert_close(*sampled(original_layout(deployed(x)), expected), rtol=1e-3, atol=0.05)


@torch.no_grad()
def test_fused(values: dict[str, Any], build: Make, image: Make, sampled: Make, original_layout: Make) -> None:
    model = build(values, "yolov7-tiny").fuse()
    assert sum(p.numel() for p in model.parameters()) == values["fused"]["params"]
    output = model(image(values["eval_image"]))
    torch.testing.assert_close(*sampled(original_layout(output), values["fused"]["decoded"]), rtol=1e-3, atol=0.05)


@torch.no_grad()
def test_official_file_goes_into_the_blocks_whole(shared: Path, values: dict[str, Any], image: Make) -> None:
    path = shared / "parity" / "ckpt" / "yolov7-tiny.pt"
    original = load_model(path)
    ours = build_model("yolov7-tiny", weights=path).eval()
    assert len(original.spec.layers) == 78
    assert len(ours.spec.layers) == 30
    assert ours.transfer_report.complete
    assert not ours.transfer_report.mismatched
    x = image(values["eval_image"])
    torch.testing.assert_close(ours(x)[0], original(x)[0], rtol=1e-6, atol=1e-3)
