"""Compute batch statistics over all processes (--sync-bn)."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attention.attended import change_plain_class


def synchronize_batchnorms(model: nn.Module) -> None:
    """Turn batch normalisations into synchronised ones, in place.

    PyTorch's own conversion puts new modules in their place, which lack what was added to the old ones: attention, and
    hooks.

    Args:
        model: any network.
    """
    for module in model.modules():
        if isinstance(module, _BatchNorm) and not isinstance(module, nn.SyncBatchNorm):
            change_plain_class(module, nn.SyncBatchNorm)
            module.process_group = None  # type: ignore[assignment]  # all processes
