"""Tier 2 mechanisms against their formulas: gates of channels and positions."""

from typing import Any

import pytest
import torch
from torch import Tensor

Ref = Any


def col(z: Tensor) -> Tensor:
    return z[:, :, None, None]


def gate(ref: Ref, m: Any, z: Tensor) -> Tensor:
    return 2 * ref.sigmoid(z) if type(m.gate).__name__ == "DoubleSigmoid" else ref.sigmoid(z)


def bam(ref: Ref, m: Any, x: Tensor) -> Tensor:
    first, norm, _, last = m.channel
    channel = ref.linear(last, ref.relu(ref.bn(norm, ref.linear(first, x.mean((2, 3))))))
    channel = ref.bn(m.channel_norm, channel)
    spatial = x
    for block in m.spatial[:3]:
        spatial = ref.relu(ref.conv_bn(block, spatial))
    spatial = ref.conv_bn(m.spatial[3], spatial)
    logits = col(channel) * spatial if m.combine == "mul" else col(channel) + spatial
    return x * (1 + ref.sigmoid(logits))


def nam(ref: Ref, m: Any, x: Tensor) -> Tensor:
    share = m.bn.weight.abs() / m.bn.weight.abs().sum()
    return x * ref.sigmoid(share[:, None, None] * ref.bn(m.bn, x))


def scse(ref: Ref, m: Any, x: Tensor) -> Tensor:
    c = x * col(ref.sigmoid(ref.linear(m.fc2, ref.relu(ref.linear(m.fc1, x.mean((2, 3)))))))
    s = x * ref.sigmoid(ref.conv(m.spatial, x))
    return {"max": torch.where(c > s, c, s), "add": c + s, "mul": c * s}[m.combine]


def double(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, _, h, w = x.shape
    a_map, b_map, v_map = ref.conv(m.parts, x).reshape(b, 3, -1, h * w).unbind(1)
    g = torch.einsum("bmn,bkn->bmk", a_map, ref.softmax(b_map, 2))
    z = torch.einsum("bmk,bkn->bmn", g, ref.softmax(v_map, 1))
    return x + ref.conv(m.out, z.reshape(b, -1, h, w))


def danet(ref: Ref, m: Any, x: Tensor) -> Tensor:
    flat, out = x.flatten(2), x
    if m.branches != "channel":
        q, k, v = (ref.conv(layer, x).flatten(2).transpose(1, 2) for layer in (m.query, m.key, m.value))
        out = out + m.alpha * ref.attend(q, k, v, 1.0).transpose(1, 2).reshape(x.shape)
    if m.branches != "position":
        e = torch.einsum("bcn,bdn->bcd", flat, flat)
        out = out + m.beta * (ref.softmax(e.amax(2, keepdim=True) - e, 2) @ flat).reshape(x.shape)
    return out


def criss_cross(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    ys, xs = torch.arange(h * w) // w, torch.arange(h * w) % w
    outside = ((ys[:, None] != ys[None]) & (xs[:, None] != xs[None])).double() * -1e6
    for _ in range(m.recurrence):
        q, k, v = (ref.conv(layer, x).flatten(2).transpose(1, 2) for layer in (m.query, m.key, m.value))
        x = x + m.gamma * ref.attend(q, k, v, 1.0, outside).transpose(1, 2).reshape(b, c, h, w)
    return x


def gct(ref: Ref, m: Any, x: Tensor) -> Tensor:
    if m.norm == "l2":
        s = m.alpha * (x.square().sum((2, 3)) + m.eps).sqrt()
        share = m.gamma * s / (s.square().mean(1, keepdim=True) + m.eps).sqrt()
    else:
        s = m.alpha * x.abs().sum((2, 3))
        share = m.gamma * s / (s.abs().mean(1, keepdim=True) + m.eps)
    return x * col(1 + torch.tanh(share + m.beta))


def sge(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    g = x.reshape(b * m.groups, c // m.groups, h, w)
    t = (g * g.mean((2, 3), keepdim=True)).sum(1).reshape(b, m.groups, h * w)
    centred = t - t.mean(2, keepdim=True)
    t = centred / ((centred.square().sum(2, keepdim=True) / (h * w - 1)).sqrt() + 1e-5)
    mask = ref.sigmoid(t * m.weight[:, None] + m.bias[:, None]).reshape(b * m.groups, 1, h, w)
    return (g * mask).reshape(x.shape)


def strips(ref: Ref, m: Any, x: Tensor) -> Tensor:
    a = ref.conv(m.local, x)
    return a + sum(ref.conv(pair[1], ref.conv(pair[0], a)) for pair in m.pairs)


def cpca(ref: Ref, m: Any, x: Tensor) -> Tensor:
    x1 = ref.gelu(ref.conv(m.project, x))

    def mlp(z: Tensor) -> Tensor:
        return ref.sigmoid(ref.linear(m.fc2, ref.relu(ref.linear(m.fc1, z))))

    x2 = x1 * col(mlp(x1.mean((2, 3))) + mlp(x1.flatten(2).max(2)[0]))
    return ref.conv(m.project, ref.conv(m.project, strips(ref, m.strips, x2)) * x2)


def msca(ref: Ref, m: Any, x: Tensor) -> Tensor:
    return x * ref.conv(m.project, strips(ref, m.strips, x))


def lsk(ref: Ref, m: Any, x: Tensor) -> Tensor:
    u1 = ref.conv(m.near, x)
    a1, a2 = ref.conv(m.reduce_near, u1), ref.conv(m.reduce_far, ref.conv(m.far, u1))
    both = torch.cat((a1, a2), 1)
    s = ref.sigmoid(ref.conv(m.choose, torch.stack((both.mean(1), both.max(1)[0]), 1)))
    return x * ref.conv(m.expand, a1 * s[:, :1] + a2 * s[:, 1:])


def cells(n_in: int, n_out: int) -> list[slice]:
    return [slice(i * n_in // n_out, -(-(i + 1) * n_in // n_out)) for i in range(n_out)]


def adaptive(x: Tensor, height: int, width: int) -> Tensor:
    rows = [x[:, :, r].mean(2) for r in cells(x.shape[2], height)]
    x = torch.stack(rows, 2)
    return torch.stack([x[..., c].mean(3) for c in cells(x.shape[3], width)], 3)


def conv1d(weight: Tensor, z: Tensor) -> Tensor:
    k = weight.numel()
    padded = torch.cat((z.new_zeros(len(z), k // 2), z, z.new_zeros(len(z), k // 2)), 1)
    return sum(weight.flatten()[i] * padded[:, i : i + z.shape[1]] for i in range(k))  # type: ignore[return-value]


def mlca(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    local = adaptive(x, m.cells, m.cells)
    whole = ref.sigmoid(conv1d(m.conv.weight, local.mean((2, 3))))
    sequence = local.permute(0, 2, 3, 1).reshape(b, -1)
    grid = ref.sigmoid(conv1d(m.conv_local.weight, sequence)).reshape(b, m.cells, m.cells, c).permute(0, 3, 1, 2)
    return x * adaptive((1 - m.local_weight) * col(whole) + m.local_weight * grid, h, w)


def ela(ref: Ref, m: Any, x: Tensor) -> Tensor:
    def strip(z: Tensor) -> Tensor:
        z = ref.conv(m.conv, z)
        normed = ref.standardise(z.reshape(len(z), m.norm.num_groups, -1), 2).reshape(z.shape)
        return gate(ref, m, normed * m.norm.weight[:, None] + m.norm.bias[:, None])

    return x * strip(x.mean(3))[:, :, :, None] * strip(x.mean(2))[:, :, None]


def caa(ref: Ref, m: Any, x: Tensor) -> Tensor:
    padded = torch.zeros(*x.shape[:2], x.shape[2] + 6, x.shape[3] + 6, dtype=x.dtype)
    padded[:, :, 3:-3, 3:-3] = x
    shifts = [padded[:, :, i : i + x.shape[2], j : j + x.shape[3]] for i in range(7) for j in range(7)]
    norm = type(m.mix1.bn).__name__ != "Identity"
    z = ref.conv_bn(m.mix1, sum(shifts) / 49)
    z = ref.conv(m.column, ref.conv(m.row, ref.silu(z) if norm else z))
    z = ref.conv_bn(m.mix2, z)
    return x * ref.sigmoid(ref.silu(z) if norm else z)


def polarized(ref: Ref, m: Any, x: Tensor) -> Tensor:
    def channel(y: Tensor) -> Tensor:
        a = ref.softmax(ref.conv(m.channel_query, y).flatten(2), 2)
        z = (ref.conv(m.channel_value, y).flatten(2) * a).sum(2)
        if len(m.channel_out) == 1:
            return y * col(ref.sigmoid(ref.linear(m.channel_out[0], z)))
        first, norm, _, last = m.channel_out
        z = ref.standardise(ref.linear(first, z), 1) * norm.weight + norm.bias
        return y * col(ref.sigmoid(ref.linear(last, ref.relu(z))))

    def position(y: Tensor) -> Tensor:
        q = ref.conv(m.position_query, y).mean((2, 3))
        v = ref.conv(m.position_value, y).flatten(2)
        if m.position_softmax == "channel":
            z = torch.einsum("bd,bdn->bn", ref.softmax(q, 1), v)
        elif m.position_softmax == "value":
            z = torch.einsum("bd,bdn->bn", q, ref.softmax(v, 2))
        else:
            z = ref.softmax(torch.einsum("bd,bdn->bn", q, v), 1)
        return y * ref.sigmoid(z).reshape(len(y), 1, *y.shape[2:])

    return channel(x) + position(x) if m.order == "parallel" else position(channel(x))


CASES: list[tuple[Any, str, int, dict[str, Any]]] = [
    (bam, "BAM", 48, {}),
    (bam, "BAM", 32, {"combine": "sum", "dilation": 2}),
    (nam, "NAM", 16, {"detach": False}),
    (nam, "NAM", 16, {}),
    (scse, "SCSE", 24, {}),
    (scse, "SCSE", 24, {"combine": "add"}),
    (scse, "SCSE", 24, {"combine": "mul"}),
    (double, "DoubleAttention", 32, {}),
    (danet, "DANet", 32, {}),
    (danet, "DANet", 32, {"branches": "position"}),
    (danet, "DANet", 32, {"branches": "channel"}),
    (criss_cross, "CrissCross", 32, {}),
    (criss_cross, "CrissCross", 32, {"recurrence": 1}),
    (gct, "GCT", 24, {}),
    (gct, "GCT", 24, {"norm": "l1"}),
    (sge, "SGE", 48, {"groups": 8}),
    (sge, "SGE", 128, {}),
    (cpca, "CPCA", 16, {}),
    (msca, "MSCA", 16, {}),
    (lsk, "LSK", 16, {}),
    (mlca, "MLCA", 24, {}),
    (mlca, "MLCA", 24, {"cells": 3, "local_weight": 0.25, "kernel_size": 7}),
    (ela, "ELA", 48, {}),
    (ela, "ELA", 48, {"variant": "S", "gate": "2sigmoid"}),
    (caa, "CAA", 16, {}),
    (caa, "CAA", 16, {"norm": True, "kernel_size": 7}),
    (polarized, "PolarizedSelfAttention", 32, {}),
    (polarized, "PolarizedSelfAttention", 32, {"order": "sequential"}),
    (polarized, "PolarizedSelfAttention", 32, {"definition": "paper"}),
    (polarized, "PolarizedSelfAttention", 32, {"definition": "paper", "order": "sequential"}),
]


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize(
    ("oracle", "name", "channels", "kwargs"), CASES, ids=lambda v: v.__name__ if callable(v) else str(v)
)
def test_equals_the_formula(
    ref: Ref, oracle: Any, name: str, channels: int, kwargs: dict[str, Any], training: bool
) -> None:
    ref.compare(oracle, name, channels, (7, 10), training=training, **kwargs)


def test_nam_learns_through_its_weights_only_without_detach(ref: Ref) -> None:
    gradients = {}
    for detach in (True, False):
        module, x = ref.build("NAM", 8, detach=detach), torch.ones(1, 8, 3, 4, dtype=torch.float64)
        module(x).sum().backward()
        gradients[detach] = module.bn.weight.grad
    assert not torch.allclose(gradients[True], gradients[False])
