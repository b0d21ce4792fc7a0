"""Fold what is constant at inference: normalisations into the layers before them, and gates that never opened."""

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
    for part in list(model.modules()):
        fuse = getattr(part, "fuse", None)
        if callable(fuse):
            fuse()
    return remove_closed(model)


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
