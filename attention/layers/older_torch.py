"""What this project uses of PyTorch that its oldest supported release lacks: nowhere else is a release asked for."""

import inspect

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
