"""Devices that are not there, and flags that mean nothing on them."""

import pytest
import torch

from engine.errors import UsageError
from engine.runtime import devices
from engine.runtime.devices import check_device, check_processes, check_runtime, device_name, memory_format
from engine.runtime.distributed import ProcessRank


@pytest.mark.parametrize("device", ["", "cpu", "CPU"])
def test_devices_that_every_machine_has(device):
    check_device(device)


@pytest.mark.parametrize(
    ("device", "text"),
    [
        ("0,1", "one process works on one device; give one of 0, 1"),
        ("gpu", "is neither cpu nor a GPU's number"),
        *((name, "is neither cpu nor a GPU's number") for name in ("cpu0", "mps0", "xpu1", "npu0", "mps:x", "²")),
        (str(torch.cuda.device_count()), "try --device cpu"),
        ("cuda:97", "try --device cpu"),
    ],
)
def test_devices_that_are_not_there(device, text):
    with pytest.raises(UsageError, match=text):
        check_device(device)


def test_training_on_several_devices_says_how():
    with pytest.raises(UsageError, match=r"give one of 0, 1; for all: torchrun --nproc-per-node 2 train\.py"):
        check_device("0,1", several=True)


def test_only_training_works_as_several_processes(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match=r"torchrun is for train\.py"):
        check_device("cpu")
    check_device("cpu", several=True)


@pytest.mark.parametrize(
    ("world", "device", "batch", "sync_bn", "text"),
    [
        (3, "cpu", 16, False, "use --batch-size 15"),
        (4, "cpu", 2, False, "use --batch-size 4"),
        (2, "0", -1, False, "use --batch-size 2"),
        (1, "0", 16, True, "--sync-bn: is for several processes on GPUs"),
        (2, "cpu", 16, True, "--sync-bn: is for several processes on GPUs"),
    ],
)
def test_what_several_processes_cannot_share(world, device, batch, sync_bn, text):
    with pytest.raises(UsageError, match=text):
        check_processes(ProcessRank(world=world), device, batch, sync_bn)


def test_processes_that_share_batches_evenly():
    check_processes(ProcessRank(world=2), "0", 16, True)
    check_processes(ProcessRank(), "cpu", -1, False)


@pytest.mark.parametrize("model", [object(), "model_openvino_model"])
def test_dnn_is_for_onnx(model):
    with pytest.raises(UsageError, match="--dnn is for ONNX files"):
        check_runtime(model, "cpu", False, True)
    check_runtime("model.onnx", "cpu", False, True)


@pytest.mark.parametrize(("device", "needs"), [("mps", "a Mac"), ("xpu:0", "an Intel GPU"), ("npu", "an Ascend NPU")])
def test_other_kinds_of_devices_that_are_not_there(device, needs, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: False)
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=f"--device {device}: needs {needs}.*; try --device cpu"):
        check_device(device)


def test_apples_gpu_is_taken_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    check_device("mps")


@pytest.mark.parametrize(("device", "said"), [("cpu", True), ("", True), ("mps", False), ("xpu", False)])
def test_half_is_said_to_have_no_effect_only_where_it_has_none(device, said, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    texts = []
    monkeypatch.setattr(devices.LOGGER, "info", texts.append)
    check_runtime(object(), device, True, False)
    assert [("no effect" in text) for text in texts] == [True] * said


@pytest.mark.parametrize("device", ["", "0", "0,", "cuda", "cuda:0"])
@pytest.mark.parametrize(("card", "count"), [("NVIDIA GeForce GTX 1650 Ti", 1), ("NVIDIA GeForce RTX 3060", 0)])
def test_half_is_warned_of_on_gpus_that_give_nan_in_it(device, card, count, monkeypatch):
    texts = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: card)
    monkeypatch.setattr(devices.LOGGER, "warning", texts.append)
    check_runtime(object(), device, True, False)
    assert texts == [f"--half: float16 is known to give NaN on {card}; without --half objects are found"] * count


@pytest.mark.parametrize(
    ("device", "platform", "expected"),
    [
        ("cpu", "linux", torch.channels_last),
        ("cpu", "win32", torch.channels_last),
        ("cuda", "linux", torch.channels_last),
        ("cuda", "win32", torch.contiguous_format),
        ("mps", "darwin", torch.contiguous_format),
        ("xpu", "linux", torch.contiguous_format),
    ],
)
def test_the_order_of_numbers_in_memory(device, platform, expected, monkeypatch):
    monkeypatch.setattr(devices.sys, "platform", platform)
    assert memory_format(torch.device(device)) == expected


def test_every_kind_of_device_has_a_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card {device.index}")
    assert device_name(torch.device("cuda", 1)) == "card 1"
    assert device_name(torch.device("mps")) == "Apple GPU"
    assert device_name(torch.device("cpu"))
