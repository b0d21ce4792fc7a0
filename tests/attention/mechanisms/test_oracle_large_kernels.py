"""Mechanisms of large, bent or patch-wise convolutions, and gates that they make, against their formulas."""

from typing import Any

import pytest
import torch
from torch import Tensor

Ref = Any


def col(z: Tensor) -> Tensor:
    return z[:, :, None, None]


def spatial(ref: Ref, m: Any, x: Tensor) -> Tensor:
    pooled = torch.cat((x.amax(1, True), x.mean(1, True)), 1)
    return x * ref.sigmoid(ref.conv_bn(m.spatial, pooled))


def lska(ref: Ref, m: Any, x: Tensor) -> Tensor:
    z = x
    for strip in m.strips:
        z = ref.conv(strip, z)
    return x * ref.conv(m.project, z)


def exponential(ref: Ref, gate: Any, z: Tensor) -> Tensor:
    return col(ref.sigmoid(ref.linear(gate.fc2, ref.relu(ref.linear(gate.fc1, z)))).exp())


def mix(ref: Ref, layers: Any, z: Tensor) -> Tensor:
    for i in range(0, len(layers), 4):
        (wide, _, norm), point, _, last = layers[i], layers[i + 1], layers[i + 2], layers[i + 3]
        z = z + ref.bn(norm, ref.gelu(ref.conv(wide, z)))
        z = ref.bn(last, ref.gelu(ref.conv(point, z)))
    return z


def seam(ref: Ref, m: Any, x: Tensor) -> Tensor:
    return x * exponential(ref, m.gate, mix(ref, m.mix, x).mean((2, 3)))


def multi_seam(ref: Ref, m: Any, x: Tensor) -> Tensor:
    total = x.mean((2, 3))
    for size, (patch, _, norm, layers) in zip(m.patches, m.branches, strict=True):
        rows, columns = (max(n // size, 1) for n in x.shape[2:])
        padded = torch.zeros(*x.shape[:2], max(x.shape[2], size), max(x.shape[3], size), dtype=x.dtype)
        padded[:, :, : x.shape[2], : x.shape[3]] = x
        z = torch.zeros(*x.shape[:2], rows, columns, dtype=x.dtype)
        for i in range(rows):
            for j in range(columns):
                part = padded[:, :, i * size : (i + 1) * size, j * size : (j + 1) * size]
                z[:, :, i, j] = torch.einsum("bcyx,ocyx->bo", part, patch.weight) + patch.bias
        total = total + mix(ref, layers, ref.bn(norm, ref.gelu(z))).mean((2, 3))
    return x * exponential(ref, m.gate, total / (1 + len(m.patches)))


def bent(ref: Ref, layer: Any, x: Tensor) -> Tensor:
    """Depthwise convolution at moved places; bilinear with zeros outside, by hand."""
    _, c, h, w = x.shape
    k, step = layer.weight.shape[2], layer.dilation
    moved = ref.conv(layer.offsets, x)
    rows, columns = torch.arange(h).double()[:, None], torch.arange(w).double()[None]
    flat, out = x.flatten(2), torch.zeros_like(x)
    for i in range(k):
        for j in range(k):
            y = rows + step * (i - k // 2) + moved[:, 2 * (i * k + j)]
            z = columns + step * (j - k // 2) + moved[:, 2 * (i * k + j) + 1]
            for dy in (0, 1):
                for dz in (0, 1):
                    iy, iz = y.detach().floor() + dy, z.detach().floor() + dz
                    share = (1 - (y - iy).abs()) * (1 - (z - iz).abs())
                    inside = (iy >= 0) & (iy < h) & (iz >= 0) & (iz < w)
                    at = (iy.clamp(0, h - 1) * w + iz.clamp(0, w - 1)).long().flatten(1)[:, None].expand(-1, c, -1)
                    read = flat.gather(2, at).reshape(x.shape) * (share * inside)[:, None]
                    out = out + read * layer.weight[:, 0, i, j][:, None, None]
    return out


def deformable_lka(ref: Ref, m: Any, x: Tensor) -> Tensor:
    return x * ref.conv(m.project, bent(ref, m.far, bent(ref, m.near, x)))


def scsa(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c = x.shape[:2]

    def gate(means: Tensor, norm: Any) -> Tensor:
        parts = torch.cat([ref.conv(conv, part) for conv, part in zip(m.strips, means.chunk(4, 1), strict=True)], 1)
        grouped = ref.standardise(parts.reshape(b, 4, -1), 2).reshape(parts.shape)
        return ref.sigmoid(grouped * norm.weight[:, None] + norm.bias[:, None])

    placed = x * gate(x.mean(3), m.norm_rows)[..., None] * gate(x.mean(2), m.norm_columns)[:, :, None]
    tall, wide = (min(m.window or n, n) for n in x.shape[2:])
    pooled = torch.zeros(b, c, x.shape[2] // tall, x.shape[3] // wide, dtype=x.dtype)
    for i in range(pooled.shape[2]):
        for j in range(pooled.shape[3]):
            part = placed[:, :, i * tall : (i + 1) * tall, j * wide : (j + 1) * wide]
            pooled[:, :, i, j] = part.amax((2, 3)) if m.pooling == "max" else part.mean((2, 3))
    z = ref.standardise(pooled, (1, 2, 3)) * m.norm.weight[:, None, None] + m.norm.bias[:, None, None]
    q, k, v = (
        (z * layer.weight.reshape(-1, 1, 1) + (0 if layer.bias is None else layer.bias[:, None, None])).reshape(
            b, m.heads, c // m.heads, -1
        )
        for layer in (m.query, m.key, m.value)
    )
    o = ref.attend(q, k, v, (c // m.heads) ** -0.5).reshape(b, c, -1)
    return placed * col(ref.sigmoid(o.mean(2)))


def effective(ref: Ref, m: Any, x: Tensor) -> Tensor:
    z = ref.linear(m.fc, x.mean((2, 3)))
    return x * col((z + 3).clamp(0, 6) / 6)


def collaborative(ref: Ref, m: Any, x: Tensor) -> Tensor:
    def gate(block: Any, axis: int) -> Tensor:
        rest = x.transpose(1, axis).flatten(2)  # (B, L, everything else)
        mean = rest.mean(2)
        deviation = ((rest - mean[..., None]).square().sum(2) / (rest.shape[2] - 1)).sqrt()
        a, b = ref.sigmoid(block.weight)
        pooled = (mean + deviation) / 2 + a * mean + b * deviation
        factors = ref.sigmoid(ref.conv(block.conv, pooled[:, None])[:, 0])
        return factors[:, :, None, None].transpose(1, axis)

    gates = [gate(m.rows, 2), gate(m.columns, 3)]
    gates += [] if m.channels is None else [gate(m.channels, 1)]
    return sum(x * g for g in gates) / len(gates)


CASES: list[tuple[Any, str, int, tuple[int, int], dict[str, Any]]] = [
    (spatial, "SpatialAttention", 16, (7, 10), {}),
    (spatial, "SpatialAttention", 8, (5, 6), {"kernel_size": 3, "norm": False}),
    (lska, "LSKA", 16, (7, 10), {}),
    (lska, "LSKA", 8, (12, 15), {"kernel_size": 23}),
    (effective, "EffectiveSE", 24, (7, 10), {}),
    (collaborative, "MCA", 64, (7, 10), {}),
    (collaborative, "MCA", 16, (5, 6), {"kernel_size": 5, "channel_kernel": 7}),
    (collaborative, "MCA", 16, (5, 6), {"spatial": False}),
    (seam, "SEAM", 16, (7, 10), {}),
    (seam, "SEAM", 32, (5, 6), {"depth": 2, "reduction": 8}),
    (multi_seam, "MultiSEAM", 16, (15, 10), {}),
    (multi_seam, "MultiSEAM", 8, (9, 4), {"patches": (2, 6), "depth": 2, "kernel_size": 5}),
    (deformable_lka, "DeformableLKA", 8, (7, 10), {}),
    (deformable_lka, "DeformableLKA", 12, (1, 4), {}),
    (scsa, "SCSA", 32, (14, 22), {}),
    (scsa, "SCSA", 16, (5, 9), {"heads": 2, "pooling": "max", "qkv_bias": True}),
    (scsa, "SCSA", 16, (5, 9), {"window": 0, "kernels": (1, 3, 3, 5)}),
]


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize(
    ("oracle", "name", "channels", "shape", "kwargs"), CASES, ids=lambda v: v.__name__ if callable(v) else str(v)
)
def test_equals_the_formula(
    ref: Ref, oracle: Any, name: str, channels: int, shape: tuple[int, int], kwargs: dict[str, Any], training: bool
) -> None:
    ref.compare(oracle, name, channels, shape, training=training, **kwargs)
