"""Initial values that authors give the layers of their networks, where they are not PyTorch's."""

import math
from typing import Any

from torch import nn


def small_normal(*layers: nn.Module) -> None:
    """Draw weights from a normal distribution of deviation 0.02 and set biases to 0, as most vision transformers do.

    Args:
        *layers: linear or convolution layers.
    """
    for layer in layers:
        weights: Any = layer
        nn.init.trunc_normal_(weights.weight, std=0.02)
        if weights.bias is not None:
            nn.init.zeros_(weights.bias)


def by_fan_out(*layers: nn.Module) -> None:
    """Draw weights from a normal distribution of variance 2 / (kernel positions · outputs of a group), biases 0.

    Args:
        *layers: convolutions.
    """
    for layer in layers:
        conv: Any = layer
        fan = math.prod(conv.kernel_size) * conv.out_channels // conv.groups
        nn.init.normal_(conv.weight, std=math.sqrt(2 / fan))
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)


def uniform_by_fan_in(layer: nn.Module, fan: int) -> None:
    """Draw weights and bias as PyTorch does for a layer of another fan-in: uniform within ± 1/√fan.

    Args:
        layer: any layer with a weight.
        fan: the fan-in that counts.
    """
    for parameter in layer.parameters(recurse=False):
        nn.init.uniform_(parameter, -(fan**-0.5), fan**-0.5)
