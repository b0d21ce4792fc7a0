"""How much arithmetic one forward pass takes."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from attention.older_torch import missing_flop_formulas


def count_flops(module: Any, x: Tensor) -> int:
    """Count the floating-point operations of one forward pass where PyTorch dispatches them.

    Convolutions, matrix products and attention kernels count, those inside attention too; pooling, normalisation and
    element-wise operations do not. A multiplication and its addition are two, as everywhere in this field.

    Args:
        module: a network or a part of one, in the mode and on the device in which it is to be counted; not changed.
        x: its input, such as (B, C, H, W).

    Returns:
        Floating-point operations.
    """
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=missing_flop_formulas()) as counter:
        module(x)
    return int(counter.get_total_flops())
