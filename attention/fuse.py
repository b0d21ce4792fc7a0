"""Fold what is constant at inference: normalisations into the layers before them, and gates that never opened."""

from collections.abc import Callable
from inspect import getattr_static, isfunction, signature
from typing import Any

from torch import nn

from attention.identity_start import IdentityStart


def fold(model: nn.Module) -> list[str]:
    """Merge normalisations into the layers before them and take out mechanisms that do nothing, in place.

    Every part that has a method `fuse` is asked to use it: all mechanisms have one where a normalisation follows a
    convolution or a linear layer.

    Args:
        model: any network in eval mode that is or contains mechanisms.

    Returns:
        A line for each mechanism that was taken out.

    Raises:
        RuntimeError: in training mode, where the statistics are not constant.
    """
    fuse_parts(model)
    return remove_closed(model)


def fuse_parts(model: nn.Module, skip: type[nn.Module] | tuple[type[nn.Module], ...] = ()) -> None:
    """Call the method `fuse` of every part that has one, in place.

    A layer, a buffer or a number that is called `fuse`, and a method that asks for arguments, are something else.

    Args:
        model: any network in eval mode.
        skip: classes of parts that are left alone.
    """
    for part in list(model.modules()):
        method = getattr_static(type(part), "fuse", None)
        if isfunction(method) and not isinstance(part, skip) and not _required(method):
            part.fuse()  # type: ignore[operator]


def _required(method: Callable[..., Any]) -> list[str]:
    """Return the parameters after `self` that a caller must give."""
    parameters = list(signature(method).parameters.values())[1:]
    return [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def remove_closed(model: nn.Module, at: str = "") -> list[str]:
    """Replace every mechanism behind an identity gate γ that is exactly 0 by nn.Identity, in place.

    Args:
        model: any network that contains mechanisms.
        at: its name, for the lines.

    Returns:
        A line for each mechanism that was taken out.
    """
    said = []
    for name, child in list(model.named_children()):
        path = f"{at}.{name}" if at else name
        if not isinstance(child, IdentityStart) or child.gamma.any():
            said += remove_closed(child, path)
            continue
        stand_in = nn.Identity().train(child.training)
        # What a network wrote on its layer, such as where its input comes from, stays.
        stand_in.__dict__.update({k: v for k, v in vars(child).items() if k not in vars(stand_in)})
        setattr(model, name, stand_in)
        said.append(f"{path}: {type(child.attention).__name__} taken out: its gate γ is 0, so it changes nothing")
    return said
