"""Small files in the format of the original repositories, written by torch.save itself."""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn


@contextmanager
def original_modules() -> Iterator[types.SimpleNamespace]:
    """Modules named like the original repositories' (models.yolo, models.common) while the block runs."""
    yolo, common = types.ModuleType("models.yolo"), types.ModuleType("models.common")

    def define(module: types.ModuleType, name: str, base: type = nn.Module) -> Any:
        kind = type(name, (base,), {"__module__": module.__name__})
        setattr(module, name, kind)
        return kind

    kinds = types.SimpleNamespace(
        Model=define(yolo, "Model"),
        DetectionModel=define(yolo, "DetectionModel"),
        SegmentationModel=define(yolo, "SegmentationModel"),
        Detect=define(yolo, "Detect"),
        IDetect=define(yolo, "IDetect"),
        Conv=define(common, "Conv"),
        ForkCBAM=define(common, "ForkCBAM"),
    )
    saved = {name: sys.modules.get(name) for name in ("models.yolo", "models.common")}
    sys.modules.update({"models.yolo": yolo, "models.common": common})
    try:
        yield kinds
    finally:
        for name, module in saved.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


def original_model(kinds: types.SimpleNamespace, model: str = "Model", head: str = "Detect", nc: int = 3) -> Any:
    """A detector of three rows with random weights: Conv, a fork's own attention, a head with two levels."""
    conv = kinds.Conv()
    conv.conv, conv.bn, conv.act = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.SiLU()
    conv.bn.running_mean.normal_()
    conv.bn.num_batches_tracked += 7
    attention = kinds.ForkCBAM()
    attention.fc = nn.Linear(8, 8)
    detect = getattr(kinds, head)()
    detect.m = nn.ModuleList(nn.Conv2d(8, 2 * (5 + nc), 1) for _ in range(2))
    detect.register_buffer("anchors", torch.rand(2, 2, 2))
    detect.register_buffer("passing", torch.rand(4), persistent=False)
    detect.nc, detect.stride, detect.grid = nc, torch.tensor([8.0, 16.0]), [torch.zeros(1)] * 2
    whole = getattr(kinds, model)()
    whole.model = nn.Sequential(conv, attention, detect)
    whole.yaml = {"nc": nc, "anchors": [[1, 2, 3, 4]] * 2, "backbone": [[-1, 1, "Conv", [8, 3]]]}
    whole.names = ["a", "b", "c"][:nc]
    whole.nc, whole.stride, whole.save = nc, detect.stride, {2}
    return whole


def save_original(
    path: Path, *, legacy: bool = False, model: str = "Model", head: str = "Detect", **change: Any
) -> Any:
    """Write a checkpoint as the original train.py does; gives the state dict that it holds.

    Args:
        path: target file.
        legacy: the stream of pickles that torch wrote before 1.6.
        model: class of the whole.
        head: class of the head.
        **change: other entries of the checkpoint.
    """
    with original_modules() as kinds:
        whole = original_model(kinds, model, head).half()
        content = {"epoch": -1, "best_fitness": None, "model": whole, "ema": None, "optimizer": None}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the classes made here have no source text
            torch.save(content | change, path, _use_new_zipfile_serialization=not legacy)
        return {key: value.clone() for key, value in whole.state_dict().items()}
