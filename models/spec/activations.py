"""Activations by the text that a model YAML writes."""

import re

from torch import nn

from models.errors import SpecError

ACTIVATIONS = {
    "SiLU": nn.SiLU,
    "ReLU": nn.ReLU,
    "ReLU6": nn.ReLU6,
    "LeakyReLU": nn.LeakyReLU,
    "Hardswish": nn.Hardswish,
    "GELU": nn.GELU,
    "Mish": nn.Mish,
    "ELU": nn.ELU,
    "Identity": nn.Identity,
}


_ACTIVATION = re.compile(
    r"\s*(?:torch\.)?(?:nn\.)?(?P<name>\w+)"
    r"(?:\(\s*(?:(?:negative_slope\s*=\s*)?(?P<value>\d*\.?\d+(?:e-?\d+)?))?\s*,?\s*(?:inplace\s*=\s*(?:True|False))?\s*\))?\s*"
)


def activation(text: str, label: str) -> nn.Module:
    """Return the activation that a YAML names, such as "nn.SiLU()" or "torch.nn.LeakyReLU(0.1)"; nothing is evaluated.

    Raises:
        SpecError: listing the known ones.
    """
    match = _ACTIVATION.fullmatch(text) if len(text) < 100 else None
    if match is None or match["name"] not in ACTIVATIONS:
        raise SpecError(f"{label}: activation {text[:100]!r} is not known; there are {', '.join(ACTIVATIONS)}")
    name, value = match["name"], match["value"]
    if value is not None:
        if name != "LeakyReLU":
            raise SpecError(f"{label}: activation {text!r}: a number goes with LeakyReLU only; write nn.{name}()")
        return nn.LeakyReLU(float(value), inplace=True)
    cls = ACTIVATIONS[name]
    return cls(inplace=True) if cls in (nn.SiLU, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Hardswish, nn.Mish) else cls()
