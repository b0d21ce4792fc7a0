"""Summarize a model in a line: parameters, GFLOPs, strides; and which layers train in another."""

from typing import Any

import torch

from models.network.cost import count_parameters, gflops

LISTED = 12  # layers named one by one


def device_line(device: torch.device) -> str:
    """Return the device and the version of PyTorch, in one line."""
    name = "the CPU" if device.type == "cpu" else str(device)
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        name = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return f"PyTorch {str(torch.__version__).split('+')[0]} on {name}"


def model_line(model: Any, imgsz: int) -> str:
    """Return name, parameters, GFLOPs at a size and strides, in one line."""
    count = count_parameters(model)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    part = "" if trained == count else f" ({trained:,} trained)"
    strides = "/".join(f"{float(stride):g}" for stride in model.stride)
    name = str(model.yaml.get("name") or getattr(model.spec, "label", "model"))
    return f"{name}: {count:,} parameters{part}, {gflops(model, imgsz):.1f} GFLOPs at {imgsz} px, strides {strides}"


def training_line(model: Any) -> str:
    """Return how many parameters train, and in which layers, in one line; attention inside blocks by its own name."""
    attention = model.attention_names()
    trained = [(name, p.numel()) for name, p in model.named_parameters() if p.requires_grad]
    layers: dict[str, None] = {}  # in the model's order
    for name, _ in trained:
        inside = next((part for part in attention if name.startswith(f"{part}.")), None)
        layers[(inside or ".".join(name.split(".")[:2])).removeprefix("model.")] = None
    where = ", ".join([*layers][:LISTED]) + (f" and {len(layers) - LISTED} more" if len(layers) > LISTED else "")
    total = count_parameters(model)
    count = sum(size for _, size in trained)
    return f"{count:,} of {total:,} parameters train, in layers {where}; the rest is frozen"
