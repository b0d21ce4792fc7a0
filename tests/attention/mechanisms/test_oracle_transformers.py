"""Mechanisms that come from vision transformers, against their formulas."""

from math import cos, log, sin, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor

from attention import build_attention

Ref = Any


def shift(x: Tensor, dy: int, dx: int) -> Tensor:
    """x at (y + dy, x + dx), zero outside."""
    out = torch.zeros_like(x)
    h, w = x.shape[-2:]
    for y in range(max(-dy, 0), h - max(dy, 0)):
        for column in range(max(-dx, 0), w - max(dx, 0)):
            out[..., y, column] = x[..., y + dy, column + dx]
    return out


def heads(x: Tensor, count: int) -> Tensor:
    """(B, C, H, W) → (B, heads, N, d)."""
    return x.reshape(x.shape[0], count, -1, x.shape[2] * x.shape[3]).transpose(2, 3)


def joined(sequence: Tensor, x: Tensor) -> Tensor:
    """(B, heads, N, d) → (B, heads · d, H, W)."""
    return sequence.transpose(2, 3).reshape(x.shape[0], -1, *x.shape[2:])


def silu(x: Tensor) -> Tensor:
    """x σ(x), by a form whose gradient survives large negative x."""
    return x * (1 + torch.tanh(x / 2)) / 2


def aifi(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    positions = []
    for t in range(h * w):
        row, column = (t // h, t % h) if m.transposed else (t // w, t % w)
        waves = [10000.0 ** (-4 * i / c) for i in range(c // 4)]
        positions.append(
            [f(at * wave) for at in (row, column) for f in (sin, cos) for wave in waves]  # four runs of c / 4
        )
    p = torch.tensor(positions, dtype=x.dtype)

    def norm(layer: Any, z: Tensor) -> Tensor:
        return ref.standardise(z, 2) * layer.weight + layer.bias

    def attend(z: Tensor) -> Tensor:
        qk, v = ref.linear(m.query_key, z + p), ref.linear(m.value, z)
        q, k, v = (y.reshape(b, h * w, m.heads, -1).transpose(1, 2) for y in (qk[..., :c], qk[..., c:], v))
        o = ref.attend(q, k, v, (c // m.heads) ** -0.5).transpose(1, 2).reshape(b, h * w, c)
        return ref.linear(m.out, o)

    def transform(z: Tensor) -> Tensor:
        return ref.linear(m.fc2, ref.gelu(ref.linear(m.fc1, z)))

    z = x.flatten(2).transpose(1, 2)
    if m.norm_first:
        z = z + attend(norm(m.norm1, z))
        z = z + transform(norm(m.norm2, z))
    else:
        z = norm(m.norm1, z + attend(z))
        z = norm(m.norm2, z + transform(z))
    return z.transpose(1, 2).reshape(x.shape)


def psa(ref: Ref, m: Any, x: Tensor) -> Tensor:
    attention, (first, second) = m.attn, m.ffn
    a, moved = silu(ref.conv_bn(m.cv1, x)).chunk(2, 1)
    qkv = ref.conv_bn(attention.qkv, moved).reshape(len(x), attention.heads, -1, x.shape[2] * x.shape[3])
    d_k, d = attention.key_width, moved.shape[1] // attention.heads
    q, k, v = qkv[:, :, :d_k], qkv[:, :, d_k : 2 * d_k], qkv[:, :, 2 * d_k :]
    assert v.shape[2] == d
    o = ref.attend(q.transpose(2, 3), k.transpose(2, 3), v.transpose(2, 3), d_k**-0.5)
    values = v.reshape(moved.shape)
    moved = moved + ref.conv_bn(attention.proj, joined(o, x) + ref.conv_bn(attention.pe, values))
    moved = moved + ref.conv_bn(second, silu(ref.conv_bn(first, moved)))
    return silu(ref.conv_bn(m.cv2, torch.cat((a, moved), 1)))


def irmb(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    n = m.window
    z = ref.bn(m.norm, x) if hasattr(m.norm, "running_mean") else None
    if z is None:
        z = ref.standardise(x, 1, 1e-6) * m.norm.norm.weight[:, None, None] + m.norm.norm.bias[:, None, None]
    act = ref.gelu if type(m.act).__name__ == "GELU" else ref.relu
    down, across = -(-h // n), -(-w // n)
    padded = torch.zeros(b, c, down * n, across * n, dtype=x.dtype)
    padded[:, :, :h, :w] = z
    attended = torch.zeros(b, m.value.out_channels, down * n, across * n, dtype=x.dtype)
    for i in range(down):
        for j in range(across):
            part = padded[:, :, i::down, j::across]
            q, k = (heads(y, m.heads) for y in ref.conv(m.query_key, part).chunk(2, 1))
            if m.attend_first:
                mixed = joined(ref.attend(q, k, heads(part, m.heads), m.scale), part)
                attended[:, :, i::down, j::across] = act(ref.conv(m.value, mixed))
            else:
                v = heads(act(ref.conv(m.value, part)), m.heads)
                attended[:, :, i::down, j::across] = joined(ref.attend(q, k, v, (c // m.heads) ** -0.5), part)
    a = attended[:, :, :h, :w]
    return x + ref.conv(m.project, a + ref.silu(ref.conv_bn(m.local, a)))


def cascaded(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    n, d, d_k = m.window, c // m.heads, m.key_width
    down, across = -(-h // n), -(-w // n)
    padded = torch.zeros(b, c, down * n, across * n, dtype=x.dtype)
    padded[:, :, :h, :w] = x
    cut = torch.cat(
        [padded[:, :, i * n : (i + 1) * n, j * n : (j + 1) * n] for i in range(down) for j in range(across)]
    )
    places = [(y, z) for y in range(n) for z in range(n)]
    outputs: list[Tensor] = []
    for head in range(m.heads):
        part = cut[:, head * d : (head + 1) * d]
        part = part + outputs[-1] if outputs else part
        qkv = ref.conv_bn(m.qkv[head], part)
        q = ref.conv_bn(m.local[head], qkv[:, :d_k])
        rows = [[m.bias[head, abs(p[0] - o[0]) * n + abs(p[1] - o[1])] for o in places] for p in places]
        bias = torch.stack([torch.stack(row) for row in rows])
        k, v = qkv[:, d_k : 2 * d_k], qkv[:, 2 * d_k :]
        o = ref.attend(heads(q, 1), heads(k, 1), heads(v, 1), d_k**-0.5, bias)
        outputs.append(joined(o, part))
    out = ref.conv_bn(m.out, ref.relu(torch.cat(outputs, 1)))
    whole = torch.zeros_like(padded)
    for at, part in enumerate(out.split(b)):
        i, j = divmod(at, across)
        whole[:, :, i * n : (i + 1) * n, j * n : (j + 1) * n] = part
    return x + whole[:, :, :h, :w]


def shsa(ref: Ref, m: Any, x: Tensor) -> Tensor:
    p, d = m.part, m.key_width
    a = ref.standardise(x[:, :p], (1, 2, 3)) * m.norm.weight[:, None, None] + m.norm.bias[:, None, None]
    qkv = ref.conv_bn(m.qkv, a)
    o = ref.attend(heads(qkv[:, :d], 1), heads(qkv[:, d : 2 * d], 1), heads(qkv[:, 2 * d :], 1), d**-0.5)
    return x + ref.conv_bn(m.out, ref.relu(torch.cat((joined(o, x), x[:, p:]), 1)))


def cafm(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    n, count, d = h * w, m.heads, c // m.heads
    qkv = ref.conv(m.local, ref.conv(m.qkv, x))
    q, k, v = (y.reshape(b, count, d, n) for y in qkv.chunk(3, 1))
    q, k = (y / y.square().sum(3, keepdim=True).sqrt() for y in (q, k))
    weights = ref.softmax(torch.einsum("bhcn,bhdn->bhcd", q, k) * m.temperature, 3)
    attended = ref.conv(m.out, torch.einsum("bhcd,bhdn->bhcn", weights, v).reshape(x.shape))
    if m.definition == "paper":
        f = qkv.permute(0, 2, 3, 1).reshape(b, n, 3 * count, d)
    else:
        f = qkv.reshape(b, n, 3 * count, d)
    nine = torch.einsum("bnpd,op->bond", f, m.mix.weight[:, :, 0]) + m.mix.bias[:, None, None]  # (b, 9, n, d)
    maps = nine.permute(0, 3, 1, 2).reshape(b, 9 * d, h, w)
    return attended + ref.conv(m.conv, maps)


def clo(ref: Ref, m: Any, x: Tensor) -> Tensor:
    parts = []
    for branch in m.branches:
        if hasattr(branch, "local"):
            q, k, v = ref.conv(branch.local, ref.conv(branch.qkv, x)).chunk(3, 1)
            first, _, last = branch.compare
            parts.append(v * torch.tanh(branch.scale * ref.conv(last, ref.silu(ref.conv(first, q * k)))))
        else:
            s = branch.window
            spans = [[slice(i, min(i + s, n)) for i in range(0, n, s)] for n in x.shape[2:]]
            pooled = torch.stack([torch.stack([x[:, :, r, t].mean((2, 3)) for t in spans[1]], 2) for r in spans[0]], 2)
            k, v = (heads(y, branch.heads) for y in ref.conv(branch.key_value, pooled).chunk(2, 1))
            q = heads(ref.conv(branch.query, x), branch.heads)
            parts.append(joined(ref.attend(q, k, v, q.shape[3] ** -0.5), x))
    return ref.conv(m.out, torch.cat(parts, 1))


def resized(table: Tensor, height: int, width: int) -> Tensor:
    """A table (C, s, s) at every position of a map, linearly between its entries."""
    side = table.shape[1]
    out = torch.zeros(table.shape[0], height, width, dtype=table.dtype)
    for i in range(height):
        for j in range(width):
            y, z = (min(max((at + 0.5) * side / n - 0.5, 0), side - 1) for at, n in ((i, height), (j, width)))
            for row in range(side):
                for column in range(side):
                    share = max(1 - abs(y - row), 0) * max(1 - abs(z - column), 0)
                    if share:
                        out[:, i, j] = out[:, i, j] + share * table[:, row, column]
    return out


def focused(ref: Ref, m: Any, x: Tensor) -> Tensor:
    _, _, h, w = x.shape
    q, k, v = ref.conv(m.qkv, x).chunk(3, 1)
    if m.table is not None:
        k = k + resized(m.table, h, w)
    scale = torch.log(1 + m.scale.exp())[:, None, None]

    def phi(z: Tensor) -> Tensor:
        z = (ref.relu(z) + 1e-6) / scale
        return z**m.focus * (z.square().sum(1) / (z**m.focus).square().sum(1)).sqrt()[:, None]

    q, k, v = (heads(y, m.heads) for y in (phi(q), phi(k), v))
    similar = torch.einsum("bhid,bhjd->bhij", q, k)
    o = torch.einsum("bhij,bhjd->bhid", similar, v) / (similar.sum(3, keepdim=True) + h * w * 1e-6)
    local = torch.cat([ref.conv(m.local, part) for part in joined(v, x).chunk(m.heads, 1)], 1)
    return ref.conv(m.out, joined(o, x) + local)


def additive(ref: Ref, m: Any, x: Tensor) -> Tensor:
    q, k = (ref.conv(layer, x).flatten(2) for layer in (m.query, m.key))
    q, k = (y / y.square().sum(1, keepdim=True).sqrt() for y in (q, k))
    alpha = torch.einsum("bdn,d->bn", q, m.importance) / sqrt(x.shape[1])
    alpha = alpha / alpha.square().sum(1, keepdim=True).sqrt()
    g = torch.einsum("bn,bdn->bd", alpha, q)
    met = (g[..., None] * k).reshape(len(x), -1, *x.shape[2:])
    return ref.conv(m.out, ref.conv(m.project, met) + q.reshape(met.shape))


def dilated(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c = x.shape[:2]
    q, k, v = (y.reshape(b, m.heads, -1, *x.shape[2:]) for y in ref.conv(m.qkv, x).chunk(3, 1))
    half = m.kernel_size // 2
    spacing = [dilation for dilation, count in m.groups for _ in range(count)]
    out = []
    for head, d in enumerate(spacing):
        at = [(d * i, d * j) for i in range(-half, half + 1) for j in range(-half, half + 1)]
        logits = torch.stack([(q[:, head] * shift(k[:, head], *p)).sum(1) for p in at], 1) / sqrt(c // m.heads)
        weights = ref.softmax(logits, 1)
        out.append(sum(weights[:, i, None] * shift(v[:, head], *p) for i, p in enumerate(at)))
    return ref.conv(m.out, torch.cat(out, 1))


def acmix(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    count, d, half = m.heads, c // m.heads, m.kernel_size // 2
    q, k, v = (ref.conv(layer, x) for layer in (m.query, m.key, m.value))
    rows, columns = (torch.linspace(-1, 1, n, dtype=x.dtype) if n > 1 else -torch.ones(1).double() for n in (h, w))
    p = torch.stack((columns[None].expand(h, w), rows[:, None].expand(h, w)))
    pe = torch.einsum("oi,ihw->ohw", m.position.weight[:, :, 0, 0], p)

    def mirror(at: int, size: int) -> int:
        while not 0 <= at < size:
            at = -at if at < 0 else 2 * (size - 1) - at
            if size == 1:
                return 0
        return at

    attended = torch.zeros(b, count, d, h, w, dtype=x.dtype)
    qh, kh, vh = (y.reshape(b, count, d, h, w) for y in (q, k, v))
    reach = range(-half, half + 1)
    for i in range(h):
        for j in range(w):
            at = [(mirror(i + dy, h), mirror(j + dx, w)) for dy in reach for dx in reach]
            keys = torch.stack([kh[..., y, z] + pe[:, i, j] - pe[:, y, z] for y, z in at], 2)  # (b, heads, k², d)
            weights = ref.softmax(torch.einsum("bhd,bhkd->bhk", qh[..., i, j], keys) / sqrt(d), 2)
            values = torch.stack([vh[..., y, z] for y, z in at], 2)
            attended[..., i, j] = torch.einsum("bhk,bhkd->bhd", weights, values)
    parts = torch.cat([y.reshape(b, count, d, h * w) for y in (q, k, v)], 1)
    nine = torch.einsum("bpdn,op->bdon", parts, m.mix.weight[:, :, 0]).reshape(b, -1, h, w)
    return m.alpha * attended.reshape(x.shape) + m.beta * ref.conv(m.conv, nine)


def mona(ref: Ref, m: Any, x: Tensor) -> Tensor:
    last = x.permute(0, 2, 3, 1)
    normed = ref.standardise(last, 3) * m.norm.weight + m.norm.bias
    z = ref.linear(m.down, normed * m.normed + last * m.raw).permute(0, 3, 1, 2)
    u = z + sum(ref.conv(conv, z) for conv in m.local) / 3
    adapted = ref.gelu(u + ref.conv(m.project, u)).permute(0, 2, 3, 1)
    return x + ref.linear(m.up, adapted).permute(0, 3, 1, 2)


def tssa(ref: Ref, m: Any, x: Tensor) -> Tensor:
    w = heads(ref.conv(m.embed, x), m.heads)
    length = w.square().sum(2, keepdim=True).sqrt()
    pi = ref.softmax((w / length).square().sum(3) * m.temperature, 1)
    share = pi / (pi.sum(2, keepdim=True) + 1e-8)
    moments = torch.einsum("bhn,bhnd->bhd", share, w.square())
    return ref.conv(m.out, joined(-w * pi[..., None] / (1 + moments[:, :, None]), x))


def pola(ref: Ref, m: Any, x: Tensor) -> Tensor:
    h, w = x.shape[2:]
    q, g = ref.conv(m.query_gate, x).chunk(2, 1)
    k, v = ref.conv(m.key_value, x).chunk(2, 1)
    if m.table is not None:
        k = k + resized(m.table, h, w)
    scale, power = torch.log(1 + m.scale.exp())[:, None, None], 1 + m.alpha * ref.sigmoid(m.power)
    q, k, values = (heads(y, m.heads) for y in (q / scale, k / scale, v))
    plus, minus = (lambda y: ref.relu(y) ** power), (lambda y: ref.relu(-y) ** power)
    same = torch.einsum("bhid,bhjd->bhij", plus(q), plus(k)) + torch.einsum("bhid,bhjd->bhij", minus(q), minus(k))
    other = torch.einsum("bhid,bhjd->bhij", minus(q), plus(k)) + torch.einsum("bhid,bhjd->bhij", plus(q), minus(k))
    first, second = values.split((m.first, values.shape[3] - m.first), 3)
    out = torch.cat([s @ y / (s.sum(3, keepdim=True) + h * w * 1e-6) for s, y in ((same, first), (other, second))], 3)
    local = torch.cat([ref.conv(m.local, part) for part in v.chunk(m.heads, 1)], 1)
    return ref.conv(m.out, (joined(out, x) + local) * g)


def s2(ref: Ref, m: Any, x: Tensor) -> Tensor:
    quarter = [0, x.shape[1] // 4, x.shape[1] // 2, 3 * x.shape[1] // 4, x.shape[1]]

    def moved(z: Tensor, directions: list[tuple[int, int]]) -> Tensor:
        out = torch.zeros_like(z)
        for i, (down, right) in enumerate(directions):
            for row in range(z.shape[2]):
                for column in range(z.shape[3]):
                    # A position at the border that has nothing to come from keeps what it has.
                    y = min(max(row - down, 0), z.shape[2] - 1)
                    t = min(max(column - right, 0), z.shape[3] - 1)
                    out[:, quarter[i] : quarter[i + 1], row, column] = z[:, quarter[i] : quarter[i + 1], y, t]
        return out

    first, second, third = ref.conv(m.expand, x).chunk(3, 1)
    down, up, right, left = (1, 0), (-1, 0), (0, 1), (0, -1)
    u = torch.stack((moved(first, [down, up, right, left]), moved(second, [right, left, down, up]), third), 1)
    pooled = u.sum((1, 3, 4))
    logits = ref.linear(m.fc2, ref.gelu(ref.linear(m.fc1, pooled))).reshape(len(x), 3, -1)
    return ref.conv(m.out, (u * ref.softmax(logits, 1)[..., None, None]).sum(1))


def aggregated(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, _, h, w = x.shape
    half = m.kernel_size // 2
    rows, columns = (m.pool_size or max(n // m.sr_ratio, 1) for n in (h, w))

    def cells(size: int, count: int) -> list[list[int]]:
        return [list(range(i * size // count, -(-(i + 1) * size // count))) for i in range(count)]

    def unit(y: Tensor) -> Tensor:
        return y / y.square().sum(2, keepdim=True).sqrt()

    def split(y: Tensor) -> Tensor:
        return y.reshape(b, m.heads, -1, *y.shape[2:])

    z = ref.gelu(ref.conv(m.reduce, x))
    down, across = cells(h, rows), cells(w, columns)
    pooled = torch.stack([torch.stack([z[:, :, r][..., t].mean((2, 3)) for t in across], 2) for r in down], 2)
    pooled = ref.standardise(pooled, 1) * m.norm.weight[:, None, None] + m.norm.bias[:, None, None]
    q = unit(split(ref.conv(m.query, x)))
    near_k, near_v = (split(y) for y in ref.conv(m.key_value, x).chunk(2, 1))
    far_k, far_v = (split(y) for y in ref.conv(m.key_value, pooled).chunk(2, 1))
    near_k, far_k = unit(near_k), unit(far_k)
    temperature = torch.log(1 + m.temperature.exp())[:, 0, 0]
    sides = [(m.pretrain_size or n) - 1 for n in (h, w)]
    out = torch.zeros_like(q)
    for i in range(h):
        for j in range(w):
            one = q[..., i, j]  # (b, heads, d)
            window = [(i + dy, j + dx) for dy in range(-half, half + 1) for dx in range(-half, half + 1)]
            inside = [(p, *at) for p, at in enumerate(window) if 0 <= at[0] < h and 0 <= at[1] < w]
            s = log(len(inside) + rows * columns)
            long = (one + m.embedding[:, :, 0]) * temperature[:, None] * s
            logits, values, extra = [], [], []
            for p, y, t in inside:
                logits.append((long * near_k[..., y, t]).sum(2) + m.near[:, p])
                values.append(near_v[..., y, t])
                extra.append((one * m.tokens[:, p]).sum(2) + m.token_bias[:, p, 0])
            for r, in_rows in enumerate(down):
                for k, in_columns in enumerate(across):
                    apart = [i - sum(in_rows) / len(in_rows), j - sum(in_columns) / len(in_columns)]
                    scaled = [8 * a / side for a, side in zip(apart, sides, strict=True)]
                    place = [(1 if a > 0 else -1) * log(abs(a) + 1) / log(8) for a in scaled]
                    hidden = ref.relu(ref.linear(m.fc1, torch.tensor(place, dtype=x.dtype)))
                    logits.append((long * far_k[..., r, k]).sum(2) + ref.linear(m.fc2, hidden))
                    values.append(far_v[..., r, k])
                    extra.append(torch.zeros_like(logits[0]))
            weights = ref.softmax(torch.stack(logits, 2), 2) + torch.stack(extra, 2)
            out[..., i, j] = torch.einsum("bhk,bhkd->bhd", weights, torch.stack(values, 2))
    return ref.conv(m.out, out.reshape(x.shape))


CASES: list[tuple[Any, str, int, tuple[int, int], dict[str, Any]]] = [
    (s2, "S2Attention", 16, (5, 6), {}),
    (s2, "S2Attention", 7, (3, 4), {}),
    (aggregated, "AggregatedAttention", 16, (4, 8), {}),
    (aggregated, "AggregatedAttention", 12, (5, 7), {"heads": 3, "sr_ratio": 2, "pretrain_size": 9}),
    (aggregated, "AggregatedAttention", 8, (4, 5), {"heads": 2, "kernel_size": 5, "pool_size": 3}),
    (aifi, "AIFI", 16, (5, 7), {"hidden": 24}),
    (aifi, "AIFI", 24, (6, 4), {"hidden": 24, "norm_first": True, "heads": 3}),
    (aifi, "AIFI", 16, (4, 6), {"hidden": 24, "transposed": True}),
    (psa, "PSA", 32, (7, 10), {}),
    (psa, "PSA", 48, (5, 6), {"head_width": 8, "expansion": 0.75, "key_ratio": 0.25}),
    (psa, "PSA", 32, (5, 6), {"head_width": 8, "key_ratio": 2.0}),
    (irmb, "iRMB", 16, (9, 16), {}),
    (irmb, "iRMB", 24, (7, 10), {"expansion": 2.0, "head_width": 6, "norm": "layer", "act": "gelu", "qkv_bias": True}),
    (irmb, "iRMB", 24, (5, 8), {"expansion": 1.5, "head_width": 8, "window": 3, "attend_first": True}),
    (cascaded, "CascadedGroupAttention", 16, (4, 7), {"window": 4}),
    (cascaded, "CascadedGroupAttention", 24, (5, 4), {"heads": 3, "kernels": (5, 3), "window": 3, "key_width": 4}),
    (shsa, "SHSA", 32, (7, 10), {}),
    (shsa, "SHSA", 24, (5, 6), {"ratio": 0.5, "key_width": 20}),
    (cafm, "CAFM", 16, (5, 6), {}),
    (cafm, "CAFM", 24, (5, 6), {"heads": 4, "definition": "paper", "bias": True}),
    (clo, "CloAtt", 16, (6, 10), {}),
    (clo, "CloAtt", 24, (7, 9), {"heads": 4, "local": 0.75, "kernel_size": 3, "window": 4}),
    (clo, "CloAtt", 12, (5, 6), {"heads": 2, "local": 0, "window": 1}),
    (focused, "FocusedLinear", 16, (5, 6), {"table": 4}),
    (focused, "FocusedLinear", 24, (5, 6), {"heads": 3, "focus": 4, "table": 0, "kernel_size": 3}),
    (additive, "EfficientAdditive", 24, (5, 6), {}),
    (additive, "EfficientAdditive", 16, (7, 6), {"heads": 2}),
    (acmix, "ACmix", 16, (5, 6), {}),
    (acmix, "ACmix", 12, (2, 7), {"heads": 3, "kernel_size": 5, "conv_kernel": 5}),
    (mona, "Mona", 24, (7, 10), {"dropout": 0}),
    (mona, "Mona", 12, (5, 6), {"hidden": 8, "dropout": 0}),
    (tssa, "TSSA", 24, (7, 10), {}),
    (tssa, "TSSA", 16, (5, 6), {"heads": 2, "qkv_bias": True}),
    (pola, "PolaFormer", 16, (5, 6), {"table": 4}),
    (pola, "PolaFormer", 15, (5, 6), {"heads": 3, "alpha": 2, "table": 0, "kernel_size": 3, "qkv_bias": True}),
    (dilated, "MSDA", 24, (7, 10), {"heads": 6}),
    (dilated, "MSDA", 16, (5, 6), {"heads": 4, "qkv_bias": True}),
    (dilated, "MSDA", 12, (5, 6), {"heads": 2, "kernel_size": 5, "dilations": (2, 1)}),
]


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize(
    ("oracle", "name", "channels", "shape", "kwargs"), CASES, ids=lambda v: v.__name__ if callable(v) else str(v)
)
def test_equals_the_formula(
    ref: Ref, oracle: Any, name: str, channels: int, shape: tuple[int, int], kwargs: dict[str, Any], training: bool
) -> None:
    ref.compare(oracle, name, channels, shape, training=training, **kwargs)


def test_eight_heads_are_shared_out_among_three_dilations() -> None:
    assert build_attention("MSDA", 64).groups == [(1, 3), (2, 3), (3, 2)]
    assert build_attention("MSDA", 66, heads=6).groups == [(1, 2), (2, 2), (3, 2)]


def test_the_authors_shares_of_the_channels_attend() -> None:
    assert [build_attention("SHSA", c).part for c in (224, 320, 308, 448, 352)] == [48, 68, 66, 96, 75]


def test_the_scale_of_focused_attention_starts_at_log_2() -> None:
    scale = torch.nn.functional.softplus(build_attention("FocusedLinear", 16).scale)
    torch.testing.assert_close(scale, torch.full((16,), log(2)))
