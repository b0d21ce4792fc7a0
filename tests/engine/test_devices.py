"""Devices that are not there, and flags that mean nothing on them."""

import pytest
import torch

from engine.devices import check_device, check_runtime
from engine.errors import UsageError


@pytest.mark.parametrize("device", ["", "cpu", "CPU"])
def test_devices_that_every_machine_has(device):
    check_device(device)


@pytest.mark.parametrize(
    ("device", "text"),
    [
        ("0,1", "one process works on one device; give one of 0, 1"),
        ("gpu", "is neither cpu nor a GPU's number"),
        (str(torch.cuda.device_count()), "try --device cpu"),
        ("cuda:97", "try --device cpu"),
    ],
)
def test_devices_that_are_not_there(device, text):
    with pytest.raises(UsageError, match=text):
        check_device(device)


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="start one process"):
        check_device("cpu")


@pytest.mark.parametrize("model", [object(), "model_openvino_model"])
def test_dnn_is_for_onnx(model):
    with pytest.raises(UsageError, match="--dnn is for ONNX files"):
        check_runtime(model, "cpu", False, True)
    check_runtime("model.onnx", "cpu", False, True)
