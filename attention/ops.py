"""What several mechanisms share: argument checks, gates, convolution + normalisation, precision and memory format."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import fuse_conv_bn_eval

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


class ConvNorm(nn.Module):
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

    def fuse(self) -> None:
        """Merge the normalisation into the convolution, in place; only in eval mode, a second call does nothing.

        Raises:
            RuntimeError: in training mode, where the statistics are not constant.
        """
        if isinstance(self.bn, nn.Identity):
            return
        if self.training:
            raise RuntimeError("fuse() needs eval mode: call .eval() first")
        self.conv = fuse_conv_bn_eval(self.conv, self.bn)  # type: ignore[arg-type]
        self.bn = nn.Identity()


def upcast(x: Tensor) -> Tensor:
    """To float32 where half precision would overflow or lose the sum; wider types stay.

    Args:
        x: any shape.

    Returns:
        x, in float32 if it was float16 or bfloat16.
    """
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def expand_as_map(gate: Tensor, x: Tensor) -> Tensor:
    """Give a vector per picture the axes and the type of the map that it multiplies.

    Args:
        gate: (B, C).
        x: (B, C, *spatial).

    Returns:
        (B, C, 1, …) of the type of x.
    """
    for _ in range(x.dim() - 2):
        gate = gate.unsqueeze(-1)
    return gate.to(x.dtype)


def spatial_axes(x: Tensor) -> list[int]:
    """Axes of a map after batch and channels.

    Args:
        x: (B, C, *spatial).

    Returns:
        [2, …].
    """
    return list(range(2, x.dim()))


def select(branches: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Sum of branches, each weighed per channel; no stack of the branches is made.

    Args:
        branches: maps (B, C, *spatial).
        weights: as many, (B, C).

    Returns:
        Σ weights ⊙ branches, (B, C, *spatial).
    """
    out = branches[0] * expand_as_map(weights[0], branches[0])
    for branch, weight in zip(branches[1:], weights[1:], strict=True):
        out = torch.addcmul(out, branch, expand_as_map(weight, branch))
    return out


def keep_format(out: Tensor, x: Tensor) -> Tensor:
    """Give a result the dtype and the memory format of the map that it was made from.

    Args:
        out: the result, (B, C, H, W).
        x: the map.

    Returns:
        out, converted where it differs.
    """
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return out.to(x.dtype).contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def shuffle_channels(x: Tensor, groups: int) -> Tensor:
    """Interleave groups of channels: channel j of group i becomes channel j·groups + i.

    Args:
        x: (B, C, H, W), C divisible by groups.
        groups: number of groups.

    Returns:
        The same shape.
    """
    return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


def tokens(x: Tensor, heads: int = 1) -> Tensor:
    """Positions of a map as a sequence, for scaled_dot_product_attention.

    Args:
        x: (B, C, *spatial).
        heads: the channels are split into this many equal runs.

    Returns:
        (B, heads, N, C / heads), contiguous: the memory-saving kernels need that.
    """
    return x.flatten(2).unflatten(1, (heads, -1)).transpose(2, 3).contiguous()


def from_tokens(sequence: Tensor, x: Tensor) -> Tensor:
    """The inverse of `tokens`.

    Args:
        sequence: (B, heads, N, d).
        x: a map (B, any, *spatial) with N positions, for its size.

    Returns:
        (B, heads · d, *spatial).
    """
    return sequence.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:])


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Context in which autocast is off, for what half precision cannot hold; combine with `upcast`.

    Args:
        x: any tensor, for its device.

    Returns:
        A context manager; one that does nothing where autocast is off anyway.
    """
    if torch.is_autocast_enabled(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()


def attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor | None = None, *, wider: int = 0
) -> Tensor:
    """softmax(scale · q kᵀ + mask) v, without the matrix of all pairs.

    Args:
        query: (B, heads, N, d), contiguous, as the other two.
        key: (B, heads, M, d).
        value: (B, heads, M, e).
        scale: of the logits.
        mask: added to the logits, of a shape that broadcasts to (B, heads, N, M).
        wider: d − e; the narrower side is padded by as much, since the memory-saving kernels want equal widths.

    Returns:
        (B, heads, N, e).
    """
    if wider > 0:
        return F.scaled_dot_product_attention(query, key, F.pad(value, (0, wider)), mask, scale=scale)[..., :-wider]
    if wider < 0:
        query, key = F.pad(query, (0, -wider)), F.pad(key, (0, -wider))
    return F.scaled_dot_product_attention(query, key, value, mask, scale=scale)


def neighbours(x: Tensor, kernel: int) -> list[Tensor]:
    """The map shifted to each position of a k × k window, zeros from outside; views of one padded copy.

    Args:
        x: (…, H, W).
        kernel: k, odd.

    Returns:
        k² maps (…, H, W), row by row: entry i·k + j holds x at (y + i − k//2, x + j − k//2).
    """
    padded = F.pad(x, (kernel // 2,) * 4)
    # Ends counted from the back: no size of the map is baked into an exported graph.
    spans = [slice(i, i + 1 - kernel or None) for i in range(kernel)]
    return [padded[..., rows, columns] for rows in spans for columns in spans]


def group_norm(layer: nn.GroupNorm, x: Tensor) -> Tensor:
    """Group normalisation that takes a single value per group too, which then becomes the shift.

    Args:
        layer: the layer.
        x: (B, C, *any).

    Returns:
        The same shape.
    """
    return torch.group_norm(x, layer.num_groups, layer.weight, layer.bias, layer.eps)


def one_hot(size: int, like: Tensor) -> Tensor:
    """The unit matrix, from a comparison: exporters have trouble with torch.eye of a size that varies.

    Args:
        size: rows and columns.
        like: tensor of the wanted dtype and device.

    Returns:
        (size, size).
    """
    at = torch.arange(size, device=like.device)
    return (at.unsqueeze(1) == at).to(like.dtype)


def pooling_matrix(size: int, cells: int, like: Tensor) -> Tensor:
    """Adaptive average pooling along one axis as a matrix, which exports for any size.

    Args:
        size: length of the axis.
        cells: number of cells, more than size if need be.
        like: tensor of the wanted dtype and device.

    Returns:
        (cells, size); row i averages positions ⌊i·size/cells⌋ … ⌈(i+1)·size/cells⌉ − 1.
    """
    cell = torch.arange(cells, device=like.device)[:, None]
    at = torch.arange(size, device=like.device)[None]
    start, end = cell * size // cells, ((cell + 1) * size + cells - 1) // cells
    return ((at >= start) & (at < end)).to(like.dtype) / (end - start).to(like.dtype)


def exporting() -> bool:
    """Whether the network is being traced or exported, so that a branch on a size would be baked in."""
    return torch.jit.is_tracing() or torch.compiler.is_exporting()
