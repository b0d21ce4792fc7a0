"""The same boxes from every runtime, and no trust in a fresh export before it has shown that."""

import csv
import shutil
import subprocess
import sys
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from data.folders import ROOT
from engine.backends import onnx_cache, select
from engine.backends.base import installed
from engine.backends.verified import PATIENCE, VerifiedBackend, compare_outputs
from engine.cli.detect_flags import detect_parser
from engine.cli.run_folder import DIGITS_WEIGHTS
from engine.detection.run import run_detection
from engine.errors import UsageError
from engine.runtime.log import LOGGER

RUNTIMES = [
    "onnx",
    pytest.param("openvino", marks=pytest.mark.skipif(not installed("openvino"), reason="openvino is not installed")),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    from data.digits import ensure

    ensure(ROOT / "datasets" / "digits")
    folder = tmp_path_factory.mktemp("images")
    for path in sorted((ROOT / "datasets" / "digits" / "images" / "test").iterdir())[:4]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_cache, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "exports"


@pytest.fixture
def messages(caplog):
    LOGGER.addHandler(caplog.handler)
    yield caplog
    LOGGER.removeHandler(caplog.handler)


def detect(folder, *argv):
    run_detection(
        detect_parser().parse_args([*map(str, argv), "--project", str(folder), "--name", "run", "--save-csv"])
    )
    with (folder / "run" / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


def boxes(rows):
    return np.array([[float(row[key]) for key in ("x1", "y1", "x2", "y2", "Confidence")] for row in rows])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_same_boxes_as_pytorch(runtime, images, cache, tmp_path, messages):
    argv = ["--weights", DIGITS_WEIGHTS, "--source", images, "--imgsz", 320]
    expected = detect(tmp_path / "torch", *argv, "--backend", "torch")
    found = detect(tmp_path / "first", *argv, "--backend", runtime)
    assert "compared with PyTorch on an image of these" in messages.text
    messages.clear()
    assert len(list(cache.iterdir())) == 1  # nothing but the file that is kept
    again = detect(tmp_path / "again", *argv, "--backend", runtime, "--batch-size", 3)
    assert "writing its ONNX form" not in messages.text
    assert len(expected) > 10
    for rows in (found, again):
        assert [(row["Image Name"], row["Prediction"]) for row in rows] == [
            (row["Image Name"], row["Prediction"]) for row in expected
        ]
        np.testing.assert_allclose(boxes(rows)[:, :4], boxes(expected)[:, :4], atol=0.5)
        np.testing.assert_allclose(boxes(rows)[:, 4], boxes(expected)[:, 4], atol=0.005)


@pytest.mark.skipif(not installed("openvino"), reason="openvino is not installed")
def test_openvino_compiles_for_a_shape_that_comes_again_and_computes_the_same(tmp_path):
    from engine.backends.openvino import COMPILE_AFTER, OpenVinoBackend
    from engine.backends.write import write_format
    from models import load_model

    file = write_format(load_model(DIGITS_WEIGHTS), "onnx", tmp_path / "digits", imgsz=160, batch=1, dynamic=True)
    backend = OpenVinoBackend(str(file))
    draw = np.random.default_rng(0)
    one, other = (draw.random((1, 3, size, 160), dtype=np.float32) for size in (128, 160))
    first = backend(one)
    outputs = [backend(one) for _ in range(COMPILE_AFTER)]
    assert backend.fixed_shape == one.shape
    assert backend.fixed is not backend.free
    np.testing.assert_allclose(outputs[-1], first, rtol=1e-4, atol=1e-3)
    assert backend(other).shape != first.shape
    assert backend.fixed_shape == one.shape


def test_a_few_images_are_not_worth_an_export(images, cache, tmp_path, messages):
    detect(tmp_path, "--weights", DIGITS_WEIGHTS, "--source", images, "--imgsz", 320, "--device", "cpu")
    assert "PyTorch" in messages.text
    assert not cache.exists()


def test_an_export_with_one_changed_weight_is_not_used(images, cache, tmp_path, monkeypatch, messages):
    import onnx
    from onnx import numpy_helper

    good = onnx_cache.export_onnx

    def broken(detector, target):
        made = good(detector, target)
        model = onnx.load(made)
        weight = next(entry for entry in model.graph.initializer if len(entry.dims) == 4)
        values = numpy_helper.to_array(weight).copy()
        values.flat[0] += 10
        weight.CopyFrom(numpy_helper.from_array(values, weight.name))
        onnx.save(model, made)
        return made

    monkeypatch.setattr(select, "export_onnx", broken)
    argv = ["--weights", DIGITS_WEIGHTS, "--source", images, "--imgsz", 320]
    expected = detect(tmp_path / "torch", *argv, "--backend", "torch")
    found = detect(tmp_path / "onnx", *argv, "--backend", "onnx")
    assert "does not compute what PyTorch does" in messages.text
    assert found == expected
    assert list(cache.iterdir()) == []


def test_another_content_or_runtime_is_another_file(tmp_path):
    first, second = tmp_path / "a.pt", tmp_path / "b.pt"
    first.write_bytes(b"1")
    second.write_bytes(b"2")
    names = {
        onnx_cache.cached_file(first, "onnx"),
        onnx_cache.cached_file(second, "onnx"),
        onnx_cache.cached_file(first, "openvino"),
    }
    assert len(names) == 3
    second.write_bytes(b"1")
    stem = onnx_cache.cached_file(first, "onnx").name.removeprefix("a-")
    assert onnx_cache.cached_file(second, "onnx").name == f"b-{stem}"


class Constant:
    """A backend that always gives one output."""

    label = "constant"

    def __init__(self, output):
        self.output, self.calls = output, 0

    def __call__(self, images):
        self.calls += 1
        return self.output


def test_a_runtime_that_cannot_run_the_model_is_replaced(messages):
    class Failing(Constant):
        def __call__(self, images):
            raise RuntimeError("Reshape: 2 is not 16")

    settled = []
    expected = np.full((1, 5, 1), 0.5, np.float32)
    checked = VerifiedBackend(Failing(None), Constant(expected), settled.append)
    assert checked(np.zeros(1)) is expected
    assert checked(np.zeros(1)) is expected
    assert settled == [False]
    assert "constant cannot run the model (Reshape: 2 is not 16)" in messages.text


def test_images_without_anything_do_not_settle_it():
    empty = np.zeros((1, 6, 5), np.float32)
    fresh, reference, settled = Constant(empty), Constant(empty), []
    backend = VerifiedBackend(fresh, reference, settled.append)
    for _ in range(PATIENCE + 5):
        backend(None)
    assert settled == [True]
    assert reference.calls == PATIENCE


def test_outputs_are_compared_where_there_are_boxes():
    expected = np.zeros((1, 6, 5), np.float32)
    expected[0, 4, 2] = 0.9
    found = expected.copy()
    found[0, 0, 2] += 0.75  # of the box
    found[0, 0, 0] += 99  # of one that nobody sees
    found[0, 5, 1] += 0.001
    difference = compare_outputs(found, expected)
    assert (difference.boxes, difference.count) == (0.75, 1)
    assert difference.scores == pytest.approx(0.001)
    assert not difference.within()
    assert not compare_outputs(found[:, :, :4], expected).within()
    found[:] = np.nan
    assert not compare_outputs(found, expected).within()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--backend", "onnx", "--augment"], "--augment works in PyTorch only"),
        (["--backend", "tensorrt"], "export.py --include tensorrt"),
        (["--dnn"], "--dnn is for ONNX files"),
        (["--classes", "10"], "classes 0 to 9"),
        (["--imgsz", "1", "2", "3"], "one number, or height and width"),
    ],
)
def test_what_does_not_fit_is_said(argv, message, images, tmp_path):
    with pytest.raises(UsageError, match=message):
        detect(tmp_path, "--weights", DIGITS_WEIGHTS, "--source", images, *argv)
    assert not (tmp_path / "run").exists()


def test_a_strangers_onnx_file(tmp_path, images):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    options = Namespace(**{**vars(detect_parser().parse_args([])), "device": "cpu"})
    with pytest.raises(UsageError, match="is no readable ONNX file"):
        select.open_backend(options, str(path), 1)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
@pytest.mark.parametrize(
    ("name", "argv", "message"),
    [
        ("model.torchscript", {"device": "cpu", "trust": True}, "cannot be opened"),
        ("model.torchscript", {"device": "97", "trust": True}, "--device 97"),
    ],
)
def test_a_damaged_program_or_a_device_that_is_not_there(name, argv, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"no model")
    options = Namespace(**{**vars(detect_parser().parse_args([])), **argv})
    with pytest.raises(UsageError, match=message):
        select.open_backend(options, str(path), 1)


def test_no_torch_where_the_export_is_there(images, tmp_path):
    """What makes detection start in a moment."""
    argv = ["--weights", DIGITS_WEIGHTS, "--source", images, "--imgsz", 320, "--device", "cpu", "--nosave"]
    code = (
        "import sys; from engine.cli.main import main\n"
        "status = main('detect', sys.argv[1:])\n"
        "print(status, sorted({'torch', 'torchvision', 'ultralytics'} & set(sys.modules)))"
    )
    line = [sys.executable, "-c", code, *map(str, argv), "--project", str(tmp_path), "--backend", "onnx"]
    for _ in range(2):  # the first one may have to make the file
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.splitlines()[-1] == "0 []", done.stdout


def test_many_classes_and_sizes_in_one_batch(images, tmp_path):
    whole = cv2.imread(str(next(iter(sorted(images.iterdir())))))
    cv2.imwrite(str(tmp_path / "a.png"), whole)
    cv2.imwrite(str(tmp_path / "b.png"), whole[:200])
    argv = ["--weights", DIGITS_WEIGHTS, "--source", tmp_path, "--imgsz", 320, "--backend", "torch"]
    one, two = (detect(tmp_path / str(size), *argv, "--batch-size", size) for size in (1, 2))
    assert [row["Prediction"] for row in one if row["Image Name"] == "a.png"] == [
        row["Prediction"] for row in two if row["Image Name"] == "a.png"
    ]


@pytest.mark.parametrize("cfg", ["yolov5n", "ultralytics/yolov8n"])  # ultralytics' head remembers the last shape it saw
def test_replicas_of_pytorch_compute_what_one_computes_whatever_the_shapes(cfg):
    import torch

    from engine.backends.torch import TorchBackend
    from models import build_model

    draw = np.random.default_rng(0)
    images = [draw.random((1, 3, 32 * h, 32 * w), dtype=np.float32) for h, w in [(2, 3), (3, 2), (1, 4), (2, 2)] * 6]
    alone, shared = (TorchBackend(build_model(cfg), "cpu", replicas=replicas) for replicas in (1, 3))
    tensors = [alone.free.get()] + [shared.free.get() for _ in range(3)]
    assert len({next(detector.parameters()).data_ptr() for detector in tensors[1:]}) == 1  # one copy for all replicas
    alone.free.put(tensors[0])
    for detector in tensors[1:]:
        shared.free.put(detector)
    expected = [alone(image) for image in images]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(shared, images))
    with ThreadPoolExecutor(1) as pool:  # a new thread starts with all of them again
        assert pool.submit(torch.get_num_threads).result() == torch.get_num_threads()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)
