"""Gates by name: functions from a logit to a factor."""

import torch
from torch import Tensor, nn

from attention.layers.checks import one_of


class DoubleSigmoid(nn.Module):
    """2σ(z): a gate in (0, 2) that is 1 at 0."""

    def forward(self, z: Tensor) -> Tensor:
        """Apply it element by element; z of any shape."""
        return 2 * torch.sigmoid(z)


class OnePlusTanh(nn.Module):
    """1 + tanh(z): a gate in (0, 2) that is 1 at 0, twice as steep as 2σ."""

    def forward(self, z: Tensor) -> Tensor:
        """Apply it element by element; z of any shape."""
        return 1 + torch.tanh(z)


GATES: dict[str, type[nn.Module]] = {"sigmoid": nn.Sigmoid, "2sigmoid": DoubleSigmoid, "1+tanh": OnePlusTanh}


def make_gate(name: str) -> nn.Module:
    """Return the gate function of a name.

    Args:
        name: sigmoid, 2sigmoid or 1+tanh. The last two are 1 at 0: a mechanism that is built with one of them starts
            the layer before the gate at zero, and so starts as the identity.

    Returns:
        A module that works element by element.

    Raises:
        ValueError: if there is no such gate.
    """
    one_of(name, tuple(GATES), "gate")
    return GATES[name]()
