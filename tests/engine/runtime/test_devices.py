"""Devices that are not there, and flags that mean nothing on them."""

import pytest
import torch

from engine.errors import UsageError
from engine.runtime.devices import check_device, check_processes, check_runtime
from engine.runtime.distributed import ProcessRank


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
