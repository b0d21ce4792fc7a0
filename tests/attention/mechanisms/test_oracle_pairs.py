"""Tier 1 mechanisms that relate positions to each other, against their formulas."""

from typing import Any

import pytest
import torch
from torch import Tensor

Ref = Any


def pool2(x: Tensor) -> Tensor:
    """Max of 2 × 2 cells (of pairs, of a sequence; time is kept), odd ends dropped."""
    for axis in range(3 if x.dim() == 5 else 2, x.dim()):
        n = x.shape[axis] // 2
        even = x.index_select(axis, torch.arange(0, 2 * n, 2))
        x = torch.maximum(even, x.index_select(axis, torch.arange(1, 2 * n, 2)))
    return x


def non_local(ref: Ref, m: Any, x: Tensor) -> Tensor:
    source = pool2(x) if m.subsample else x

    def sequence(layer: Any, y: Tensor) -> Tensor:
        return (ref.conv(layer, y) if layer is not None else y).flatten(2).transpose(1, 2)

    g = sequence(m.g, source)
    plain = m.mode == "gaussian"
    q, k = sequence(None if plain else m.theta, x), sequence(None if plain else m.phi, source)
    if m.mode in ("embedded", "gaussian"):
        y = ref.attend(q, k, g, m.scale)
    elif m.mode == "dot":
        y = torch.einsum("bid,bjd->bij", q, k) @ g / k.shape[1]
    else:
        pairs = torch.cat((q[:, :, None].expand(-1, -1, k.shape[1], -1), k[:, None].expand(-1, q.shape[1], -1, -1)), 3)
        y = ref.relu(ref.linear(m.pair, pairs)[..., 0]) @ g / k.shape[1]
    return x + ref.conv_bn(m.out, y.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:]))


def heads_of(x: Tensor, heads: int) -> Tensor:
    b, c, h, w = x.shape
    return x.reshape(b, heads, c // heads, h * w).transpose(2, 3)


def mhsa(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    q, k, v = (heads_of(part, m.heads) for part in ref.conv(m.qkv, x).chunk(3, 1))
    d = c // m.heads
    extra: Tensor | float = 0
    if m.position:
        ys, xs = torch.arange(h * w) // w, torch.arange(h * w) % w

        def entry(table: Tensor, at: Tensor) -> Tensor:
            far = m.max_size - 1
            return table[(at[None] - at[:, None]).clamp(-far, far) + far]  # (N, N, d)

        extra = torch.einsum("bhid,ijd->bhij", q, entry(m.rows, ys) + entry(m.columns, xs)) / d**0.5
    scale = 1.0 if m.scale == 1 else d**-0.5
    return ref.attend(q, k, v, scale, extra).transpose(2, 3).reshape(b, c, h, w)


def self_attention(ref: Ref, m: Any, x: Tensor) -> Tensor:
    q, k, v = (heads_of(part, m.heads) for part in ref.conv(m.qkv, x).chunk(3, 1))
    if m.similarity == "dot":
        logits = torch.einsum("bhid,bhjd->bhij", q, k) / q.shape[-1] ** 0.5
    elif m.similarity == "concat":
        both = (q * m.pair[0]).sum(-1)[..., :, None] + (k * m.pair[1]).sum(-1)[..., None, :]
        logits = torch.where(both > 0, both, 0.2 * both)
    else:
        logits = ((q[:, :, :, None] + k[:, :, None]).tanh() * m.pair[0][:, None]).sum(-1)
    y = ref.softmax(logits, -1) @ v
    return x + ref.conv(m.out, y.transpose(2, 3).reshape(x.shape))


def gc(ref: Ref, m: Any, x: Tensor) -> Tensor:
    if m.pool == "att":
        a = ref.softmax(ref.conv(m.mask, x).flatten(2), 2)
        context = (x.flatten(2) * a).sum(2)
    else:
        context = x.flatten(2).mean(2)

    def transform(block: Any) -> Tensor:
        z = ref.standardise(ref.linear(block[0], context), 1) * block[1].weight + block[1].bias
        return ref.linear(block[3], ref.relu(z)).reshape(*x.shape[:2], *(1,) * (x.dim() - 2))

    y = x * ref.sigmoid(transform(m.mul)) if m.fusion != "add" else x
    return y + transform(m.add) if m.fusion != "mul" else y


CASES: list[tuple[Any, str, int, tuple[int, ...], dict[str, Any]]] = [
    (non_local, "NonLocal", 16, (7, 10), {}),
    (non_local, "NonLocal", 16, (7, 10), {"subsample": False, "scale": False}),
    (non_local, "NonLocal", 16, (7, 10), {"mode": "gaussian"}),
    (non_local, "NonLocal", 16, (7, 10), {"mode": "dot"}),
    (non_local, "NonLocal", 16, (7, 10), {"mode": "concat"}),
    (non_local, "NonLocal", 16, (11,), {"dims": 1}),
    (non_local, "NonLocal", 8, (3, 4, 5), {"dims": 3, "mode": "dot", "reduction": 4}),
    (mhsa, "MHSA2D", 32, (7, 10), {}),
    (mhsa, "MHSA2D", 30, (7, 10), {"max_size": 4, "bias": True}),
    (mhsa, "MHSA2D", 32, (7, 10), {"position": False}),
    (mhsa, "MHSA2D", 32, (7, 10), {"position": False, "scaled": False, "bias": True}),
    (self_attention, "SelfAttention2D", 32, (7, 10), {}),
    (self_attention, "SelfAttention2D", 32, (7, 10), {"similarity": "concat"}),
    (self_attention, "SelfAttention2D", 32, (5, 6), {"similarity": "perceptron", "heads": 2}),
    (gc, "GC", 48, (7, 10), {}),
    (gc, "GC", 48, (7, 10), {"fusion": "both", "reduction": 4}),
    (gc, "GC", 32, (11,), {"dims": 1, "fusion": "mul"}),
    (gc, "GC", 32, (3, 4, 5), {"dims": 3, "pool": "avg"}),
]


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize(
    ("oracle", "name", "channels", "shape", "kwargs"), CASES, ids=lambda v: v.__name__ if callable(v) else str(v)
)
def test_equals_the_formula(
    ref: Ref, oracle: Any, name: str, channels: int, shape: tuple[int, ...], kwargs: dict[str, Any], training: bool
) -> None:
    ref.compare(oracle, name, channels, shape, training=training, **kwargs)
