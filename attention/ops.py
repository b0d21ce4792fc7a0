"""Parts that several mechanisms share: argument checks, gates, convolution + normalisation."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

CONVS: dict[int, type[nn.Conv1d] | type[nn.Conv2d] | type[nn.Conv3d]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def positive(**values: object) -> None:
    """Check that arguments are whole numbers of at least 1.

    Args:
        **values: argument name → value.

    Raises:
        ValueError: naming the first argument that is not.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value!r}, expected a whole number of at least 1")


def odd(**values: int) -> None:
    """Check that kernel sizes are odd, so that the map keeps its size.

    Args:
        **values: argument name → value.

    Raises:
        ValueError: naming the first argument that is not a positive odd number.
    """
    positive(**values)
    for name, value in values.items():
        if value % 2 == 0:
            raise ValueError(f"{name}={value} is even, expected an odd number such as {value + 1}")


def one_of(value: object, allowed: Sequence[object], name: str) -> None:
    """Check that an option has one of its values.

    Args:
        value: what was given.
        allowed: what is possible.
        name: the option.

    Raises:
        ValueError: naming the possible values.
    """
    if value not in allowed:
        raise ValueError(f"{name}={value!r}, expected one of {', '.join(map(repr, allowed))}")


def hidden_width(channels: int, reduction: float, minimum: int) -> int:
    """Width of a bottleneck, never below a minimum: thin layers of small detectors would otherwise get a width of 0.

    Args:
        channels: C.
        reduction: r.
        minimum: smallest width.

    Returns:
        max(C // r, minimum).

    Raises:
        ValueError: if an argument is not positive.
    """
    positive(channels=channels, min_hidden=minimum)
    if not reduction > 0:
        raise ValueError(f"reduction={reduction!r}, expected a positive number")
    return max(int(channels // reduction), minimum)


def largest_divisor(channels: int, most: int) -> int:
    """Largest number of equal groups that is at most the wanted one.

    Args:
        channels: what is divided.
        most: the number wanted.

    Returns:
        The largest divisor of channels that does not exceed most.

    Raises:
        ValueError: if an argument is below 1.
    """
    positive(channels=channels, groups=most)
    return next(n for n in range(min(most, channels), 0, -1) if channels % n == 0)


def adaptive_kernel_size(channels: int, gamma: float = 2, b: float = 1) -> int:
    """Kernel size of the paper's rule: the odd number nearest to |log₂(C)/γ + b/γ| from above, at least 3.

    Args:
        channels: C.
        gamma: γ.
        b: b.

    Returns:
        3 up to 64 channels, 5 up to 1024, 7 for 2048.
    """
    size = int(abs((math.log2(channels) + b) / gamma))
    return max(size if size % 2 else size + 1, 3)


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
    """The gate function of a name.

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


def zero_init(layer: nn.Module) -> None:
    """Set weight and bias of a layer to zero.

    Args:
        layer: a convolution, linear or normalisation layer.
    """
    for parameter in layer.parameters(recurse=False):
        nn.init.zeros_(parameter)


class _SingleValueSafe(_BatchNorm):
    """Batch normalisation that uses the running statistics where a batch has one value per channel.

    PyTorch raises there (a batch of one picture, pooled to 1 × 1): a variance cannot be taken of one value. Names and
    values of the state dict are those of the PyTorch class.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected (B, C, ...), got {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, ...)."""
        if self.training and input.numel() == input.shape[1]:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(input)


class BatchNorm1d(_SingleValueSafe, nn.BatchNorm1d):
    """Of (B, C) or (B, C, L)."""


class BatchNorm2d(_SingleValueSafe, nn.BatchNorm2d):
    """Of (B, C, H, W)."""


class BatchNorm3d(_SingleValueSafe, nn.BatchNorm3d):
    """Of (B, C, D, H, W)."""


NORMS: dict[int, type[_BatchNorm]] = {1: BatchNorm1d, 2: BatchNorm2d, 3: BatchNorm3d}


class Merging(nn.Module):
    """A module whose batch normalisations merge into the layers before them for inference."""

    merges: tuple[tuple[str, str], ...] = ()
    """Pairs of names: a convolution or linear layer, and the normalisation that alone reads its output."""

    def fuse(self) -> None:
        """Merge every pair, in place; only in eval mode, a second call does nothing.

        Raises:
            RuntimeError: in training mode, where the statistics are not constant.
        """
        for layer, norm in self.merges:
            before: Any = self.get_submodule(layer)
            after: Any = self.get_submodule(norm)
            if isinstance(after, nn.Identity):
                continue
            if after.training:
                raise RuntimeError("fuse() needs eval mode: call .eval() first")
            merge = fuse_linear_bn_eval if isinstance(before, nn.Linear) else fuse_conv_bn_eval
            self.set_submodule(layer, merge(before, after))
            self.set_submodule(norm, nn.Identity())


class ConvNorm(Merging):
    """Convolution that keeps the size, batch normalisation, activation; the first two merge at inference.

    Args:
        c_in: channels of the input.
        c_out: channels of the output.
        kernel: size, odd; one number or one per axis.
        dims: number of spatial axes.
        dilation: spacing of the kernel.
        groups: of the convolution.
        bias: whether the convolution has one.
        norm: whether there is a normalisation.
        act: activation, or None.
        eps: of the normalisation.
        momentum: of the normalisation.

    Shape:
        (B, c_in, *spatial) → (B, c_out, *spatial).
    """

    merges = (("conv", "bn"),)

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int | Sequence[int] = 1,
        *,
        dims: int = 2,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        norm: bool = True,
        act: nn.Module | None = None,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        size = (kernel,) * dims if isinstance(kernel, int) else tuple(kernel)
        padding = tuple(dilation * (k // 2) for k in size)
        self.conv = CONVS[dims](c_in, c_out, size, padding=padding, dilation=dilation, groups=groups, bias=bias)  # type: ignore[arg-type]
        self.bn: nn.Module = NORMS[dims](c_out, eps=eps, momentum=momentum) if norm else nn.Identity()
        self.act = act if act is not None else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Apply the three in order."""
        return self.act(self.bn(self.conv(x)))
