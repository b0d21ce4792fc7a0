"""What this project uses of PyTorch that its oldest supported release lacks: nowhere else is a release asked for."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel


def is_exporting() -> bool:
    """Tell whether torch.export, or the ONNX exporter by way of it, is recording the network.

    Before 2.7 PyTorch only says whether anything records: what is not torch.compile's tracer is an export, but for a
    `strict=True` export, which those releases cannot tell from torch.compile.
    """
    if hasattr(torch.compiler, "is_exporting"):
        return torch.compiler.is_exporting()
    return torch.compiler.is_compiling() and not torch.compiler.is_dynamo_compiling()


def buffers_left_alone() -> dict[str, bool]:
    """Return DistributedDataParallel's argument against copying buffers in a forward pass; 2.13 renamed it."""
    names = inspect.signature(DistributedDataParallel).parameters
    return {"forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers": False}


def missing_flop_formulas() -> dict[Any, Callable[..., int]]:
    """Return what FlopCounterMode's custom_mapping needs to count attention on a CPU too, which older releases skip."""
    from torch.utils.flop_counter import flop_registry

    on_cpu = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return {} if on_cpu in flop_registry else {on_cpu: _attention_flops}


def _attention_flops(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    """Count both products of attention: shapes (B, heads, positions, channels)."""
    batch, heads, positions, channels = query
    return 2 * batch * heads * positions * key[-2] * (channels + value[-1])
