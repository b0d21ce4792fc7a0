"""detect.py --maps from the command line: images, videos, what is written, and what is refused in one line."""

import importlib.util

import cv2
import numpy as np
import pytest
import torch

from data.digits import make_image
from engine.cli.main import main
from engine.detection.run import detect
from engine.inspection.cam import ClassActivationMaps
from engine.inspection.places import feature_layers
from engine.ops.letterbox import letterbox
from models import load_model

needs_grad_cam = pytest.mark.skipif(
    importlib.util.find_spec("pytorch_grad_cam") is None, reason="grad-cam is not installed"
)
CBAM = ["--attention", "CBAM@neck.P3{identity: true}", "SKAttention@inside:9"]


def make_images(count):
    """Images of the test split's digits, (320, 320, 3) BGR."""
    rng = np.random.default_rng(0)
    return [make_image("test", rng)[0] for _ in range(count)]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Three images of the digits' kind, and a video of four frames."""
    folder = tmp_path_factory.mktemp("images")
    for number, image in enumerate(make_images(3)):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    writer = cv2.VideoWriter(str(folder / "film.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 5, (96, 64))
    for number in range(4):
        writer.write(np.full((64, 96, 3), 40 * number, np.uint8))
    writer.release()
    return folder


def run(tmp_path, *argv):
    return main("detect", [*argv, "--project", str(tmp_path), "--img", "96", "--nosave"])


@pytest.mark.parametrize("kinds", [["gates", "features"], pytest.param(["cam"], marks=needs_grad_cam)])
def test_every_image_and_frame_gets_its_maps(images, tmp_path, kinds):
    assert run(tmp_path, "--source", str(images), *CBAM, "--maps", *kinds, "--batch-size", "2", "--pdf") == 0
    for kind in kinds:
        folder = tmp_path / "exp" / "maps" / kind
        assert sorted(path.name for path in folder.iterdir()) == [
            "0.pdf", "0.png", "1.pdf", "1.png", "2.pdf", "2.png", "film.mp4",
        ]  # fmt: skip
        assert cv2.imread(str(folder / "0.png")).shape[1] >= 640
        assert (folder / "0.pdf").read_bytes().startswith(b"%PDF")
        film = cv2.VideoCapture(str(folder / "film.mp4"))
        assert sum(film.grab() for _ in range(9)) == 4


def test_visualize_is_the_flag_of_yolov5(images, tmp_path):
    assert run(tmp_path, "--source", str(images / "0.png"), str(images / "1.png"), "--visualize") == 0
    assert sorted(path.name for path in (tmp_path / "exp" / "maps" / "features").iterdir()) == ["0.png", "1.png"]


def test_classes_are_those_that_detections_bear(images, tmp_path, capsys):
    """With --data its names are drawn, and its names are what --class takes."""
    names = "zero one two three four five six seven eight nine".split()
    (tmp_path / "d.yaml").write_text(f"val: .\nnames: {names}\n")
    argv = ["--source", str(images / "0.png"), "--data", str(tmp_path / "d.yaml"), "--maps", "features", "--class"]
    assert run(tmp_path, *argv, "one") == 0
    assert (tmp_path / "exp" / "maps" / "features" / "0.png").is_file()
    assert run(tmp_path, *argv, "eleven") == 2
    assert "--class eleven: the model has zero, one, two" in capsys.readouterr().err


def test_maps_that_cannot_be_written_are_said(images, tmp_path, monkeypatch, caplog):
    def refuse(path, image):
        raise OSError("no space left on device")

    monkeypatch.setattr("data.image_files.image_io.write", refuse)
    assert run(tmp_path, "--source", str(images / "0.png"), "--maps", "features") == 0
    name = images / "0.png"
    assert f"not written: features of {name}: no space left on device" in caplog.text


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--maps", "gates"], "the model has no attention, so there are no gates"),
        (["--maps", "features", "--layer", "neck.P9"], "there is no neck.P9"),
        (["--maps", "features", "--class", "cat"], "--class cat: the model has 0, 1, 2"),
        (["--maps", "gates", "--backend", "onnx", *CBAM], "--backend onnx: --maps looks inside the model"),
        (["--maps", "gates", "--weights", "model.onnx"], "there is no such exported model"),
        (["--layer", "9"], "--layer says what maps to write: add --maps"),
        (["--maps", "gate"], "invalid choice: 'gate'"),
    ],
)
def test_what_cannot_be_looked_into_is_one_line(images, tmp_path, capsys, argv, text):
    assert run(tmp_path, "--source", str(images / "0.png"), *argv) == 2
    message = capsys.readouterr().err
    assert text in message
    assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_the_library_there_is_one_line(images, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("engine.inspection.cam.LIBRARY", "no_such_library")
    assert run(tmp_path, "--source", str(images / "0.png"), "--maps", "cam") == 2
    assert "--maps cam needs grad-cam, which is not installed: pip install grad-cam" in capsys.readouterr().err


def test_off_there_is_no_hook(images, tmp_path, monkeypatch):
    """While detect.py runs without maps, the model has no hook and PyTorch is in no mode."""
    from engine.backends.torch import TorchBackend

    calls, run_model = [], TorchBackend.__call__

    def watched(backend, inputs):
        hooks = [module._forward_hooks or module._forward_pre_hooks for module in backend.detector.modules()]
        calls.append((any(hooks), torch._C._len_torch_function_stack()))
        return run_model(backend, inputs)

    monkeypatch.setattr(TorchBackend, "__call__", watched)
    assert run(tmp_path, "--source", str(images / "0.png"), str(images / "1.png"), *CBAM) == 0
    assert calls == [(False, 0), (False, 0)]


@needs_grad_cam
def test_the_peak_lies_in_the_box(root):
    """Of fifty digits, at least 80 % have the peak of the map for their box in it."""
    weights = root / "weights" / "yolov5n-digits.pt"
    found = list(detect(weights, make_images(10), imgsz=320, backend="torch", conf_thres=0.5))
    model = load_model(weights).eval()
    inside = looked = 0
    with ClassActivationMaps(model, [layer for _, layer in feature_layers(model)]) as maps:
        for result in found:
            boxes, classes = result.boxes.xyxy.numpy(), result.boxes.cls.numpy().astype(int)
            count = min(len(boxes), 50 - looked)
            if not count:
                continue
            inputs, (place,) = letterbox([result.orig_img], (320, 320))
            assert (place.scale_x, place.left, place.top) == (1, 0, 0)
            batch = torch.from_numpy(inputs).repeat(count, 1, 1, 1)
            made = maps(batch, [boxes[k : k + 1] for k in range(count)], [classes[k : k + 1] for k in range(count)])
            for (left, top, right, bottom), values in zip(boxes, made, strict=False):
                row, column = np.unravel_index(values.argmax(), values.shape)
                inside += left <= column <= right and top <= row <= bottom
            looked += count
    assert looked == 50
    assert inside >= 40
