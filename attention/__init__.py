"""Attention mechanisms for convolutional networks, by name.

Every module of attention/mechanisms defines one mechanism and enters it into the registry, so a new mechanism is one
new file there.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from torch import nn

import moved_modules  # noqa: F401 - an import of an old path names the new one
from attention import mechanisms
from attention.attach import attach
from attention.identity_start import IdentityStart
from attention.registry import ATTENTION, construct

__all__ = ["ATTENTION", "IdentityStart", "attach", "build_attention"]

for _module in iter_modules(mechanisms.__path__, f"{mechanisms.__name__}."):
    import_module(_module.name)


def build_attention(name: str, channels: int, *, identity: bool = False, **kwargs: Any) -> nn.Module:
    """Build a mechanism by name.

    Args:
        name: a canonical name or an alias; `ATTENTION.names()` lists them.
        channels: C of input and output, ≥ 1.
        identity: start as the identity; a mechanism that does so anyway is used as it is, any other is wrapped.
        **kwargs: options of the mechanism.

    Returns:
        A module (B, C, H, W) → the same shape, dtype and memory format.

    Raises:
        ValueError: for an unknown name (near ones are suggested), an unknown option, or a value that cannot work.
    """
    module = construct(name, channels, **kwargs)
    if identity and not getattr(module, "starts_at_identity", False):
        return IdentityStart(module)
    return module
