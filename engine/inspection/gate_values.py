"""Give gate values a form that can be drawn: by channel, by position, by branch, or pairs of positions."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Windows:
    """Say where the positions lie that windows hold.

    Attributes:
        queries: (R, n) row-major numbers of positions, -1 in padding.
        keys: (R, m) or, of each image its own, (B, R, m) of those that a window attends to.
    """

    queries: np.ndarray
    keys: np.ndarray


@dataclass
class Pairs:
    """Query and key of a self-attention; its rows are computed one at a time, the whole matrix never is.

    Attributes:
        query: (B, heads, N, d).
        key: (B, heads, M, d).
        scale: of the logits.
        mask: added to them, or None.
        windows: where the positions lie if B runs over the windows of each image; None if N is the whole map.
    """

    query: Tensor
    key: Tensor
    scale: float
    mask: Tensor | None = None
    windows: Windows | None = None

    def row(self, image: int, position: int) -> Tensor:
        """Return what one position attends to: (heads, M), each row summing to 1.

        Args:
            image: of the batch.
            position: row-major number of the query among the N.
        """
        logits = self.scale * self.key[image] @ self.query[image, :, position, :, None]  # (heads, M, 1)
        logits = logits[..., 0]
        if self.mask is not None:
            mask = self.mask.expand(*self.query.shape[:3], self.key.shape[2])[image, :, position]
            logits = logits + mask
        return logits.softmax(-1)


@dataclass
class Gate:
    """Hold one gate of a mechanism for a batch.

    Attributes:
        kind: "channels" (B, C); "positions" (B, g, H, W), g groups or heads; "elements" (B, C, h, w), of elements or
            regions; "branches" (B, n, C), which sum to 1 over the n branches; "rows" (B, C, H); "columns" (B, C, W);
            "strips" (B, C, H + W), of each row, then of each column; "pairs"; "cross" (B, H·W, H + W), what each
            position attends to in its column, then in its row; "neighbours" (B, heads, k², H, W), what it attends to
            around itself; "channel pairs" (B, C, C); "other".
        values: as the kind says; empty for "pairs".
        pairs: of "pairs".
        raw: the values as the mechanism has them.
        dilation: step between the neighbours.
        pooled: rows and columns of a pooled map whose positions follow the neighbours; None where there is none.
    """

    kind: str
    values: Tensor = field(default_factory=lambda: torch.empty(0))
    pairs: Pairs | None = None
    raw: Tensor = field(default_factory=lambda: torch.empty(0))
    dilation: int = 1
    pooled: tuple[int, int] | None = None

    @property
    def title(self) -> str:
        """Return what the values are, in words."""
        return TITLES[self.kind]


TITLES = {
    "channels": "gate of each channel",
    "positions": "gate of each position",
    "elements": "gate of each element, mean over channels",
    "branches": "choice among the branches, by channel",
    "rows": "gate of each row, mean over channels",
    "columns": "gate of each column, mean over channels",
    "strips": "gates of rows × columns, mean over channels",
    "neighbours": "attention of the marked position around it",
    "pairs": "attention of the marked position",
    "cross": "attention of the marked position to its column and row",
    "channel pairs": "what each channel (row) attends to",
    "other": "values that belong to no channel or position",
}


def classify(value: Tensor, shape: tuple[int, ...], softmax_axis: int | None = None) -> Gate:
    """Find out what a gate's numbers belong to, by their shape.

    Args:
        value: as the mechanism computed it.
        shape: (B, C, H, W) of the mechanism's input; other numbers of axes give "channels" or "other".
        softmax_axis: of a softmax, which may run over branches; None for other gates.
    """
    batch, channels = shape[:2]
    if softmax_axis is not None and value.dim() >= 2:
        branches = _branches(value, batch, channels, softmax_axis)
        if branches is not None:
            return Gate("branches", branches)
        if value.dim() == 5 and softmax_axis % 5 == 2 and tuple(value.shape[3:]) == tuple(shape[2:]):
            return Gate("neighbours", value)
    elif value.dim() == 3 and tuple(value.shape[1:]) == (batch, channels) and len(shape) == 4:
        return Gate("channels", value.sum(0))  # of several descriptors, such as means and maxima, that are added
    by_channel = value.dim() == 2 or all(size == 1 for size in value.shape[2:]) or tuple(value.shape[-2:]) == (1, 1)
    if by_channel and value.numel() % batch == 0 and value.numel() <= batch * channels:
        return Gate("channels", value.reshape(batch, -1))
    if len(shape) == 4:
        gate = _by_place(value, *shape)
        if gate.kind == "other" and value.shape[0] == batch and value.numel() == batch * channels:
            return Gate("channels", value.reshape(batch, channels))  # in groups of channels
        return gate
    return Gate("other", value.reshape(1, -1))


def _by_place(value: Tensor, batch: int, channels: int, height: int, width: int) -> Gate:
    """Classify the values of a map (B, C, H, W) that are not one for each channel."""
    count, tail = value.numel(), tuple(value.shape[-2:])
    positions = height * width
    if tuple(value.shape) == (batch, positions, height + width):
        return Gate("cross", value)
    if tuple(value.shape) == (batch, height, width, height + width):
        return Gate("cross", value.reshape(batch, positions, -1))
    if tuple(value.shape) == (batch, channels, channels):
        return Gate("channel pairs", value)
    if count == batch * channels * positions and tail == (height, width):
        return Gate("elements", value.reshape(batch, channels, height, width))
    if count % (batch * positions) == 0 and (tail == (height, width) or _flat_positions(value, positions)):
        return Gate("positions", value.reshape(batch, -1, height, width))
    if tail == (height, 1) or (value.dim() == 3 and value.shape[2] == height and count == batch * channels * height):
        return Gate("rows", value.reshape(batch, -1, height))
    if tail == (1, width) or (value.dim() == 3 and value.shape[2] == width and count == batch * channels * width):
        return Gate("columns", value.reshape(batch, -1, width))
    return _by_part(value, batch, channels, height + width)


def _by_part(value: Tensor, batch: int, channels: int, strips: int) -> Gate:
    """Classify what is neither one for each channel nor one for each position; `strips` is height and width added."""
    tail = tuple(value.shape[-2:])
    of_channels = tuple(value.shape[:2]) == (batch, channels)
    if value.dim() == 3 and value.numel() == batch * channels * strips and tail[1] == strips:
        return Gate("strips", value.reshape(batch, channels, -1))
    if value.dim() == 4 and of_channels:
        return Gate("elements", value)  # of regions
    if value.dim() == 3 and of_channels and round(tail[1] ** 0.5) ** 2 == tail[1]:
        return Gate("elements", value.reshape(batch, channels, round(tail[1] ** 0.5), -1))  # of regions, in one row
    if value.dim() == 4 and value.shape[1] * tail[0] == channels and tail[0] == tail[1]:
        return Gate("channel pairs", torch.stack([torch.block_diag(*image) for image in value]))  # of heads
    return Gate("other", value.reshape(batch, -1) if value.numel() % batch == 0 else value.reshape(1, -1))


def _flat_positions(value: Tensor, positions: int) -> bool:
    """Tell whether one axis runs over the positions and the one after it, if any, over nothing."""
    return value.shape[-1] == positions or tuple(value.shape[-2:]) == (positions, 1)


def _branches(value: Tensor, batch: int, channels: int, axis: int) -> Tensor | None:
    """Return (B, n, C) of a softmax over n branches, as selective kernels have it; None for another."""
    moved = value.movedim(axis % value.dim(), -1)  # what is left has B and C, in this order, and axes of length 1
    rest = tuple(size for size in moved.shape[:-1] if size > 1)
    wanted = tuple(size for size in (batch, channels) if size > 1)
    if rest != wanted or not 2 <= moved.shape[-1] < channels:
        return None
    return moved.reshape(batch, channels, -1).transpose(1, 2)
