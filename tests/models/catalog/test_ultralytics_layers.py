"""The YAMLs inside ultralytics: the stock size, and with stock weights by name the stock output, to the last bit."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models import build_model, read_spec
from models.spec.base_files import ROOT

STOCK = """
import sys
import models.upstream.environment
import torch
from ultralytics.nn.tasks import DetectionModel
torch.set_num_threads(1)
folder = sys.argv[1]
for name in sys.argv[2:]:
    torch.manual_seed(0)
    model = DetectionModel(f"{name}.yaml", verbose=False)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    image = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        output = model.eval()(image)
    content = {
        "state": model.state_dict(), "image": image, "output": output, "stride": model.stride,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    torch.save(content, f"{folder}/{name}.pt")
"""
# One of each generation and kind of file; letters m and l, because they change blocks beyond their width.
QUICK = ["yolov3-tiny", "yolov5n", "yolov6n", "yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n"]
MORE = [
    *("yolov3", "yolov3-spp", "yolov5n6", "yolov5m", "yolov8n-p2", "yolov8n-p6", "yolov8n-ghost", "yolov8n-ghost-p2"),
    *("yolov8n-ghost-p6", "yolov8m", "yolov9s", "yolov9m", "yolov9c", "yolov9e", "yolov10s", "yolov10m", "yolov10b"),
    *("yolov10l", "yolov10x", "yolo11m", "yolo12l", "yolo26m", "yolo26n-p2", "yolo26n-p6"),
]


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested containers, in their order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from tensors(value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)


def check(names: list[str], folder: Path) -> None:
    """Build the stock models in a process of their own, and compare."""
    subprocess.run([sys.executable, "-c", STOCK, str(folder), *names], cwd=ROOT, check=True, timeout=800)
    for name in names:
        stock = torch.load(folder / f"{name}.pt", weights_only=True)
        detector = build_model(f"ultralytics/{name.replace('n6', 'n-p6')}")
        assert sum(p.numel() for p in detector.parameters()) == stock["parameters"], name
        assert torch.equal(detector.stride, stock["stride"]), name
        detector.load_state_dict(stock["state"], strict=True)
        with torch.no_grad():
            output = list(tensors(detector.eval()(stock["image"])))
        expected = list(tensors(stock["output"]))
        assert len(output) == len(expected)
        assert all(torch.equal(a, b) for a, b in zip(output, expected, strict=True)), name
        print(f"{name}: {stock['parameters']:,} parameters, no difference")
        (folder / f"{name}.pt").unlink()


def test_of_each_generation(tmp_path: Path) -> None:
    check(QUICK, tmp_path)


@pytest.mark.slow
def test_the_others(tmp_path: Path) -> None:
    check(MORE, tmp_path)


@pytest.mark.parametrize("name", ["yolo11n-seg", "yolov8n-pose", "yolo11n-obb", "yolov8n-cls", "yolov8n-rtdetr"])
def test_other_tasks_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"this project detects|is not supported"):
        read_spec(f"ultralytics/{name}")
