"""YOLOv5 against reference values of the original code (parity/, weights/)."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import pytest
import torch

from models import build_model, import_official, load_model
from models.losses.anchor_matching import match_anchors

PARAMETERS = {
    "yolov5n": (1_872_157, 1_867_405),
    "yolov5s": (7_235_389, 7_225_885),
    "yolov5m": (21_190_557, 21_172_173),
    "yolov5l": (46_563_709, 46_533_693),
    "yolov5x": (86_749_405, 86_705_005),
    "yolov5n6": (3_246_940, 3_239_884),
    "yolov5s6": (12_626_620, 12_612_508),
    "yolov5m6": (35_731_932, 35_704_908),
    "yolov5l6": (76_770_172, 76_726_332),
    "yolov5x6": (140_794_780, 140_730_220),
}


@pytest.fixture(scope="module")
def reference(shared: Path) -> dict[str, Any]:
    """Reference values of YOLOv5n."""
    return json.loads((shared / "parity" / "yolov5n.json").read_text())


@pytest.fixture
def detector(fill: ModuleType, reference: dict[str, Any]) -> Any:
    """YOLOv5n with the reference weights."""
    shapes = {name: shape for name, shape, _ in reference["state_dict"]}
    state = fill.fill_state(shapes, reference["na"], reference["fill_gain"])
    state |= {name: torch.tensor(value) for name, value in reference["not_filled"].items()}
    return import_official(state, "yolov5n")


def sampled(fill: ModuleType, tensor: torch.Tensor, expected: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sampled values of a tensor and the expected ones."""
    assert list(tensor.shape) == expected["shape"]
    index = fill.sample_index(expected["key"], tensor.numel(), len(expected["values"]))
    return tensor.flatten()[index], torch.tensor(expected["values"])


@pytest.mark.parametrize("name", [n for n in PARAMETERS if n[6] in "ns"])
def test_parameter_counts(name: str) -> None:
    detector = build_model(name)
    assert sum(p.numel() for p in detector.parameters()) == PARAMETERS[name][0]
    detector.eval().fuse()
    assert sum(p.numel() for p in detector.parameters()) == PARAMETERS[name][1]


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in PARAMETERS if n[6] not in "ns"])
def test_parameter_counts_of_large_models(name: str) -> None:
    test_parameter_counts(name)


def test_state_dict_shapes(reference: dict[str, Any]) -> None:
    expected = {name.replace(".anchors", ".anchor_wh"): shape for name, shape, _ in reference["state_dict"]}
    assert {key: list(value.shape) for key, value in build_model("yolov5n").state_dict().items()} == expected


def test_raw_and_decoded_outputs(detector: Any, fill: ModuleType, reference: dict[str, Any]) -> None:
    image = fill.image(reference["eval_image"]["key"], 1, 256, 320)
    with torch.no_grad():
        decoded, raw = detector(image)
    for level, expected in zip(raw, reference["eval"]["raw"], strict=True):
        torch.testing.assert_close(*sampled(fill, level, expected), rtol=0, atol=2e-3)
    # The original keeps objectness and class probabilities apart; join them from the raw maps.
    probabilities = torch.cat([level.sigmoid().reshape(1, -1, 85) for level in raw], 1)
    original = torch.cat((decoded[:, :4].transpose(1, 2), probabilities[..., 4:]), 2)
    torch.testing.assert_close(*sampled(fill, original, reference["eval"]["decoded"]), rtol=1e-3, atol=0.05)
    scores = probabilities[..., 5:] * probabilities[..., 4:5]
    torch.testing.assert_close(decoded[:, 4:].transpose(1, 2), scores)


def test_layer_statistics(detector: Any, fill: ModuleType, reference: dict[str, Any]) -> None:
    outputs: dict[str, torch.Tensor] = {}
    for name, layer in list(detector.model.named_children())[:-1]:
        layer.register_forward_hook(lambda _, __, out, name=name: outputs.__setitem__(name, out))
    with torch.no_grad():
        detector(fill.image(reference["eval_image"]["key"], 1, 256, 320))
    for name, expected in reference["eval_layer_stats"].items():
        assert list(outputs[name].shape) == expected["shape"]
        assert float(outputs[name].mean()) == pytest.approx(expected["mean"], abs=1e-4)
        assert float(outputs[name].std()) == pytest.approx(expected["std"], abs=1e-4)


def test_fused_outputs(detector: Any, fill: ModuleType, reference: dict[str, Any]) -> None:
    with torch.no_grad():
        decoded, _ = detector.fuse()(fill.image(reference["eval_image"]["key"], 1, 256, 320))
    assert sum(p.numel() for p in detector.parameters()) == reference["fused"]["params"]
    expected = reference["fused"]["decoded"]
    index = fill.sample_index(expected["key"], 5040 * 85, len(expected["values"]))
    box = index % 85 < 4
    original = decoded[0, :4].t()
    torch.testing.assert_close(
        original[index[box] // 85, index[box] % 85], torch.tensor(expected["values"])[box], rtol=1e-3, atol=0.05
    )


@pytest.mark.parametrize("variant", ["ComputeLoss", "ComputeLoss_hyp_scaled_nl3_img320"])
def test_losses_and_gradients(detector: Any, fill: ModuleType, reference: dict[str, Any], variant: str) -> None:
    expected = reference["loss"][variant]
    detector.hyp.update(expected["hyp"])
    detector.model[-1].train()
    images = fill.image(reference["train_image"]["key"], 2, 320, 320)
    with torch.no_grad():
        raw = detector(images)
    for level, values in zip(raw, reference["train_bn_eval"]["raw"], strict=True):
        torch.testing.assert_close(*sampled(fill, level, values), rtol=0, atol=2e-3)
    raw = [level.detach().requires_grad_() for level in raw]
    targets = fill.TARGETS
    batch = {"img": images, "batch_idx": targets[:, 0], "cls": targets[:, 1:2], "bboxes": targets[:, 2:]}
    total, items = detector.loss(batch, raw)
    total.backward()
    assert total.item() == pytest.approx(expected["total"], rel=1e-4)
    assert [items[f"{k}_loss"].item() for k in ("box", "obj", "cls")] == pytest.approx(expected["items"], rel=1e-4)
    gradients = [level.grad.abs().sum().item() for level in raw]
    assert gradients == pytest.approx(expected["grad_abs_sum_per_level"], rel=1e-4)


def test_positives(detector: Any, fill: ModuleType, reference: dict[str, Any]) -> None:
    matches = match_anchors(fill.TARGETS, detector.model[-1].anchor_wh, [(40, 40), (20, 20), (10, 10)])
    for match, expected in zip(matches, reference["loss"]["ComputeLoss"]["positives"], strict=True):
        found = torch.stack((match.image, match.anchor, match.y, match.x), 1).tolist()
        assert sorted(found) == sorted(positive[:4] for positive in expected)


def test_training_mode_batch_statistics(detector: Any, fill: ModuleType, reference: dict[str, Any]) -> None:
    detector.train()
    with torch.no_grad():
        raw = detector(fill.image(reference["train_image"]["key"], 2, 320, 320))
    for level, values in zip(raw, reference["train_bn_train"]["raw"], strict=True):
        torch.testing.assert_close(*sampled(fill, level, values), rtol=0, atol=2e-3)
    for name, expected in reference["train_bn_train"]["running_after"].items():
        assert float(detector.state_dict()[name].mean()) == pytest.approx(expected["mean"], abs=1e-5)


def test_official_checkpoint_on_the_sample_images(shared: Path) -> None:
    from ultralytics.data.augment import LetterBox
    from ultralytics.utils import ASSETS
    from ultralytics.utils.nms import non_max_suppression

    expected = {
        "bus.jpg": [("person", 0.814), ("person", 0.791), ("person", 0.608), ("bus", 0.508)],
        "zidane.jpg": [("person", 0.787), ("person", 0.495), ("tie", 0.292)],
    }
    detector = load_model(shared / "weights" / "yolov5n.pt").fuse()
    for file, boxes in expected.items():
        image = LetterBox((640, 640), auto=False)(image=cv2.imread(str(ASSETS / file)))
        x = torch.from_numpy(image[..., ::-1].transpose(2, 0, 1).copy())[None].float() / 255
        with torch.no_grad():
            found = non_max_suppression(detector(x), 0.25, 0.45)[0]
        assert [detector.names[int(row[5])] for row in found] == [name for name, _ in boxes]
        assert found[:, 4].tolist() == pytest.approx([score for _, score in boxes], abs=0.005)


def test_checkpoint_with_reference_weights(shared: Path, fill: ModuleType) -> None:
    reference = json.loads((shared / "parity" / "ckpt" / "yolov5n.json").read_text())
    detector = load_model(shared / "parity" / "ckpt" / "yolov5n.pt")
    with torch.no_grad():
        decoded, raw = detector(fill.image(reference["eval_image"]["key"], 1, 256, 320))
    probabilities = torch.cat([level.sigmoid().reshape(1, -1, 85) for level in raw], 1)
    original = torch.cat((decoded[:, :4].transpose(1, 2), probabilities[..., 4:]), 2)
    torch.testing.assert_close(*sampled(fill, original, reference["decoded_after_float"]), rtol=1e-3, atol=0.05)
