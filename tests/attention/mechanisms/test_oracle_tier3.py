"""The convolutional half of tier 2, and tier 3, against their formulas."""

from math import cos, pi, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor

Ref = Any


def col(z: Tensor) -> Tensor:
    return z[:, :, None, None]


def shift(x: Tensor, dy: int, dx: int) -> Tensor:
    """x at (y + dy, x + dx), zero outside."""
    out = torch.zeros_like(x)
    h, w = x.shape[-2:]
    ys, xs = slice(max(-dy, 0), h - max(dy, 0)), slice(max(-dx, 0), w - max(dx, 0))
    out[..., ys, xs] = x[..., slice(max(dy, 0), h + min(dy, 0)), slice(max(dx, 0), w + min(dx, 0))]
    return out


def cot(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    k = ref.relu(ref.conv_bn(m.key, x))
    z = ref.conv(m.weigh, ref.relu(ref.conv_bn(m.embed, torch.cat((x, k), 1))))
    sets = c // m.share
    z = ref.standardise(z.reshape(b, sets, 9, h, w), (2, 3, 4)).reshape(z.shape)
    weights = (z * m.norm.weight[:, None, None] + m.norm.bias[:, None, None]).reshape(b, sets, 9, h, w)
    v = ref.conv_bn(m.value, x)
    channel_set = torch.arange(c) % sets
    u = sum(weights[:, channel_set, 3 * (dy + 1) + dx + 1] * shift(v, dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1))
    u = ref.silu(ref.bn(m.bn, u))
    first, norm, _ = m.fuse1
    logits = ref.linear(m.fuse2, ref.relu(ref.bn(norm, ref.linear(first, (u + k).mean((2, 3))))))
    a = ref.softmax(logits.reshape(b, c, 2), 2)
    return u * col(a[..., 0]) + k * col(a[..., 1])


def split(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, r, g = x.shape[0], x.shape[1], m.radix, m.groups
    u = ref.relu(ref.conv_bn(m.conv, x)).reshape(b, r, c, *x.shape[2:])
    z = ref.relu(ref.bn(m.bn, ref.conv(m.fc1, u.sum(1).mean((2, 3))[..., None])))
    logits = ref.conv(m.fc2, z).reshape(b, g, r, c // g)
    a = ref.sigmoid(logits) if r == 1 else ref.softmax(logits, 2)
    return (u * a.transpose(1, 2).reshape(b, r, c, 1, 1)).sum(1)


def external(ref: Ref, m: Any, x: Tensor) -> Tensor:
    f = ref.conv(m.embed, x).flatten(2)
    a = ref.softmax(torch.einsum("bcn,sc->bsn", f, m.key.weight[..., 0]), 2)
    a = a / (a.sum(1, keepdim=True) + 1e-9)
    o = torch.einsum("bsn,cs->bcn", a, m.value.weight[..., 0]).reshape(x.shape)
    y = x + ref.conv_bn(m.out, o)
    return ref.relu(y) if type(m.act).__name__ == "ReLU" else y


def area(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    n, run = h * w, -(-h * w // m.area)
    qk, v = ref.conv_bn(m.query_key, x), ref.conv_bn(m.value, x)
    q, k, vv = (y.reshape(b, m.heads, -1, n).transpose(2, 3) for y in (qk[:, :c], qk[:, c:], v))
    parts = []
    for start in range(0, n, run):
        at = slice(start, min(start + run, n))
        parts.append(ref.attend(q[:, :, at], k[:, :, at], vv[:, :, at], (c // m.heads) ** -0.5))
    o = torch.cat(parts, 2).transpose(2, 3).reshape(x.shape)
    return ref.conv_bn(m.out, o + ref.conv_bn(m.position, v))


def parnet(ref: Ref, m: Any, x: Tensor) -> Tensor:
    skip = ref.bn(m.bn, x)
    gated = skip * col(ref.sigmoid(ref.linear(m.gate, skip.mean((2, 3)))))
    return ref.silu(ref.conv_bn(m.wide, x) + ref.conv_bn(m.point, x) + gated)


def lct(ref: Ref, m: Any, x: Tensor) -> Tensor:
    z = x.mean((2, 3)).reshape(len(x), m.norm.num_groups, -1)
    z = ref.standardise(z, 2).reshape(x.shape[:2])
    return x * col(ref.sigmoid(z * m.norm.weight + m.norm.bias))


def fca(ref: Ref, m: Any, x: Tensor) -> Tensor:
    us = [0, 0, 6, 0, 0, 1, 1, 4, 5, 1, 3, 0, 0, 0, 3, 2]
    vs = [0, 1, 0, 5, 2, 0, 2, 0, 0, 6, 0, 4, 6, 3, 5, 2]
    n, h, w = m.size, *x.shape[2:]
    cell = [[slice(i * s // n, -(-(i + 1) * s // n)) for i in range(n)] for s in (h, w)]
    grid = torch.stack([torch.stack([x[:, :, r, c].mean((2, 3)) for c in cell[1]], 2) for r in cell[0]], 2)
    groups = max(d for d in range(1, 17) if x.shape[1] % d == 0)

    def wave(f: int, i: int) -> float:
        f *= n // 7
        return cos(pi * f * (i + 0.5) / n) / sqrt(n) * (1 if f == 0 else sqrt(2))

    z = []
    for c in range(x.shape[1]):
        g = c * groups // x.shape[1]
        basis = torch.tensor([[wave(us[g], i) * wave(vs[g], j) for j in range(n)] for i in range(n)], dtype=x.dtype)
        z.append((grid[:, c] * basis).sum((1, 2)))
    return x * col(ref.sigmoid(ref.linear(m.fc2, ref.relu(ref.linear(m.fc1, torch.stack(z, 1))))))


def srm(ref: Ref, m: Any, x: Tensor) -> Tensor:
    mean = x.mean((2, 3), keepdim=True)
    var = (x - mean).square().sum((2, 3)) / (x.shape[2] * x.shape[3] - 1)
    t = torch.stack((mean[:, :, 0, 0], (var + 1e-5).sqrt()), 2)
    return x * col(ref.sigmoid(ref.bn(m.bn, (t * m.weight).sum(2))))


def pyramid(ref: Ref, m: Any, x: Tensor) -> Tensor:
    f = torch.stack([ref.conv(layer, x) for layer in m.convs])
    a = ref.sigmoid(ref.linear(m.fc2, ref.relu(ref.linear(m.fc1, f.mean((3, 4))))))
    f = f * ref.softmax(a, 0)[..., None, None]
    return torch.cat((f[3], f[2], f[1], f[0]), 1)


def bi_level(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    q, k, v = ref.conv(m.qkv, x).chunk(3, 1)
    tall, wide = -(-h // m.regions), -(-w // m.regions)
    boxes = [(slice(i, i + tall), slice(j, j + wide)) for i in range(0, h, tall) for j in range(0, w, wide)]

    def means(y: Tensor) -> Tensor:
        return torch.stack([y[:, :, r, s].mean((2, 3)) for r, s in boxes], 1)

    routes = (means(q) @ means(k).transpose(1, 2)).argsort(2, descending=True)[..., : m.top_k]
    out = torch.zeros_like(x)

    def rows(y: Tensor, box: tuple[slice, slice]) -> Tensor:
        return y[:, box[0], box[1]].reshape(m.heads, c // m.heads, -1).transpose(1, 2)

    for image in range(b):
        for region, box in enumerate(boxes):
            keys, values = (
                torch.cat([rows(y[image], boxes[i]) for i in routes[image, region].tolist()], 1) for y in (k, v)
            )
            o = ref.attend(rows(q[image], box), keys, values, c**-0.5).transpose(1, 2)
            target = out[image, :, box[0], box[1]]
            out[image, :, box[0], box[1]] = o.reshape(target.shape)
    return ref.conv(m.out, out + ref.conv(m.position, v))


def deformable(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    g, s = m.groups, m.offsets.conv.stride[0]
    q = ref.conv(m.query, x)
    z = ref.conv(m.offsets.conv, q.reshape(b * g, -1, h, w))[:, :, ::s, ::s]
    hs, ws = z.shape[2:]
    z = ref.standardise(z, 1) * m.offsets.norm.weight[:, None, None] + m.offsets.norm.bias[:, None, None]
    raw = torch.einsum("bchw,oc->bohw", ref.gelu(z), m.offsets.out.weight).tanh()
    ys, xs = torch.arange(hs).double()[:, None] + 0.5, torch.arange(ws).double()[None] + 0.5

    def position(at: Tensor, offset: Tensor, samples: int, size: int) -> Tensor:
        steps = max(samples - 1, 1)
        return (at / steps * 2 - 1 + m.offset_range * offset / steps + 1) / 2 * (size - 1)  # in pixels of x

    py, px = position(ys, raw[:, 0], hs, h), position(xs, raw[:, 1], ws, w)
    maps = x.reshape(b * g, -1, h, w).flatten(2)
    sampled = torch.zeros(b * g, c // g, hs, ws, dtype=x.dtype)
    for dy in (0, 1):
        for dx in (0, 1):
            iy, ix = py.detach().floor() + dy, px.detach().floor() + dx
            weight = (1 - (py - iy).abs()) * (1 - (px - ix).abs())
            inside = (iy >= 0) & (iy < h) & (ix >= 0) & (ix < w)
            at = (iy.clamp(0, h - 1) * w + ix.clamp(0, w - 1)).long().flatten(1)[:, None].expand(-1, c // g, -1)
            sampled = sampled + maps.gather(2, at).reshape(sampled.shape) * (weight * inside)[:, None]
    samples = sampled.reshape(b, c, hs, ws)

    def heads(y: Tensor) -> Tensor:
        return y.reshape(b, m.heads, c // m.heads, -1).transpose(2, 3)

    o = ref.attend(heads(q), heads(ref.conv(m.key, samples)), heads(ref.conv(m.value, samples)), (c // m.heads) ** -0.5)
    o = o.transpose(2, 3).reshape(x.shape)
    return ref.conv(m.out, o if m.position is None else o + ref.conv(m.position, q))


def outlook(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    k, n = m.kernel_size, m.heads
    v = ref.conv(m.value, x).reshape(b, n, c // n, h, w)
    a = ref.softmax(ref.conv(m.weigh, x).reshape(b, n, k * k, k * k, h, w) * (c // n) ** -0.5, 3)
    at = [(i - k // 2, j - k // 2) for i in range(k) for j in range(k)]
    out = torch.zeros_like(v)
    for i, (dy, dx) in enumerate(at):
        mixed = sum(a[:, :, i, j][:, :, None] * shift(v, *at[j]) for j in range(k * k))
        out = out + shift(mixed, -dy, -dx)
    return ref.conv(m.out, out.reshape(x.shape))


CASES: list[tuple[Any, str, int, tuple[int, int], dict[str, Any]]] = [
    (cot, "CoT", 32, (7, 10), {}),
    (cot, "CoT", 12, (5, 6), {}),
    (split, "SplitAttention", 24, (7, 10), {}),
    (split, "SplitAttention", 24, (7, 10), {"radix": 3, "groups": 2}),
    (split, "SplitAttention", 24, (7, 10), {"radix": 1}),
    (external, "ExternalAttention", 24, (7, 10), {"relu": False}),
    (external, "ExternalAttention", 24, (7, 10), {"entries": 16}),
    (area, "AreaAttention", 64, (8, 10), {}),
    (area, "AreaAttention", 64, (7, 10), {}),
    (area, "AreaAttention", 32, (7, 10), {"area": 1, "head_width": 8, "kernel_size": 7}),
    (parnet, "ParNetAttention", 16, (7, 10), {}),
    (lct, "LCT", 48, (7, 10), {}),
    (fca, "FcaNet", 32, (7, 7), {}),
    (fca, "FcaNet", 48, (9, 17), {}),
    (fca, "FcaNet", 32, (5, 10), {"size": 14}),
    (srm, "SRM", 24, (7, 10), {}),
    (pyramid, "PyramidSqueeze", 64, (10, 12), {}),
    (bi_level, "BiLevelRouting", 32, (14, 21), {}),
    (bi_level, "BiLevelRouting", 32, (9, 10), {"regions": 3, "top_k": 2, "heads": 2}),
    (deformable, "DeformableAttention", 32, (7, 10), {}),
    (deformable, "DeformableAttention", 24, (7, 10), {"stride": 2, "groups": 3, "position": False}),
    (outlook, "OutlookAttention", 32, (7, 10), {}),
    (outlook, "OutlookAttention", 12, (6, 7), {"kernel_size": 5, "heads": 2}),
]


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize(
    ("oracle", "name", "channels", "shape", "kwargs"), CASES, ids=lambda v: v.__name__ if callable(v) else str(v)
)
def test_equals_the_formula(
    ref: Ref, oracle: Any, name: str, channels: int, shape: tuple[int, int], kwargs: dict[str, Any], training: bool
) -> None:
    ref.compare(oracle, name, channels, shape, training=training, **kwargs)
