"""Count what a detector costs: its parameters, layer by layer too, and the operations of an image."""

from copy import deepcopy
from typing import Any

import torch
from torch import nn

from attention.flops import count_flops

IMAGE_SIZE = 640  # pixels of a side, where no other is asked for


def count_parameters(module: nn.Module) -> int:
    """Return the number of a module's parameters, frozen ones among them."""
    return sum(parameter.numel() for parameter in module.parameters())


def parameters_by_layer(detector: Any) -> dict[str, int]:
    """Return the number of parameters of each layer, by its name."""
    return {name: count_parameters(layer) for name, layer in detector.model.named_children()}


def gflops(detector: Any, imgsz: int = IMAGE_SIZE) -> float:
    """Return 10⁹ floating-point operations of one image, counted at the dispatcher.

    Multiplications and additions count apart, as everywhere in this field. Convolutions and matrix products only:
    YOLOv5's own figure has the normalisation in it too, and is 2 % higher for yolov5n.

    Args:
        detector: its copy runs, in eval mode.
        imgsz: pixels of a side.
    """
    copy = deepcopy(detector).eval()
    parameter = next(copy.parameters())
    image = torch.zeros(1, copy.yaml.get("channels", 3), imgsz, imgsz, dtype=parameter.dtype, device=parameter.device)
    return count_flops(copy, image) / 1e9
