"""All YOLOv7 models: sizes, stages, a training step, awkward batches."""

from typing import Any

import pytest
import torch

from models import SpecError, build_model, read_spec, reparameterize

# Unfused → fused parameters, then the same in deploy form, 80 classes (upstream's own counts).
PARAMETERS = {
    "yolov7-tiny": (6_228_762, 6_221_370, 6_227_101, 6_219_709),
    "yolov7-tiny-silu": (6_228_762, 6_221_370, 6_227_101, 6_219_709),
    "yolov7": (37_622_682, 36_907_898, 37_620_125, 36_905_341),
    "yolov7x": (71_347_394, 71_314_746, 71_344_389, 71_311_741),
    "yolov7-w6": (82_312_436, 82_277_300, 70_426_236, 70_394_300),
    "yolov7-e6": (111_898_292, 111_851_380, 97_246_652, 97_202_940),
    "yolov7-d6": (154_709_364, 154_652_532, 133_810_044, 133_757_052),
    "yolov7-e6e": (166_408_884, 166_335_860, 151_757_244, 151_687_420),
}
SMALL = ["yolov7-tiny", "yolov7-tiny-silu", "yolov7"]
LARGE = [name for name in PARAMETERS if name not in SMALL]


def count(detector: Any) -> int:
    """Return the number of parameters."""
    return sum(p.numel() for p in detector.parameters())


def batch_of(targets: list[list[float]], images: int = 2, height: int = 64, width: int = 64) -> dict[str, torch.Tensor]:
    """Return a batch as the loader makes it; targets are image, class, x, y, w, h."""
    rows = torch.tensor(targets).view(-1, 6)
    generator = torch.Generator().manual_seed(0)
    return {
        "img": torch.rand((images, 3, height, width), generator=generator),
        "batch_idx": rows[:, 0],
        "cls": rows[:, 1:2],
        "bboxes": rows[:, 2:],
    }


def check_sizes(name: str) -> None:
    """Compare all four counts."""
    detector = build_model(name)
    unfused, fused, deploy, deploy_fused = PARAMETERS[name]
    assert count(detector) == unfused
    branches = reparameterize(detector, merge=False)
    assert count(branches) == deploy
    assert count(branches.fuse()) == deploy_fused
    assert count(detector.eval().fuse()) == fused


def check_training_step(name: str) -> None:
    """Train a step: every parameter gets a gradient; then predict at another size."""
    detector = build_model(name, nc=2).train()
    side = int(detector.stride.max()) * 2
    wide = batch_of([[0, 1, 0.5, 0.5, 0.6, 0.7], [1, 0, 0.4, 0.3, 0.2, 0.3]], height=side, width=2 * side)
    total, items = detector.loss(wide)
    assert torch.isfinite(total)
    assert list(items) == ["box_loss", "obj_loss", "cls_loss"]
    total.backward()
    assert not [key for key, p in detector.named_parameters() if p.grad is None]
    with torch.no_grad():
        decoded, raw = detector.eval()(torch.rand(1, 3, side, side))
    cells = sum(3 * (side // int(stride)) ** 2 for stride in detector.stride)
    assert decoded.shape == (1, 6, cells)
    assert len(raw) == detector.model[-1].nl
    assert torch.isfinite(detector.loss(wide, detector(wide["img"]))[0])


@pytest.mark.parametrize("name", SMALL)
def test_sizes(name: str) -> None:
    check_sizes(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_sizes_of_large_models(name: str) -> None:
    check_sizes(name)


@pytest.mark.parametrize("name", ["yolov7-tiny", "yolov7"])
def test_training_step(name: str) -> None:
    check_training_step(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["yolov7-tiny-silu", *LARGE])
def test_training_step_of_other_models(name: str) -> None:
    check_training_step(name)


@pytest.mark.parametrize(
    ("name", "backbone", "neck"),
    [
        ("yolov7-tiny", {3: ("ELAN", 128), 5: ("ELAN", 512)}, {3: ("Conv", 128), 4: ("Conv", 256), 5: ("Conv", 512)}),
        ("yolov7", {3: ("ELAN", 512), 5: ("ELAN", 1024)}, {3: ("RepConv", 256), 5: ("RepConv", 1024)}),
        ("yolov7-w6", {2: ("ELAN", 128), 6: ("ELAN", 1024)}, {3: ("Conv", 256), 6: ("Conv", 1024)}),
        ("yolov7-e6e", {3: ("EELAN", 320), 6: ("EELAN", 1280)}, {3: ("Conv", 320), 6: ("Conv", 1280)}),
    ],
)
def test_stages_mean_what_one_expects(
    name: str, backbone: dict[int, tuple[str, int]], neck: dict[int, tuple[str, int]]
) -> None:
    base = {layer.name: layer for layer in read_spec(name).layers}
    for section, stages in (("backbone", backbone), ("neck", neck)):
        for level, (module, channels) in stages.items():
            spec = read_spec(name, [f"CBAM@{section}.P{level}"])
            (placed,) = [layer for layer in spec.layers if layer.attention]
            before = base[placed.reads[0]]
            assert (before.module, before.channels, before.stride) == (module, channels, 2**level)


def test_reading_a_description_does_not_build_it() -> None:
    assert [layer.stride for layer in read_spec("yolov7-e6e").layers[:3]] == [2, 2, 4]


@pytest.mark.parametrize("ota", [0, 1])
@pytest.mark.parametrize("nc", [1, 3])
@pytest.mark.parametrize(
    "targets",
    [
        pytest.param([], id="none"),
        pytest.param([[1, 0, 0.5, 0.5, 0.4, 0.6]], id="one image without"),
        pytest.param([[0, 0, 0.5, 0.5, 0.001, 0.9]], id="fits no anchor"),
        pytest.param([[1, 0, 0.9, 0.1, 0.2, 0.2], [0, 0, 0.2, 0.2, 0.3, 0.3]], id="not in the order of images"),
        pytest.param([[0, 0, 0.0, 1.0, 0.3, 0.3]] * 3, id="the same thrice, in a corner"),
    ],
)
def test_awkward_batches(tiny: dict[int, Any], ota: int, nc: int, targets: list[list[float]]) -> None:
    detector = tiny[nc]
    detector.hyp["loss_ota"] = ota
    detector.criterion = None
    total, items = detector.loss(batch_of(targets, height=64, width=128))
    assert torch.isfinite(total)
    assert total.item() == pytest.approx(2 * sum(item.item() for item in items.values()))
    if not targets:
        assert items["box_loss"] == 0
        assert items["cls_loss"] == 0
    total.backward()
    detector.zero_grad()


@pytest.fixture(scope="module")
def tiny() -> dict[int, Any]:
    """yolov7-tiny for one class and for three."""
    return {nc: build_model("yolov7-tiny", nc=nc).train() for nc in (1, 3)}


@torch.no_grad()
def test_one_class_is_scored_by_objectness(tiny: dict[int, Any]) -> None:
    detector = tiny[1].eval()
    decoded, raw = detector(torch.rand(1, 3, 64, 64))
    objectness = torch.cat([level[..., 4].flatten() for level in raw]).sigmoid()
    torch.testing.assert_close(decoded[0, 4], objectness)
    detector.train()


def test_priors() -> None:
    head = build_model("yolov7-tiny", nc=5).model[-1]
    for conv, stride in zip(head.m, (8, 16, 32), strict=True):
        bias = conv.bias.view(3, 10)
        # log(8 / (640 / s)²) and log(0.6 / (5 − 0.99)), on top of convolutions' own small initial values
        assert bias[:, 4].mean().item() == pytest.approx(
            torch.log(torch.tensor(8 / (640 / stride) ** 2)).item(), abs=0.2
        )
        assert bias[:, 5:].mean().item() == pytest.approx(-1.8996, abs=0.1)


def test_auxiliary_head_needs_twice_the_maps() -> None:
    description = {**read_spec("yolov7-tiny").yaml}
    description["head"] = [*description["head"][:-1], [[26, 27, 28], 1, "IAuxDetect", ["nc", "anchors"]]]
    with pytest.raises(SpecError, match=r"reads 3 maps, .* 6 maps are expected"):
        build_model(description)


def test_activation_of_a_row_may_be_written_as_in_the_original() -> None:
    description = {**read_spec("yolov7-tiny").yaml}
    row = [-1, 1, "Conv", [32, 3, 2, "None", 1, "nn.ReLU()"]]
    description["backbone"] = [row, *description["backbone"][1:]]
    detector = build_model(description)
    assert isinstance(detector.model[0].act, torch.nn.ReLU)
    assert detector.model[0].conv.dilation == (1, 1)
    assert isinstance(detector.model[1].act, torch.nn.LeakyReLU)
