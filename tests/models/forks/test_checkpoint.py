"""Checkpoints as forks' own code pickled them, against boxes and scores that the forks computed from them."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from models import CheckpointError, build_model, load_model
from models.source import read_source
from models.weights.checkpoint import save_checkpoint
from tests.models.forks.pickles import NAMES, image, reference, write

PIXELS, SCORE = 0.05, 0.001


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All checkpoints, written once."""
    path = tmp_path_factory.mktemp("forks")
    for name in NAMES:
        write(reference(name), path / f"{name}.pt")
    return path


def differences(detector: Any, expected: dict[str, Any]) -> tuple[float, float]:
    """Return the largest differences of boxes in pixels and of scores from the fork's own."""
    with torch.no_grad():
        found = detector(image(*expected["image"]))[0][0].t()
    assert len(found) == expected["predictions"]
    found = found[expected["rows"]]
    boxes = (found[:, :4] - torch.tensor(expected["boxes"])).abs().max()
    return float(boxes), float((found[:, 4:] - torch.tensor(expected["scores"])).abs().max())


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_the_forks_own(name: str, folder: Path) -> None:
    expected = reference(name)
    detector = load_model(folder / f"{name}.pt")
    assert sum(p.numel() for p in detector.parameters()) == expected["parameters"]
    assert torch.tensor(expected["scores"]).std() > 0.02  # the reference can tell outputs apart
    boxes, scores = differences(detector, expected)
    assert boxes < PIXELS
    assert scores < SCORE


@pytest.mark.parametrize("name", ["coordatt", "c3cbam"])
def test_a_checkpoint_of_ours_keeps_what_the_fork_computes(name: str, folder: Path, tmp_path: Path) -> None:
    detector = load_model(folder / f"{name}.pt")
    ours = {
        "spec": detector.spec.yaml,
        "names": detector.names,
        "stride": detector.stride.tolist(),
        "weights": detector.state_dict(),
        "hyp": {},
    }
    save_checkpoint(tmp_path / "ours.pt", ours)
    boxes, scores = differences(load_model(tmp_path / "ours.pt"), reference(name))
    assert boxes < PIXELS
    assert scores < SCORE


@pytest.mark.parametrize(("name", "change"), [("coordatt", "batch_norm"), ("cbam", "dialect")])
def test_what_is_read_beside_the_tensors_matters(name: str, change: str, folder: Path) -> None:
    """With the authors' eps, or with another structure under the same word, the outputs are others."""
    source = read_source(folder / f"{name}.pt")
    assert source.spec is not None
    other: dict[str, Any] = {"dialect": {9: "paper"}} if change == "dialect" else {}
    detector = build_model({**source.spec.yaml, **other}, weights=source).eval()
    if change == "batch_norm":
        norm: Any = detector.get_submodule("model.9.squeeze.bn")
        assert (norm.eps, norm.momentum) == (0.001, 0.03)
        norm.eps = 1e-5
    boxes, _ = differences(detector, reference(name))
    assert boxes > PIXELS


@pytest.mark.parametrize("said", [True, False])
def test_every_tensor_goes_to_the_same_model_under_a_base_with_entries(said: bool, folder: Path) -> None:
    """The fork's own row, written as an entry on the base, takes the fork's tensors and their eps, said or not."""
    source = read_source(folder / "coordatt.pt")
    assert source.spec is not None
    whole = {key: value for key, value in source.spec.yaml.items() if key != "dialect"}
    base = {**whole, "backbone": [row for row in whole["backbone"] if row[2] != "CoordAtt"]}
    base["head"] = [[_before(row[0], 9), *row[1:]] for row in whole["head"]]
    if not said:
        del base["batch_norm"]
    detector = build_model(base, attention=["CoordAtt@8"], weights=source, names=source.names).eval()
    report: Any = detector.transfer_report
    assert not report.new
    assert not report.missing
    assert not report.mismatched
    assert not report.unused
    boxes, scores = differences(detector, reference("coordatt"))
    assert boxes < PIXELS
    assert scores < SCORE


def test_a_forks_own_yaml_as_cfg_is_built_as_the_checkpoint_shows(folder: Path, tmp_path: Path) -> None:
    for name in ("coordatt", "c3cbam"):
        content = reference(name)
        (tmp_path / "fork.yaml").write_text(yaml.safe_dump(content["yaml"]))
        detector = build_model(tmp_path / "fork.yaml", weights=folder / f"{name}.pt").eval()
        report: Any = detector.transfer_report
        assert len(report.transferred) == report.total
        boxes, scores = differences(detector, content)
        assert boxes < PIXELS
        assert scores < SCORE


def _before(source: Any, row: int) -> Any:
    """Return references as they are without a row."""
    if isinstance(source, list):
        return [_before(item, row) for item in source]
    return source - 1 if source > row else source


def test_an_unreadable_row_does_not_move_the_others(folder: Path, tmp_path: Path) -> None:
    """A row that nothing here knows, after row 9: all other tensors go where they belong, its own are named."""
    content = reference("coordatt")
    content["yaml"]["backbone"][9][2] = "Unheard"
    for entry in content["modules"]:
        if entry[0] == "model.9":
            entry[1], entry[2]["type"] = "models.common.Unheard", "models.common.Unheard"
    write(content, tmp_path / "unheard.pt")
    source = read_source(tmp_path / "unheard.pt")
    assert source.spec is None
    assert "Unheard" in source.reason
    detector = build_model("yolov5n", nc=3, weights=source, names=source.names)
    report: Any = detector.transfer_report
    assert len(report.transferred) == report.total == len(detector.state_dict())
    assert report.layers["9"] == "10"
    named = {key.split(".")[1] for key in report.unused if not key.endswith("anchor_grid")}
    assert named == {"9"}
    assert len([key for key in report.unused if key.startswith("model.9.")]) == 11
    with pytest.raises(CheckpointError, match="Unheard") as error:
        load_model(tmp_path / "unheard.pt")
    assert "another model" not in str(error.value)


def test_another_structure_under_a_known_word_is_named(folder: Path, tmp_path: Path) -> None:
    """A CBAM with a tensor that no known structure has is refused by name, not as another model."""
    content = reference("cbam")
    content["modules"] = [
        [*entry[:3], {"weight": entry[3]["weight"], "slope": [5]}]
        if entry[0] == "model.9.spatial_attention.conv"
        else entry
        for entry in content["modules"]
    ]
    write(content, tmp_path / "odd.pt")
    with pytest.raises(CheckpointError, match=r"model\.9\.") as error:
        load_model(tmp_path / "odd.pt")
    assert "another model" not in str(error.value)
    assert "CBAM" in str(error.value)


def test_settings_of_single_modules(folder: Path, tmp_path: Path) -> None:
    """Activations and eps that the description does not say are taken from the modules themselves."""
    content = reference("yolov5s-v5.0")
    for entry in content["modules"]:
        if entry[1].endswith("SiLU"):
            entry[1:] = ["torch.nn.modules.activation.LeakyReLU", {"negative_slope": 0.1}]
        if entry[0] == "model.3.bn":
            entry[2] = {"eps": 1e-5, "momentum": 0.1}
    write(content, tmp_path / "leaky.pt")
    detector = load_model(tmp_path / "leaky.pt")
    assert detector.spec.activation == "nn.LeakyReLU(0.1)"
    assert detector.spec.yaml["modules"] == {"model.3.bn": [1e-5, 0.1]}
    assert detector.get_submodule("model.3.bn").eps == 1e-5
    assert detector.get_submodule("model.4.cv1.act").negative_slope == 0.1


def test_the_activation_of_a_block_of_older_releases(tmp_path: Path) -> None:
    """BottleneckCSP had LeakyReLU between its branches up to release 5.0, SiLU in ultralytics' class."""
    content = reference("yolov5s-v5.0")
    part = {"backbone": [[-1, 1, "Focus", [16, 3]], [-1, 1, "BottleneckCSP", [16]]], "scales": {"s": [1.0, 1.0]}}
    description = {"nc": 3, "anchors": [[8, 8, 16, 16]], **part, "head": [[[1], 1, "Detect", ["nc", "anchors"]]]}
    made = build_model(description)
    modules: list[list[Any]] = [["", "models.yolo.Model"]]
    for prefix, module in made.named_modules(remove_duplicate=False):
        if not prefix:
            continue
        kind = type(module)
        word = (
            f"{kind.__module__}.{kind.__name__}"
            if kind.__module__.startswith("torch.")
            else f"models.common.{kind.__name__}"
        )
        attributes: dict[str, Any] = {"eps": 0.001, "momentum": 0.03} if "BatchNorm" in word else {}
        if prefix == "model.1.act":
            word, attributes = "torch.nn.modules.activation.LeakyReLU", {"negative_slope": 0.1}
        if prefix == "model.2":
            attributes = {"nc": 3}
        parameters = {name: list(value.shape) for name, value in module.named_parameters(recurse=False)}
        buffers = {
            name.replace("anchor_wh", "anchors"): list(value.shape)
            for name, value in module.named_buffers(recurse=False)
        }
        modules.append([prefix, word, attributes, parameters, buffers])
    anchors = made.state_dict()["model.2.anchor_wh"].tolist()
    content |= {"yaml": description, "modules": modules, "not_filled": {"model.2.anchors": anchors}, "stride": [2.0]}
    write(content, tmp_path / "old.pt")
    detector = load_model(tmp_path / "old.pt")
    assert detector.get_submodule("model.1.act").negative_slope == 0.1
    assert type(detector.get_submodule("model.0.conv.act")) is torch.nn.SiLU
    assert detector.spec.yaml["modules"] == {"model.1.act": "nn.LeakyReLU(0.1)"}
