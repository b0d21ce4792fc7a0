"""Parameters and operations against sums by hand, and the expected time."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from models import read_spec
from study.execute.cost import (
    Cost,
    added_latency,
    disturbed,
    epoch_seconds,
    measure_costs,
    parameters_and_flops,
    quartiles,
)


class Net(nn.Module):
    """A convolution and a matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, stride=2, padding=1)
        self.line = nn.Linear(5, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.line(self.conv(x).mean((2, 3)))

    def fuse(self, verbose: bool) -> "Net":
        return self


def test_operations_are_those_of_the_definition() -> None:
    parameters, flops = parameters_and_flops(Net(), 8)
    assert parameters == 3 * 5 * 9 + 5 + 5 * 7 + 7
    assert flops == 2 * (4 * 4 * 5 * 3 * 9) + 2 * (5 * 7)  # a multiplication and an addition each


def test_a_detector_is_counted_as_it_is_trained() -> None:
    from models import build_model

    model = build_model("yolov5n")
    parameters, flops = parameters_and_flops(model, 640)
    assert parameters == 1_872_157  # YOLOv5's own figure
    assert flops == pytest.approx(4.5e9, rel=0.03)  # and its 4.5 GFLOPs


def test_costs_are_kept_until_something_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []

    def build(yaml: Any) -> Any:
        built.append(1)
        return Net()

    monkeypatch.setattr("study.execute.cost.build_model", build)
    monkeypatch.setattr("study.execute.cost.disturbed", lambda cost: False)
    models = {"baseline": read_spec("yolov5n")}
    file = tmp_path / "cost.json"
    first, setting = measure_costs(models, 16, 3, "cpu", file)
    assert len(first["baseline"].latency_ms) == 3
    assert setting["device"] == "CPU"
    assert measure_costs(models, 16, 3, "cpu", file)[0] == first
    assert len(built) == 1
    measure_costs(models, 32, 3, "cpu", file)
    assert len(built) == 2
    monkeypatch.setattr("study.execute.cost.device_name", lambda device: "another processor")
    measure_costs(models, 32, 3, "cpu", file)
    assert len(built) == 3


def test_latency_is_compared_round_by_round() -> None:
    base, variant = Cost(1, 1, (5.0, 9.0, 100.0)), Cost(1, 1, (7.0, 10.0, 103.0))
    assert added_latency(variant, base) == 2  # of 2, 1 and 3; the medians differ by 1


def test_timing_on_a_busy_machine_is_noticed_and_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert quartiles(Cost(1, 1, (5.0, 2.0, 4.0, 3.0, 1.0))) == (2, 4)
    assert not disturbed(Cost(1, 1, (5.0, 5.1, 5.2, 5.3, 90.0)))  # one hiccup
    assert disturbed(Cost(1, 1, (5.0, 5.1, 7.0, 9.0, 9.5)))
    times = iter([(5.0, 9.0, 50.0), (5.0, 5.1, 5.2)])
    monkeypatch.setattr("study.execute.cost.build_model", lambda yaml: Net())
    monkeypatch.setattr("study.execute.cost.interleaved", lambda models, *args: dict.fromkeys(models, next(times)))
    found = [measure_costs({"baseline": read_spec("yolov5n")}, 16, 3, "cpu", tmp_path / "cost.json") for _ in range(3)]
    assert [costs["baseline"].latency_ms for costs, _ in found] == [(5.0, 9.0, 50.0), (5.0, 5.1, 5.2), (5.0, 5.1, 5.2)]


def test_an_epoch_is_timed_by_its_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.execute.cost.probe_seconds", lambda *args: (0.5, 0.1))
    assert epoch_seconds(read_spec("yolov5n"), {}, {"train": 10, "val": 20}, "cpu") == pytest.approx(7.0)


def test_the_probe_trains_a_real_step() -> None:
    options = {"imgsz": 64, "batch_size": 2, "amp": "auto"}
    assert epoch_seconds(read_spec("yolov5n", ["SE@neck.P3"]), options, {"train": 1, "val": 1}, "cpu") > 0
