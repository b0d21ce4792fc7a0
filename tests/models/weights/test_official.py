"""Foreign checkpoints as plain tensors; expected values from torch's own state dicts and from the reference fill."""

import json
import os
import pickle
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from models.errors import CheckpointError
from models.weights.official import read_official
from tests.models.weights.fake import original_model, original_modules, save_original


@pytest.mark.parametrize(
    ("name", "kind", "head"), [("yolov5n", "yolov5", "Detect"), ("yolov7-tiny", "yolov7", "IDetect")]
)
def test_reference_checkpoints(shared: Path, fill: ModuleType, name: str, kind: str, head: str) -> None:
    """Every tensor is the reference fill in half precision; names, shapes and description as the reference says."""
    found = read_official(shared / "parity" / "ckpt" / f"{name}.pt")
    reference = json.loads((shared / "parity" / f"{name}.json").read_text())
    assert found.kind == kind
    assert found.nc == 80
    assert found.names[0] == "person"
    assert found.names[79] == "toothbrush"
    assert found.stride == (8.0, 16.0, 32.0)
    assert found.yaml is not None
    assert found.yaml["nc"] == 80
    rows = len(found.yaml["backbone"]) + len(found.yaml["head"])
    assert found.module_types[f"model.{rows - 1}"] == head
    shapes = {key: tuple(shape) for key, shape, _ in reference["state_dict"]}
    assert {key: tuple(value.shape) for key, value in found.state.items()} == shapes
    filled = fill.fill_state(shapes, na=reference["na"], gain=reference["fill_gain"])
    assert len(filled) > 280
    for key, value in filled.items():
        assert torch.equal(found.state[key], value.half().float()), key
    for key, value in reference["not_filled"].items():
        if value is not None and not key.endswith("anchor_grid"):
            assert torch.allclose(found.state[key], torch.tensor(value).half().float()), key
    assert {value.dtype for value in found.state.values()} == {torch.float32, torch.int64}


def test_real_weights(shared: Path) -> None:
    found = read_official(shared / "weights" / "yolov5n.pt")
    assert (found.kind, found.nc, found.names[16]) == ("yolov5", 80, "dog")
    buffers = ("running_mean", "running_var", "num_batches_tracked", "anchors")
    parameters = sum(value.numel() for key, value in found.state.items() if not key.endswith(buffers))
    assert parameters == 1_872_157
    assert torch.allclose(found.state["model.24.anchors"][0, 0] * 8, torch.tensor([10.0, 13.0]))


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "stream"])
def test_state_dict_as_torch_gives_it(tmp_path: Path, legacy: bool) -> None:
    path = tmp_path / "a.pt"
    expected = save_original(path, legacy=legacy)
    assert "models.yolo" not in sys.modules
    found = read_official(path)
    assert list(found.state) == list(expected)  # the order of the state dict too; "passing" is not persistent
    for key, value in expected.items():
        assert torch.equal(found.state[key], value.float() if value.is_floating_point() else value), key
    assert found.names == {0: "a", 1: "b", 2: "c"}
    assert (found.nc, found.kind, found.stride) == (3, "yolov5", (8.0, 16.0))
    assert found.module_types["model.1"] == "ForkCBAM"
    assert found.module_types["model.0.bn"] == "BatchNorm2d"
    assert found.module_types[""] == "Model"
    assert "models.yolo" not in sys.modules


def test_classes_of_a_fork_are_not_imported(tmp_path: Path) -> None:
    """A module of that name that is loaded stays untouched: nothing of the file binds to it."""
    path = tmp_path / "a.pt"
    save_original(path)

    class Untouchable(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"the reader looked at models.yolo.{name}")

    sys.modules["models.yolo"] = Untouchable("models.yolo")
    try:
        assert read_official(path).nc == 3
    finally:
        del sys.modules["models.yolo"]


def test_ema_is_preferred(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    with original_modules() as kinds:
        live, average = original_model(kinds), original_model(kinds)
        torch.save({"epoch": 3, "model": live, "ema": average, "updates": 900, "optimizer": {"state": {}}}, path)
        expected = average.state_dict()
    assert torch.equal(read_official(path).state["model.0.conv.weight"], expected["model.0.conv.weight"])


def test_unfinished_runs_with_optimizer_and_numpy_numbers(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    with original_modules() as kinds:
        model = original_model(kinds)
        model.nc = np.int64(3)
        model.names = {0: "a", 1: "b", 2: "c"}
        optimizer = {"state": {0: {"momentum_buffer": torch.ones(8, 3, 3, 3)}}, "param_groups": [{"lr": 0.01}]}
        opt = {"save_dir": Path("runs/exp"), "imgsz": 640}
        extra = {"best_fitness": np.array([0.5]), "optimizer": optimizer, "opt": opt}
        torch.save({"model": model, "ema": None, "fitness": np.float64(0.3), **extra}, path)
    assert read_official(path).names == {0: "a", 1: "b", 2: "c"}
    with original_modules() as kinds:
        model = original_model(kinds)
        model.model[2].nc = np.int64(3)
        del model.model[2].stride, model.stride, model.names
        torch.save({"model": model}, path)
    found = read_official(path)
    assert (found.nc, found.names, found.stride) == (3, {0: "0", 1: "1", 2: "2"}, ())


def test_bare_models_wrapped_models_and_double_precision(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with original_modules() as kinds:
        model = original_model(kinds).double()
        torch.save(nn.DataParallel(model), path)
        expected = model.state_dict()
    found = read_official(path)
    assert list(found.state) == list(expected)
    assert found.state["model.0.conv.weight"].dtype is torch.float32
    assert torch.equal(found.state["model.0.conv.weight"], expected["model.0.conv.weight"].float())


def test_bfloat16_and_shared_views(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    whole = torch.arange(24.0).view(4, 6)
    with original_modules() as kinds:
        model = original_model(kinds).bfloat16()
        model.model[1].register_buffer("a", whole.t())
        model.model[1].register_buffer("b", whole[1:3, 2:5])
        model.model[1].register_buffer("scalar", torch.tensor(2.5))
        model.model[1].register_buffer("empty", torch.zeros(0, 3))
        torch.save({"model": model}, path)
        weight = model.model[0].conv.weight.detach()
    state = read_official(path).state
    assert torch.equal(state["model.0.conv.weight"], weight.float())
    assert torch.equal(state["model.1.a"], whole.t())
    assert torch.equal(state["model.1.b"], torch.tensor([[8.0, 9, 10], [14, 15, 16]]))
    assert state["model.1.scalar"].item() == 2.5
    assert state["model.1.empty"].shape == (0, 3)
    state["model.1.a"].zero_()
    assert state["model.1.b"][0, 0] == 8


@pytest.mark.parametrize("wrap", [None, "state_dict", "model", "safetensors"])
def test_plain_state_dicts(tmp_path: Path, wrap: str | None) -> None:
    tensors = {
        "model.0.conv.weight": torch.randn(8, 3, 3, 3),
        "model.2.anchors": torch.rand(2, 2, 2),
        "model.2.m.0.weight": torch.randn(16, 8, 1, 1),
        "model.2.m.0.bias": torch.randn(16).half(),
    }
    path = tmp_path / ("a.safetensors" if wrap == "safetensors" else "a.pt")
    if wrap == "safetensors":
        save_file(tensors, path)
    else:
        torch.save({wrap: tensors} if wrap else tensors, path)
    found = read_official(path)
    assert set(found.state) == set(tensors)
    assert torch.equal(found.state["model.2.m.0.bias"], tensors["model.2.m.0.bias"].float())
    assert (found.kind, found.nc, found.yaml, found.module_types) == ("yolov5", 3, None, {})


def test_kinds_of_plain_state_dicts(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({"model.5.m.0.weight": torch.ones(14, 4, 1, 1), "model.5.anchors": torch.ones(1, 2, 2),
                "model.5.ia.0.implicit": torch.ones(1, 4, 1, 1)}, path)  # fmt: skip
    assert (read_official(path).kind, read_official(path).nc) == ("yolov7", 2)
    torch.save({"model.22.cv3.0.2.weight": torch.ones(7, 4, 1, 1)}, path)
    assert (read_official(path).kind, read_official(path).nc) == ("ultralytics", 7)
    torch.save({"layer1.weight": torch.ones(3)}, path)
    assert (read_official(path).kind, read_official(path).nc) == ("other", 0)


def test_yolov7_is_recognised_by_its_head(tmp_path: Path) -> None:
    save_original(tmp_path / "a.pt", head="IDetect")
    assert read_official(tmp_path / "a.pt").kind == "yolov7"


def test_other_tasks_are_refused(tmp_path: Path) -> None:
    save_original(tmp_path / "seg.pt", model="SegmentationModel")
    with pytest.raises(CheckpointError, match=r"seg\.pt: a model for segmentation \(SegmentationModel\); this project"):
        read_official(tmp_path / "seg.pt")


def test_names_that_do_not_fit(tmp_path: Path) -> None:
    with original_modules() as kinds:
        model = original_model(kinds)
        model.names = ["a", "b"]
        torch.save({"model": model}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="2 class names for 3 classes"):
        read_official(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html>", "a web page instead of weights"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"PK\x03\x04", "no table of contents"),
        (b"PK\x05\x06" + bytes(18), "not a torch checkpoint"),
        (b"\x00" * 300, "not a torch checkpoint"),
        (pickle.dumps({"model": 1}), "not one that torch.save wrote"),
        (b"\x80\x02", "damaged or cut off"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_official(path)


def test_no_file_no_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.pt: no such file"):
        read_official(tmp_path / "gone.pt")
    with pytest.raises(CheckpointError, match="a folder"):
        read_official(tmp_path)
    torch.save({"epoch": 3, "optimizer": None}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="holds 'epoch', 'optimizer' but no model"):
        read_official(tmp_path / "a.pt")
    torch.save([1, 2], tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="holds a list but no model"):
        read_official(tmp_path / "a.pt")


def test_pipes_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(CheckpointError, match="a pipe or device"):
        read_official(tmp_path / "pipe.pt")


def test_links_are_followed(tmp_path: Path) -> None:
    save_original(tmp_path / "a.pt")
    (tmp_path / "link.pt").symlink_to("a.pt")
    assert read_official(tmp_path / "link.pt").nc == 3


def test_ultralytics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stock model saved as the engine saves it: the whole module, in half precision, with its arguments."""
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    import models.upstream.environment  # noqa: F401 - must come before ultralytics

    model = DetectionModel("yolo11n.yaml", nc=4, verbose=False)
    model.args = get_cfg()
    model.names = {0: "a", 1: "b", 2: "c", 3: "d"}
    path = tmp_path / "yolo11n.pt"
    torch.save({"epoch": 1, "model": None, "ema": model.half(), "train_args": vars(model.args)}, path)
    found = read_official(path)
    expected = model.state_dict()
    assert list(found.state) == list(expected)
    for key, value in expected.items():
        assert torch.equal(found.state[key], value.float() if value.is_floating_point() else value), key
    assert (found.kind, found.nc, found.names, found.stride) == ("ultralytics", 4, model.names, (8.0, 16.0, 32.0))
    assert found.yaml is not None
    assert found.yaml["backbone"] == model.yaml["backbone"]
