"""Exported files: each computes what the checkpoint computes, says how it was made, and serves detect.py and val.py."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.backends.base import installed
from engine.backends.torch import TorchBackend
from engine.cli.export_flags import export_parser
from engine.cli.main import main
from engine.cli.run_folder import DIGITS_WEIGHTS
from engine.datasets.splits import load_split
from engine.errors import UsageError
from engine.export import run as exporter
from engine.export.parity import Parity, compare_with_checkpoint, sample_batch
from models import load_model

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
OPENVINO = pytest.mark.skipif(not installed("openvino"), reason="openvino is not installed")
FORMATS = ["onnx", "torchscript", pytest.param("openvino", marks=OPENVINO)]
ENDING = {"onnx": ".onnx", "torchscript": ".torchscript", "openvino": "_openvino_model"}


def export(folder, name, *argv, code=0):
    common = ["--weights", str(DIGITS_WEIGHTS), "--output", str(folder), "--imgsz", "160", "--include", name]
    assert main("export", [*common, *argv]) == code
    return folder / f"{DIGITS_WEIGHTS.stem}{ENDING[name]}"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("argv", [[], ["--dynamic"], ["--batch-size", "2"]])
def test_every_format_computes_the_same(name, argv, tmp_path):
    backend = exporter.open_file(export(tmp_path, name, *argv), "cpu")
    assert (backend.size is None) == ("--dynamic" in argv)
    assert backend.names == {number: str(number) for number in range(10)}
    assert backend.stride == 32
    detector = load_model(DIGITS_WEIGHTS)
    assert compare_with_checkpoint(detector, backend, 160).holds
    with torch.no_grad():
        detector.model[-1].m[0].bias += 0.5
    assert not compare_with_checkpoint(detector, backend, 160).holds


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_suppresses_by_itself(name, tmp_path, shared):
    common = ["--weights", str(shared / "weights" / "yolov5n.pt"), "--output", str(tmp_path), "--imgsz", "320"]
    assert main("export", [*common, "--include", name, "--nms"]) == 0
    backend = exporter.open_file(tmp_path / f"yolov5n{ENDING[name]}", "cpu")
    assert backend.finished
    parity = compare_with_checkpoint(load_model(shared / "weights" / "yolov5n.pt"), backend, 320)
    assert parity.holds
    assert parity.detections > 0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--opset", "99"], "--opset 99: PyTorch writes the sets 7 to 20"),
        (["--opset", "13", "--attention", "DeformableAttention@neck.P3"], "--opset 13: DeformableAttention needs 16"),
        (["--opset", "10", "--attention", "SE@neck.P3"], "--opset 10: SE needs 11 or higher; write --opset 11"),
        (["--device", "97"], "--device 97: this machine has"),
        (["--device", "mps0"], "--device mps0: is neither cpu nor a GPU's number"),
    ],
)
def test_what_cannot_hold_or_write_the_model_is_one_line(argv, message, tmp_path, capsys):
    export(tmp_path, "onnx", *argv, code=2)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_a_low_operator_set_holds_what_it_can(tmp_path):
    assert export(tmp_path, "onnx", "--opset", "11", "--attention", "SKDilated@neck.P3").is_file()


def test_a_file_says_how_its_model_was_described(tmp_path):
    import onnx

    facts = {entry.key: entry.value for entry in onnx.load(export(tmp_path, "onnx")).metadata_props}
    assert json.loads(facts["spec"]) == load_model(DIGITS_WEIGHTS).spec.yaml


def test_a_broken_export_is_not_written(tmp_path, monkeypatch, capsys):
    good = exporter.write_format

    def broken(detector, *args, **kwargs):
        with torch.no_grad():
            detector.model[0].conv.weight[0, 0, 0, 0] += 1
        path = good(detector, *args, **kwargs)
        with torch.no_grad():
            detector.model[0].conv.weight[0, 0, 0, 0] -= 1
        return path

    monkeypatch.setattr(exporter, "write_format", broken)
    export(tmp_path, "onnx", code=1)
    assert "not written, because it does not compute the same" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["nms", "dynamic"])
def test_what_a_format_cannot_hold_is_refused(flag, tmp_path, capsys):
    argv = ["--weights", str(DIGITS_WEIGHTS), "--output", str(tmp_path), "--include", "ncnn", f"--{flag}"]
    assert main("export", argv) == 2
    assert f"--{flag}: ncnn files cannot have it; leave it out, or export ncnn by itself" in capsys.readouterr().err


def test_no_number_is_no_parity():
    nothing = float("nan")
    assert not Parity(nothing, 0, 0, 0, 0, (1, 1)).holds
    assert not Parity(0, 0, nothing, 0, 0, (1, 1)).holds
    assert not Parity(0, 0, 0, 1, 2, (1, 1)).holds
    assert Parity(0, 0, 0, 2, 2, (1, 1)).holds


def test_no_detection_is_called_no_evidence():
    assert str(Parity(0, 0, 0, 0, 0, (1, 1))).endswith("the sample images have no detection to compare")
    assert str(Parity(0, 0, 0, 2, 3, (1, 1))).endswith("2 of 3 detections match")


class Faint:
    """A file of a model that finds nothing: its scores are those of the checkpoint times `factor`."""

    size, batch, finished = (64, 64), 2, False

    def __init__(self, detector, factor):
        self.run, self.factor = TorchBackend(detector, "cpu"), factor

    def __call__(self, images):
        output = self.run(images)
        output[:, 4:] *= self.factor
        return output


def test_a_model_that_finds_nothing_is_compared_by_its_raw_boxes():
    detector = load_model(DIGITS_WEIGHTS)
    with torch.no_grad():
        for layer in detector.model[-1].m:
            layer.bias.view(3, -1)[:, 4] -= 12  # objectness: scores of e^-12 of theirs, where all but nothing is 1e-3
    parity = compare_with_checkpoint(detector, Faint(detector, 1), 64)
    assert parity.holds
    assert parity.detections == 0
    assert parity.raw == 2 * 3 * (8 * 8 + 4 * 4 + 2 * 2)
    assert "504 raw boxes compared, as none reaches confidence 0.05" in str(parity)
    assert not compare_with_checkpoint(detector, Faint(detector, 0.5), 64).holds


def test_a_file_that_suppresses_and_finds_nothing_is_said_to_be_unproven(monkeypatch, caplog):
    monkeypatch.setattr(exporter, "open_file", lambda *_: None)
    monkeypatch.setattr(exporter, "compare_with_checkpoint", lambda *_: Parity(0, 0, 0, 0, 0, (1, 1)))
    options = export_parser().parse_args(["--nms"])
    exporter._check(None, Path("made.onnx"), Path("a.onnx"), options, None)
    assert "a.onnx: only its running was checked, because no box of the sample images reaches" in caplog.text


def test_samples_are_photographs():
    images = sample_batch((64, 96), 5)
    assert images.shape == (5, 3, 64, 96)
    assert len({image.tobytes() for image in images}) == 5
    assert images.std() > 0.1
    assert np.isfinite(images).all()


@pytest.mark.parametrize("name", FORMATS)
def test_detect_and_val_take_it(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = export(tmp_path, name)
    argv = ["--weights", str(path), "--device", "cpu", "--project", str(tmp_path), "--imgsz", "160"]
    from data.digits import ensure
    from data.folders import ROOT

    ensure(ROOT / "datasets" / "digits")
    assert main("detect", [*argv, "--source", str(ROOT / "datasets/digits/images/test/0000.jpg"), "--save-csv"]) == 0
    assert (tmp_path / "exp" / "predictions.csv").read_text().count("\n") > 1


def test_an_exported_file_is_not_measured_on_classes_that_it_does_not_know(tmp_path, capsys):
    path = export(tmp_path, "onnx")
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    shutil.copy(Path(load_split("digits", "test").records[0].path), tmp_path / "images" / "a.jpg")
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    content = {"path": str(tmp_path), "train": "images", "val": "images", "names": ["cat", "dog"]}
    (tmp_path / "two.yaml").write_text(json.dumps(content))
    argv = ["--data", str(tmp_path / "two.yaml"), "--imgsz", "160", "--noplots", "--project", str(tmp_path / "runs")]
    assert main("val", ["--weights", str(path), *argv]) == 2
    assert f"--weights {path} knows 10 classes (0, 1, 2, 3, 4 …), --data" in capsys.readouterr().err


def test_a_fixed_batch_measures_sets_that_it_does_not_divide(tmp_path):
    from data.digits import ensure
    from data.folders import ROOT

    digits = ROOT / "datasets" / "digits"
    ensure(digits)
    for kind, ending in (("images", "jpg"), ("labels", "txt")):
        (tmp_path / kind / "val").mkdir(parents=True)
        for file in sorted((digits / kind / "test").glob(f"*.{ending}"))[:5]:
            shutil.copy(file, tmp_path / kind / "val")
    content = {"path": str(tmp_path), "train": "images/val", "val": "images/val", "names": list("0123456789")}
    (tmp_path / "few.yaml").write_text(json.dumps(content))
    numbers = []
    for weights in (export(tmp_path, "onnx", "--batch-size", "3"), DIGITS_WEIGHTS):
        argv = ["--weights", str(weights), "--data", str(tmp_path / "few.yaml"), "--imgsz", "160", "--square"]
        assert main("val", [*argv, "--noplots", "--project", str(tmp_path), "--name", weights.suffix]) == 0
        numbers.append(json.loads((tmp_path / weights.suffix / "metrics.json").read_text()))
    assert numbers[0]["images"] == numbers[1]["images"] == 5
    assert numbers[0]["coco"]["AP"] == pytest.approx(numbers[1]["coco"]["AP"], abs=1e-3)
    assert numbers[0]["coco"]["AP"] > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_val_measures_the_same(name, tmp_path):
    path = export(tmp_path, name, "--batch-size", "8")
    numbers = []
    for weights in (path, DIGITS_WEIGHTS):
        argv = ["--weights", str(weights), "--data", "digits", "--imgsz", "160", "--batch-size", "8", "--noplots"]
        assert main("val", [*argv, "--project", str(tmp_path), "--name", weights.suffix or "folder"]) == 0
        numbers.append(json.loads((tmp_path / (weights.suffix or "folder") / "metrics.json").read_text())["coco"]["AP"])
    assert numbers[0] == pytest.approx(numbers[1], abs=0.02)  # squares against tight rectangles


@pytest.mark.slow
@OPENVINO
@pytest.mark.parametrize("name", ["DANet", "LCT"])
def test_what_openvino_once_got_wrong_or_refused(name):
    from benchmarks.exports import cell, detector

    assert cell(detector(name), "openvino", 320).holds


@pytest.mark.parametrize(("name", "asked", "device"), [("onnx", "", "cpu"), ("onnx", "0", "0"), ("tensorrt", "", "0")])
def test_an_engine_is_made_on_the_gpu_without_being_told(name, asked, device, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.version.hip", None)
    assert exporter._device(name, asked) == device


def test_an_engine_without_a_gpu_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UsageError, match="--include tensorrt: an engine is made on the NVIDIA GPU"):
        exporter._device("tensorrt", "")
