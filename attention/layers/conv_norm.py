"""Convolutions and batch norms of one to three dimensions, and what they merge into for inference."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

from attention.layers.tensor_ops import upcast

CONVS: dict[int, type[nn.Conv1d] | type[nn.Conv2d] | type[nn.Conv3d]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def zero_init(layer: nn.Module) -> None:
    """Set weight and bias of a layer to zero.

    Args:
        layer: a convolution, linear or normalisation layer.
    """
    for parameter in layer.parameters(recurse=False):
        nn.init.zeros_(parameter)


class _SingleValueSafe(_BatchNorm):
    """Batch normalisation that uses the running statistics where a batch has one value per channel.

    PyTorch raises there (a batch of one image, pooled to 1 × 1): a variance cannot be taken of one value. Names and
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


def _widened(layer: Any) -> dict[str, Tensor]:
    """Return parameters and statistics in float32 at least; float32 ones are themselves."""
    named = (*layer.named_parameters(), *layer.named_buffers())
    return {name: upcast(value) if value.is_floating_point() else value for name, value in named}


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

    def in_full_precision(self, x: Tensor) -> Tensor:
        """Apply the three in order to what half precision cannot hold, whatever the weights are in.

        Args:
            x: float32 or wider.

        Returns:
            The result, as wide as x.
        """
        if self.conv.weight.dtype.itemsize > 2:  # type: ignore[union-attr]
            return self(x)
        return functional_call(self, _widened(self), (x,))
