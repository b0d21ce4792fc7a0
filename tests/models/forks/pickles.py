"""Write checkpoints as forks' own code pickles them, from a description of their modules and a rule for the numbers.

A JSON file here describes one checkpoint that a fork's code wrote: its modules with class names, settings and shapes,
and boxes and scores that the fork itself computed from it. Every tensor follows from its name and shape, so the file
can be written again without that code: the classes are made here, empty, under their original names.
"""

import json
import math
import sys
import types
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

FOLDER = Path(__file__).parent
NAMES = ("cbam", "coordatt", "c3cbam", "ultralytics-cbam", "simam-decoupled", "yolov5s-v5.0")
_LEFT_ALONE = ("anchors", "anchor_grid", "num_batches_tracked")


def reference(name: str) -> dict[str, Any]:
    """Read a description."""
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def values(name: str, shape: tuple[int, ...], gain: float, with_bias: bool) -> torch.Tensor:
    """Return the numbers of a tensor: a draw from a generator seeded by its name.

    Args:
        name: key in the state dict.
        shape: of the tensor.
        gain: of convolutions without a bias over 1 / √fan-in.
        with_bias: whether the layer has a bias, whose convolution has gain 1.
    """
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    leaf = name.rpartition(".")[2]
    if leaf == "running_var":
        return 1 + 0.2 * torch.rand(shape, generator=generator)
    draw = torch.randn(shape, generator=generator)
    if leaf in ("running_mean", "bias"):
        return 0.1 * draw
    if len(shape) == 1:
        return 1 + 0.1 * draw
    return draw * ((1.0 if with_bias else gain) / math.sqrt(max(1, math.prod(shape[1:]))))


def image(key: str, height: int, width: int) -> torch.Tensor:
    """Return the image (1, 3, H, W) that the reference was computed on: waves and noise, in steps of 1/255."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"image:{key}".encode()))
    y, x = torch.linspace(0, 1, height).view(1, 1, -1, 1), torch.linspace(0, 1, width).view(1, 1, 1, -1)
    phase = torch.rand((1, 3, 4), generator=generator)[..., None, None].unbind(2)
    turn = 6.2831853
    waves = 0.5 + 0.2 * torch.sin(turn * (3 * x + phase[0]))
    waves = waves + 0.2 * torch.cos(turn * (2 * y + 1.5 * x * phase[1] + phase[2]))
    noise = torch.rand((1, 3, height, width), generator=generator) - 0.5
    return ((waves + 0.1 * noise).clamp(0, 1) * 255).round() / 255


def write(content: dict[str, Any], path: Path) -> None:
    """Write the checkpoint that a description tells of, half precision as training scripts write it.

    Args:
        content: from `reference`, changed or not.
        path: target file.
    """
    with _classes({entry[1] for entry in content["modules"]}) as classes:
        made: dict[str, nn.Module] = {}
        for prefix, word, *rest in content["modules"]:
            attributes, parameters, buffers = [*rest, {}, {}, {}][:3]
            module = made[prefix] = _empty(classes[word])
            module.__dict__.update(attributes)
            for leaf, shape in parameters.items():
                tensor = _tensor(content, prefix, leaf, shape, "bias" in parameters)
                module.register_parameter(leaf, nn.Parameter(tensor, requires_grad=False))
            for leaf, shape in buffers.items():
                module.register_buffer(leaf, _tensor(content, prefix, leaf, shape, False))
            if prefix:
                parent, _, child = prefix.rpartition(".")
                made[parent].add_module(child, module)
        whole = made[""]
        names = content["names"]
        whole.names = {int(key): name for key, name in names.items()} if isinstance(names, dict) else names
        whole.yaml = content["yaml"]
        whole.stride = torch.tensor(content["stride"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.save({"epoch": -1, "model": None, "ema": None, content["key"]: whole}, path)


def _tensor(content: dict[str, Any], prefix: str, leaf: str, shape: list[int], with_bias: bool) -> torch.Tensor:
    name = f"{prefix}.{leaf}"
    if name in content["not_filled"]:
        return torch.tensor(content["not_filled"][name]).half()
    if leaf == "num_batches_tracked":
        return torch.tensor(7)
    return values(name, tuple(shape), content["gain"], with_bias).half()


def _empty(cls: type[nn.Module]) -> nn.Module:
    """Return an instance without its constructor's work."""
    module = cls.__new__(cls)
    nn.Module.__init__(module)
    return module


@contextmanager
def _classes(words: set[str]) -> Iterator[dict[str, Any]]:
    """Make empty classes under the names of forks' own while the block runs; torch's are taken as they are."""
    found: dict[str, Any] = {}
    invented: dict[str, types.ModuleType] = {}
    for word in words:
        home, _, name = word.rpartition(".")
        if home.startswith("torch."):
            found[word] = getattr(import_module(home), name)
            continue
        module = invented.setdefault(home, types.ModuleType(home))
        found[word] = type(name, (nn.Module,), {"__module__": home})
        setattr(module, name, found[word])
    saved = {home: sys.modules.get(home) for home in invented}
    sys.modules.update(invented)
    try:
        yield found
    finally:
        for home, module in saved.items():
            if module is None:
                sys.modules.pop(home)
            else:
                sys.modules[home] = module
