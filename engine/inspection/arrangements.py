"""Arrange gate values of mechanisms whose numbers' shapes do not tell what they belong to."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attention.layers.windows import pad_to_windows, to_windows
from attention.mechanisms.aggregated_attention import AggregatedAttention
from attention.mechanisms.area_attention import AreaAttention
from attention.mechanisms.bi_level_routing import BiLevelRouting
from attention.mechanisms.cascaded_group_attention import CascadedGroupAttention
from attention.mechanisms.irmb import IRMB
from attention.mechanisms.mca import MCA
from attention.mechanisms.msda import MSDA
from attention.mechanisms.outlook_attention import OutlookAttention
from attention.mechanisms.triplet_attention import TripletAttention
from engine.inspection.gate_values import Gate, Windows

Arrange = Callable[[Any, tuple[int, ...], Sequence[Gate], "Tensor | None"], None]


def arrange(module: nn.Module, shape: tuple[int, ...], gates: Sequence[Gate], routes: Tensor | None) -> None:
    """Correct the kinds of a mechanism's gates, and say of attention within windows where these lie; in place.

    Args:
        module: the mechanism.
        shape: (B, C, H, W) of its input.
        gates: in the order of computation.
        routes: (B, R, k), what its last top-k chose; None where there was none.
    """
    known = ARRANGED.get(type(module))
    if known is not None and len(shape) == 4:
        known(module, shape, gates, routes)


def _named(*kinds: str) -> Arrange:
    """Return a function that names the gates in their order."""

    def rename(module: nn.Module, shape: tuple[int, ...], gates: Sequence[Gate], routes: Tensor | None) -> None:
        batch, channels, height, width = shape
        for gate, kind in zip(gates, kinds, strict=False):
            raw, many = gate.raw, gate.raw.numel() > batch * max(shape[1:])
            if kind == "rows" and many:  # (B, 1, H, C)
                raw = raw.reshape(batch, height, channels).transpose(1, 2)
            sizes = {"rows": (-1, height), "columns": (-1, width), "channels": (-1,), "positions": (-1, height, width)}
            gate.kind, gate.values = kind, raw.reshape(batch, *sizes[kind])

    return rename


def _dilated(module: MSDA, shape: tuple[int, ...], gates: Sequence[Gate], routes: Tensor | None) -> None:
    for gate, (dilation, _) in zip(gates, module.groups, strict=False):
        gate.dilation = dilation


def _outlook(module: OutlookAttention, shape: tuple[int, ...], gates: Sequence[Gate], routes: Tensor | None) -> None:
    """Take, of (B, heads, k², k², N), the place in the middle of each window centred at a position."""
    for gate in gates:
        middle = gate.raw[:, :, gate.raw.shape[2] // 2]
        gate.kind, gate.values = "neighbours", middle.reshape(*middle.shape[:3], *shape[2:])


def _aggregated(
    module: AggregatedAttention, shape: tuple[int, ...], gates: Sequence[Gate], routes: Tensor | None
) -> None:
    """Of (B, heads, k² + P, N), the neighbours are the first; P positions of a pooled map follow."""
    for gate in gates:
        near, height, width = module.kernel_size**2, *shape[2:]
        rows, columns = (module.pool_size or max(size // module.sr_ratio, 1) for size in (height, width))
        if gate.raw.dim() == 4 and gate.raw.shape[2] == near + rows * columns:
            gate.kind, gate.values = "neighbours", gate.raw.reshape(*gate.raw.shape[:3], height, width)
            gate.pooled = (rows, columns)


def _windowed(cut: Callable[[Any, tuple[int, ...]], np.ndarray]) -> Arrange:
    """Return a function that says where the windows lie that a mechanism attends within."""

    def place(module: nn.Module, shape: tuple[int, ...], gates: Sequence[Gate], routes: Tensor | None) -> None:
        queries = cut(module, shape)
        keys = queries
        if routes is not None:  # of each region those that it attends to
            keys = queries[routes.cpu().numpy()].reshape(*routes.shape[:2], -1)
        for gate in gates:
            fits = gate.pairs is not None and gate.pairs.query.shape[2] == queries.shape[1]
            if gate.pairs is not None and fits and gate.pairs.key.shape[2] == keys.shape[-1]:
                gate.pairs.windows = Windows(queries, keys)

    return place


def _numbers(shape: tuple[int, ...]) -> Tensor:
    """Return 1 … H · W as a map (1, 1, H, W), so that padding by 0 is told from them."""
    return torch.arange(1.0, shape[2] * shape[3] + 1, dtype=torch.float64).reshape(1, 1, *shape[2:])


def square_windows(window: int, shape: tuple[int, ...], *, spread: bool = False) -> np.ndarray:
    """Return (windows, w²) row-major numbers of positions in square windows, -1 in the padding.

    Args:
        window: side w.
        shape: (B, C, H, W) of the map.
        spread: see `attention.layers.windows.to_windows`.
    """
    cut = to_windows(pad_to_windows(_numbers(shape), window), window, spread=spread)
    return cut.flatten(1).long().numpy() - 1


def runs(count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return (count, n) numbers of positions in equal runs of row-major positions, -1 in the padding."""
    positions = shape[2] * shape[3]
    size = -(-positions // count)
    numbers = np.full(count * size, -1)
    numbers[:positions] = np.arange(positions)
    return numbers.reshape(count, size)


def regions(count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return (regions, n) numbers of positions in at most count × count equal regions, -1 in the padding."""
    tall, wide = (-(-size // count) for size in shape[2:])
    rows, columns = -(-shape[2] // tall), -(-shape[3] // wide)
    numbers = np.full((rows * tall, columns * wide), -1)
    numbers[: shape[2], : shape[3]] = np.arange(shape[2] * shape[3]).reshape(shape[2:])
    return numbers.reshape(rows, tall, columns, wide).transpose(0, 2, 1, 3).reshape(rows * columns, -1)


ARRANGED: dict[type[nn.Module], Arrange] = {
    MCA: _named("rows", "columns", "channels"),
    TripletAttention: _named("columns", "rows", "positions"),
    MSDA: _dilated,
    OutlookAttention: _outlook,
    AggregatedAttention: _aggregated,
    CascadedGroupAttention: _windowed(lambda module, shape: square_windows(module.window, shape)),
    IRMB: _windowed(lambda module, shape: square_windows(module.window, shape, spread=True)),
    AreaAttention: _windowed(lambda module, shape: runs(module.area, shape)),
    BiLevelRouting: _windowed(lambda module, shape: regions(module.regions, shape)),
}
