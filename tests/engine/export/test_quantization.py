"""8 bits: ranges from the user's images, the cost measured, refused where it is too high."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.backends.base import installed
from engine.cli.export_flags import export_parser
from engine.cli.main import main
from engine.cli.run_folder import DIGITS_WEIGHTS
from engine.export import run as exporter
from engine.export.quantization import IMAGES, Int8Quantization, calibration
from models import load_model
from tests.square_images import write_squares

OPENVINO = pytest.mark.skipif(not (installed("openvino") and installed("nncf")), reason="openvino or nncf is missing")
COMMON = ["--weights", str(DIGITS_WEIGHTS), "--img", "160", "--int8"]


def test_images_come_from_the_training_split():
    options = export_parser().parse_args([*COMMON, "--data", "digits", "--batch-size", "2"])
    loader = calibration(load_model(DIGITS_WEIGHTS), options)
    dataset: Any = loader.dataset
    batch = next(iter(loader))
    assert batch["img"].shape == (2, 3, 160, 160)
    assert str(batch["img"].dtype) == "torch.uint8"
    assert 100 < len(dataset) <= IMAGES
    assert all("train" in file for file in dataset.im_files)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "--int8 needs --data"),
        (["--data", "digits", "--half"], "--half and --int8 exclude each other"),
        (["--data", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_what_is_missing_is_said(argv, message, tmp_path, capsys):
    assert main("export", [*COMMON, "--include", "onnx", "--output", str(tmp_path), *argv]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "--include onnx:" not in error  # the format is not to blame
    assert list(tmp_path.iterdir()) == []


def test_data_of_other_classes_are_refused(tmp_path, capsys):
    data = write_squares(tmp_path / "data", train=2, val=2)
    assert main("export", [*COMMON, "--include", "onnx", "--output", str(tmp_path / "out"), "--data", str(data)]) == 2
    error = capsys.readouterr().err
    assert f"--weights {DIGITS_WEIGHTS} knows 10 classes (0, 1, 2, 3, 4 …), --data {data} has " in error
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_costs_too_much_is_refused_and_an_earlier_one_kept(tmp_path, capsys, monkeypatch):
    def written(detector, name, target, *args, **kwargs):
        target.with_suffix(".onnx").write_text("new")
        return target.with_suffix(".onnx")

    monkeypatch.setattr(exporter, "write_format", written)
    monkeypatch.setattr(exporter, "open_file", lambda path, device: None)
    monkeypatch.setattr(exporter, "compare_with_checkpoint", lambda *args: None)

    def measure(self, weights, batch_size):
        return (0.44, 0.79, 9) if isinstance(weights, str) else (0.5, 0.8, 9)

    monkeypatch.setattr(Int8Quantization, "_measure", measure)
    earlier = tmp_path / f"{DIGITS_WEIGHTS.stem}.onnx"
    earlier.write_text("earlier")
    argv = [*COMMON, "--include", "onnx", "--data", "digits", "--output", str(tmp_path)]
    assert main("export", argv) == 1
    assert "0.5000 → 0.4400 (-0.0600)" in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["earlier"]


def test_the_checkpoint_is_measured_once_for_all_formats(monkeypatch):
    measured = []

    def measure(self, weights, batch_size):
        measured.append(weights)
        return (0.5, 0.8, 9) if weights == "model" else (0.4, 0.7, 9)

    monkeypatch.setattr(Int8Quantization, "_measure", measure)
    int8 = Int8Quantization("model", export_parser().parse_args([*COMMON, "--data", "digits"]))
    drops = [int8.measure_drop(file) for file in (Path("a.onnx"), Path("b_openvino_model"))]
    assert sorted(measured) == ["a.onnx", "b_openvino_model", "model"]
    assert {str(drop) for drop in drops} == {
        "mAP50-95 0.5000 → 0.4000 (-0.1000), mAP50 0.8000 → 0.7000 (-0.1000) on digits val, 9 images"
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", pytest.param("openvino", marks=OPENVINO)])
def test_the_digits_lose_little(name, tmp_path, capfd):
    argv = [*COMMON, "--include", name, "--data", "digits", "--output", str(tmp_path / "out"), "--max-drop", "0.02"]
    assert main("export", argv) == 0
    assert "mAP50-95" in capfd.readouterr().out
    file = next((tmp_path / "out").iterdir())
    sizes = [path.stat().st_size for path in ([file] if file.is_file() else file.iterdir())]
    assert sum(sizes) < 0.35 * 4 * sum(p.numel() for p in load_model(DIGITS_WEIGHTS).parameters())
    run = ["--weights", str(file), "--data", "digits", "--img", "160", "--noplots", "--project", str(tmp_path)]
    assert main("val", [*run, "--name", "val"]) == 0
    assert json.loads((tmp_path / "val" / "metrics.json").read_text())["coco"]["AP"] > 0.58
