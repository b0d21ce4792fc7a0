"""Upsampling by what the map shows: CARAFE and DySample."""

from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, interpolate, pixel_shuffle, unfold

from models.blocks.convolution import convolution, numbers_at_most
from models.catalog.channel_rules import Call, Reads, Scale, integer
from models.catalog.registry import register_block

_LARGEST = 16  # factor


def _factor(args: tuple[Any, ...], index: int, number: int) -> int:
    """Return the factor by which a map grows.

    Raises:
        ValueError: if it is no integer from 1 to 16, or the row repeats.
    """
    factor = integer(args, index, "scale factor", 2)
    if factor > _LARGEST or number != 1:
        raise ValueError(f"scale factor {factor}, number {number}: expected at most {_LARGEST}, once")
    return factor


def _carafe(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read CARAFE rows: `[c2, kernel, factor]` changes the channels, `[]` keeps them (as CARAFEPlain takes more)."""
    c1, stride = reads.one()
    if not args:
        return Call((c1,), c1, None if stride is None else stride / 2)
    numbers_at_most(args, 3, "channels, kernel, factor")
    c2, kernel = scale.channels(integer(args, 0, "channels")), _odd(args, 1, "kernel", 3)
    factor = _factor(args, 2, number)
    if c1 < 4:
        raise ValueError(f"reads {c1} channels, expected at least 4")
    return Call((c1, c2, kernel, factor), c2, None if stride is None else stride * Fraction(1, factor))


def _odd(args: tuple[Any, ...], index: int, what: str, default: int) -> int:
    kernel = integer(args, index, what, default)
    if kernel % 2 == 0 or kernel > 31:
        raise ValueError(f"argument {index + 1} ({what}) is {kernel}, expected an odd number up to 31")
    return kernel


def _dysample(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read DySample rows `[factor, style, groups, dyscope]`."""
    channels, stride = reads.one()
    numbers_at_most(args, 4, "factor, style, groups, dyscope")
    factor = _factor(args, 0, number)
    style = args[1] if len(args) > 1 else "lp"
    groups = integer(args, 2, "groups", 4)
    if style not in ("lp", "pl"):
        raise ValueError(f"argument 2 (style) is {style!r}, expected lp or pl")
    dyscope = args[3] if len(args) > 3 else False
    if not isinstance(dyscope, bool):
        raise ValueError(f"argument 4 (dyscope) is {dyscope!r}, expected True or False")
    parts = groups if style == "lp" else factor**2 * groups
    if channels % parts:
        raise ValueError(f"{channels} channels are no multiple of {parts}: lower groups (argument 3)")
    return Call((channels, factor, style, groups, dyscope), channels, None if stride is None else stride / factor)


@register_block(_carafe)
class CARAFE(nn.Module):
    """Enlarge a map by kernels predicted from it: each new pixel is a weighted mean of its neighbourhood.

    Args:
        c1: channels read.
        c2: channels returned; None keeps them and builds the form with a compressor of 64 channels.
        kernel: of the neighbourhood, and of the layer that predicts weights; odd. 5 and 3 in the form without c2.
        factor: by which height and width grow.

    Shape:
        input (B, c1, H, W); output (B, c2 or c1, H · factor, W · factor).

    Source:
        Wang et al., CARAFE, ICCV 2019, arXiv:1905.02188, eqs. 1–3. Two forms are in use, and a row's arguments tell
        which: with c2, bare convolutions `down`, `encoder` and an `out` 1 × 1; without, normalised ones `comp` and
        `enc` as in the paper's sizes (64 channels, kernels 3 and 5).
    """

    def __init__(self, c1: int, c2: int | None = None, kernel: int = 3, factor: int = 2) -> None:
        super().__init__()
        self.factor = factor
        if c2 is None:
            self.kernel = 5
            self.comp = convolution(c1, 64)
            self.enc = convolution(64, (factor * self.kernel) ** 2, 3, act=False)
            return
        self.kernel = kernel
        self.down = nn.Conv2d(c1, c1 // 4, 1)
        self.encoder = nn.Conv2d(c1 // 4, (factor * kernel) ** 2, kernel, 1, kernel // 2)
        self.out = nn.Conv2d(c1, c2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Predict weights and reassemble."""
        converting = hasattr(self, "out")
        logits = self.encoder(self.down(x)) if converting else self.enc(self.comp(x))
        weights = pixel_shuffle(logits, self.factor).softmax(1)  # (B, kernel², H·factor, W·factor)
        batch, c, height, width = x.shape
        near = unfold(x, self.kernel, padding=self.kernel // 2).view(batch, c * self.kernel**2, height, width)
        near = interpolate(near, scale_factor=float(self.factor), mode="nearest")
        near = near.view(batch, c, self.kernel**2, height * self.factor, width * self.factor)
        enlarged = (near * weights.unsqueeze(1)).sum(2)
        out: Tensor = self.out(enlarged) if converting else enlarged
        return out


@register_block(_dysample)
class DySample(nn.Module):
    """Enlarge a map by sampling it at learned points.

    Args:
        channels: C of input and output.
        factor: by which height and width grow.
        style: "lp" predicts all offsets at the map's size, "pl" shuffles pixels first.
        groups: of channels that share offsets.
        dyscope: whether the range of the offsets is predicted too; 0.25 otherwise.

    Shape:
        input (B, C, H, W); output (B, C, H · factor, W · factor).

    Source:
        Liu et al., Learning to Upsample by Learning to Sample, ICCV 2023, arXiv:2308.15085; authors' code
        tiny-smart/dysample, whose tensor names these are.
    """

    def __init__(
        self, channels: int, factor: int = 2, style: str = "lp", groups: int = 4, dyscope: bool = False
    ) -> None:
        super().__init__()
        self.scale, self.style, self.groups = factor, style, groups
        read = channels if style == "lp" else channels // factor**2
        offsets = 2 * groups * (factor**2 if style == "lp" else 1)
        self.offset = nn.Conv2d(read, offsets, 1)
        nn.init.normal_(self.offset.weight, std=0.001)
        nn.init.zeros_(self.offset.bias)  # type: ignore[arg-type]
        self.scope = nn.Conv2d(read, offsets, 1, bias=False) if dyscope else None
        if self.scope is not None:
            nn.init.zeros_(self.scope.weight)
        self.register_buffer("init_pos", self._start())
        self.init_pos: Tensor

    def _start(self) -> Tensor:
        """Return where each new pixel of a cell lies from its centre (1, 2 · groups · factor², 1, 1): x, then y."""
        places = (torch.arange(self.scale) - (self.scale - 1) / 2) / self.scale
        y, x = torch.meshgrid(places, places, indexing="ij")
        both = torch.stack((x, y)).reshape(2, 1, self.scale**2)
        return both.expand(2, self.groups, self.scale**2).reshape(1, -1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Predict points and sample."""
        read = x if self.style == "lp" else pixel_shuffle(x, self.scale)
        offset = self.offset(read)
        range_ = self.scope(read).sigmoid() * 0.5 if self.scope is not None else 0.25
        offset = offset * range_
        if self.style == "pl":
            offset = nn.functional.pixel_unshuffle(offset, self.scale)
        return self._sample(x, offset + self.init_pos)

    def _sample(self, x: Tensor, offset: Tensor) -> Tensor:
        """Sample (B, C, H, W) at its cells' centres plus offsets (B, 2 · groups · factor², H, W) in cells."""
        batch, c, height, width = x.shape
        # At least float32: half precision cannot count the pixels of a large map.
        offset = offset.to(torch.promote_types(x.dtype, torch.float32))
        rows = torch.arange(height, device=x.device, dtype=offset.dtype).view(-1, 1) + 0.5
        columns = torch.arange(width, device=x.device, dtype=offset.dtype) + 0.5
        dx, dy = offset.view(batch, 2, -1, height, width).unbind(1)  # each (B, groups · factor², H, W)
        points = torch.stack(((columns + dx) * 2 / width - 1, (rows + dy) * 2 / height - 1), 1)
        points = pixel_shuffle(points.view(batch, -1, height, width), self.scale)
        points = points.view(batch, 2, self.groups, height * self.scale, width * self.scale)
        points = points.permute(0, 2, 3, 4, 1).flatten(0, 1).to(x.dtype)
        parts = x.reshape(batch * self.groups, -1, height, width)
        sampled = grid_sample(parts, points, mode="bilinear", align_corners=False, padding_mode="border")
        return sampled.view(batch, c, height * self.scale, width * self.scale)
