"""Plain re-statements of the building blocks, and the comparison of a mechanism with its formula."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attention import build_attention

Oracle = Callable[["Reference", Any, Tensor], Tensor]


class Reference:
    """Building blocks written as sums over indices, with no call of a torch layer or functional."""

    @staticmethod
    def conv(layer: Any, x: Tensor) -> Tensor:
        """Same-size convolution as a sum over kernel offsets of shifted maps; any number of axes."""
        weight, dims = layer.weight, x.dim() - 2
        groups, dilation = layer.groups, layer.dilation
        sizes, spatial = weight.shape[2:], x.shape[2:]
        pads = [d * (k // 2) for d, k in zip(dilation, sizes, strict=True)]
        padded = x.new_zeros(*x.shape[:2], *(s + 2 * p for s, p in zip(spatial, pads, strict=True)))
        padded[(slice(None), slice(None), *(slice(p, p + s) for p, s in zip(pads, spatial, strict=True)))] = x
        grouped = padded.reshape(x.shape[0], groups, -1, *padded.shape[2:])
        kernels = weight.reshape(groups, -1, *weight.shape[1:])
        out = x.new_zeros(x.shape[0], groups, kernels.shape[1], *spatial)
        for at in product(*(range(k) for k in sizes)):
            window = tuple(slice(i * d, i * d + s) for i, d, s in zip(at, dilation, spatial, strict=True))
            part = grouped[(slice(None),) * 3 + window]
            out = out + torch.einsum("bgi...,goi->bgo...", part, kernels[(slice(None),) * 3 + at])
        out = out.flatten(1, 2)
        return out if layer.bias is None else out + layer.bias.reshape(-1, *(1,) * dims)

    @staticmethod
    def linear(layer: nn.Linear, x: Tensor) -> Tensor:
        """Wx + b on the last axis."""
        out = torch.einsum("...i,oi->...o", x, layer.weight)
        return out if layer.bias is None else out + layer.bias

    @staticmethod
    def bn(layer: Any, x: Tensor) -> Tensor:
        """Batch normalisation over all axes but 1, by the batch in training and the running statistics else."""
        if isinstance(layer, nn.Identity):
            return x
        shape = (1, -1, *(1,) * (x.dim() - 2))
        axes = [0, *range(2, x.dim())]
        if layer.training:
            mean = x.mean(axes, keepdim=True)
            var = (x - mean).square().mean(axes, keepdim=True)
        else:
            mean, var = layer.running_mean.reshape(shape), layer.running_var.reshape(shape)
        return (x - mean) / (var + layer.eps).sqrt() * layer.weight.reshape(shape) + layer.bias.reshape(shape)

    def conv_bn(self, block: Any, x: Tensor) -> Tensor:
        """Convolution and normalisation of a ConvNorm, without its activation."""
        return self.bn(block.bn, self.conv(block.conv, x))

    @staticmethod
    def standardise(x: Tensor, axes: Any, eps: float = 1e-5) -> Tensor:
        """(x − mean) / √(biased variance + eps) over the axes."""
        mean = x.mean(axes, keepdim=True)
        return (x - mean) / ((x - mean).square().mean(axes, keepdim=True) + eps).sqrt()

    @staticmethod
    def sigmoid(x: Tensor) -> Tensor:
        """1 / (1 + e⁻ˣ)."""
        return 1 / (1 + (-x).exp())

    @staticmethod
    def relu(x: Tensor) -> Tensor:
        """max(x, 0)."""
        return x * (x > 0)

    def silu(self, x: Tensor) -> Tensor:
        """x σ(x)."""
        return x * self.sigmoid(x)

    @staticmethod
    def gelu(x: Tensor) -> Tensor:
        """x Φ(x)."""
        return x * (1 + torch.erf(x / 2**0.5)) / 2

    @staticmethod
    def softmax(x: Tensor, axis: int) -> Tensor:
        """eˣ / Σ eˣ."""
        e = (x - x.amax(axis, keepdim=True)).exp()
        return e / e.sum(axis, keepdim=True)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, scale: float, extra: Tensor | float = 0) -> Tensor:
        """softmax(scale·qkᵀ + extra) v for (…, N, d), with the matrix of all pairs."""
        return torch.einsum(
            "...ij,...jd->...id", self.softmax(torch.einsum("...id,...jd->...ij", q, k) * scale + extra, -1), v
        )

    @staticmethod
    def build(name: str, channels: int, *, training: bool = False, seed: int = 0, **kwargs: Any) -> nn.Module:
        """A mechanism in float64 whose parameters and statistics are random."""
        torch.manual_seed(seed)
        module = build_attention(name, channels, **kwargs).double().train(training)
        with torch.no_grad():
            for parameter in module.parameters():
                fan = max(parameter[0].numel(), 1) if parameter.dim() > 1 else 1
                parameter.copy_(torch.randn_like(parameter) * (1.5 / fan**0.5))
            for key, buffer in module.named_buffers():
                if key.endswith("running_mean"):
                    buffer.copy_(torch.randn_like(buffer))
                elif key.endswith("running_var"):
                    buffer.copy_(torch.rand_like(buffer) + 0.5)
        return module

    def compare(
        self, oracle: Oracle, name: str, channels: int, shape: tuple[int, ...], *, training: bool, **kwargs: Any
    ) -> None:
        """Output and input gradient of a mechanism against its formula, 1e-10 relative to the largest value."""
        module = self.build(name, channels, training=training, **kwargs)
        x = torch.randn(2, channels, *shape, dtype=torch.float64, requires_grad=True)
        expected = oracle(self, module, x)
        cotangent = torch.randn_like(expected)
        (expected_gradient,) = torch.autograd.grad((expected * cotangent).sum(), x)
        got = module(x)
        (gradient,) = torch.autograd.grad((got * cotangent).sum(), x)
        for what, a, b in (("output", got, expected), ("input gradient", gradient, expected_gradient)):
            assert a.shape == b.shape
            error = ((a - b).abs().max() / b.abs().max()).item()
            assert error < 1e-10, f"{name} {kwargs}: {what} differs by {error:.1e}"
        assert (expected - x).abs().max() > 1e-3, "the formula is the identity here, so nothing was compared"


@pytest.fixture(scope="session")
def ref() -> Reference:
    """Building blocks by formula."""
    return Reference()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small maps are fastest, and results steadiest, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
