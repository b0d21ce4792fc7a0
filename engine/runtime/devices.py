"""Check --device, and the flags that only some devices and formats have."""

import importlib.util
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine.errors import UsageError
from engine.runtime.distributed import ProcessRank, process_rank
from engine.runtime.log import LOGGER

OTHER_DEVICES = ("cpu", "mps", "npu", "xpu")
# Turing GPUs without tensor cores, whose float16 convolutions are known to give NaN; ultralytics avoids these too.
WRONG_FP16 = re.compile(r"\b(GTX 16[356]0|T(400|500|550|600|1000|1200|2000))\b", re.IGNORECASE)


def check_device(device: str, several: bool = False) -> None:
    """Refuse several devices in one process, and devices that are not there.

    Args:
        device: --device: empty, "cpu", "mps", or a GPU's number.
        several: whether the command can work as several processes.

    Raises:
        UsageError: in these cases, and for names that are no device.
    """
    if process_rank().world > 1 and not several:
        raise UsageError("torchrun is for train.py; start this script with python")
    names = [name for name in str(device).lower().replace("cuda:", "").replace(" ", "").split(",") if name]
    if len(names) > 1:
        all_of_them = f"; for all: torchrun --nproc-per-node {len(names)} train.py …" if several else ""
        raise UsageError(
            f"--device {device}: one process works on one device; give one of {', '.join(names)}{all_of_them}"
        )
    if not names:
        return
    kind, _, number = names[0].partition(":")
    if kind in OTHER_DEVICES and (not number or number.isdecimal()):
        _check_other_device(device, kind)
        return
    count = torch.cuda.device_count()
    if names[0] != "cuda" and not names[0].isdecimal():
        raise UsageError(f"--device {device}: is neither cpu nor a GPU's number, nor mps, xpu or npu")
    if count == 0 or (names[0].isdecimal() and int(names[0]) >= count):
        there = "no GPU" if count == 0 else f"GPU 0 to {count - 1}"
        raise UsageError(f"--device {device}: this machine has {there} that PyTorch can use; try --device cpu")


def check_processes(here: ProcessRank, device: str, batch_size: int, sync_bn: bool) -> None:
    """Refuse what several processes cannot do, and what only they can.

    Args:
        here: rank of this process.
        device: of this process.
        batch_size: --batch-size, of all processes together.
        sync_bn: --sync-bn.

    Raises:
        UsageError: in these cases.
    """
    if sync_bn and (here.world == 1 or device == "cpu"):
        raise UsageError("--sync-bn: is for several processes on GPUs; leave it out")
    if batch_size % here.world:
        near = max(batch_size // here.world, 1) * here.world
        raise UsageError(
            f"--batch-size {batch_size} is what all processes together take, and there are {here.world}; "
            f"use --batch-size {near}"
        )


def check_runtime(model: Any, device: str, half: bool, dnn: bool) -> None:
    """Refuse or explain --half and --dnn where they cannot work.

    Args:
        model: a Detector, or the path of an exported model.
        device: --device.
        half: --half.
        dnn: --dnn.

    Raises:
        UsageError: for --dnn without an ONNX file.
    """
    exported = isinstance(model, str)
    if dnn and not (exported and model.endswith(".onnx")):
        raise UsageError("--dnn is for ONNX files; leave it out, or give --weights MODEL.onnx")
    name = str(device).lower()
    on_cpu = name == "cpu" or (not name.startswith(OTHER_DEVICES) and not torch.cuda.is_available())
    if not half or exported:
        return
    if on_cpu:
        LOGGER.info("--half: PyTorch computes in full precision on CPUs; the flag has no effect")
    elif not name.startswith(OTHER_DEVICES):
        number = re.search(r"\d+", name)
        card = torch.cuda.get_device_name(int(number[0]) if number else None)
        if fp16_gives_nan(card):
            LOGGER.warning(f"--half: float16 is known to give NaN on {card}; without --half objects are found")


def _check_other_device(device: str, kind: str) -> None:
    """Refuse a kind of device that this machine, or this PyTorch, has not; ultralytics would take the CPU instead.

    Raises:
        UsageError: in these cases.
    """
    there: dict[str, Callable[[], bool]] = {
        "cpu": lambda: True,
        "mps": torch.backends.mps.is_available,
        "xpu": lambda: getattr(torch, "xpu", None) is not None and torch.xpu.is_available(),
        "npu": lambda: importlib.util.find_spec("torch_npu") is not None,
    }
    if not there[kind]():
        needs = {"mps": "a Mac with an Apple chip", "xpu": "an Intel GPU", "npu": "an Ascend NPU with torch_npu"}[kind]
        raise UsageError(f"--device {device}: needs {needs} that PyTorch can use; try --device cpu")


def memory_format(device: torch.device) -> torch.memory_format:
    """Return the order of a map's numbers that convolutions like on a device.

    Channels last on CPUs and on CUDA; not on Windows' CUDA, where ultralytics measured it slower, and not on Apple's
    GPUs, where it found wrong results.
    """
    likes = device.type == "cpu" or (device.type == "cuda" and sys.platform != "win32")
    return torch.channels_last if likes else torch.contiguous_format


def fp16_gives_nan(name: str) -> bool:
    """Tell whether a GPU of this name is one whose float16 cannot be relied on."""
    return WRONG_FP16.search(name) is not None


def device_name(device: torch.device) -> str:
    """Return what a device is, for people and for records: the GPU's or the processor's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return processor_name()
    return {"mps": "Apple GPU", "xpu": "Intel GPU", "npu": "Ascend NPU"}.get(device.type, device.type)


def processor_name() -> str:
    """Return the processor's name as the system tells it, or its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine() or "CPU"
