"""Tier 1 mechanisms that gate, against their formulas."""

from typing import Any

import pytest
import torch
from torch import Tensor

from attention import build_attention
from attention.mechanisms.soca import mean_of_root

Ref = Any


def gate(ref: Ref, m: Any, z: Tensor) -> Tensor:
    name = type(m.gate).__name__
    return {"Sigmoid": ref.sigmoid(z), "DoubleSigmoid": 2 * ref.sigmoid(z), "OnePlusTanh": 1 + z.tanh()}[name]


def axes(x: Tensor) -> list[int]:
    return list(range(2, x.dim()))


def wide(z: Tensor, x: Tensor) -> Tensor:
    return z.reshape(*z.shape, *(1,) * (x.dim() - 2))


def se(ref: Ref, m: Any, x: Tensor) -> Tensor:
    z = ref.linear(m.fc2, ref.relu(ref.linear(m.fc1, x.mean(axes(x)))))
    return x * wide(gate(ref, m, z), x)


def eca(ref: Ref, m: Any, x: Tensor) -> Tensor:
    z, k = x.mean(axes(x)), m.conv.weight.numel()
    padded = torch.cat((z.new_zeros(len(z), k // 2), z, z.new_zeros(len(z), k // 2)), 1)
    logits = sum(m.conv.weight.flatten()[i] * padded[:, i : i + z.shape[1]] for i in range(k))
    return x * wide(gate(ref, m, logits), x)


def cbam(ref: Ref, m: Any, x: Tensor) -> Tensor:
    def mlp(z: Tensor) -> Tensor:
        return ref.linear(m.fc2, ref.relu(ref.linear(m.fc1, z)))

    x1 = x * wide(gate(ref, m, mlp(x.mean(axes(x))) + mlp(x.flatten(2).max(2)[0])), x)
    planes = torch.stack((x1.max(1)[0], x1.mean(1)), 1)
    return x1 * gate(ref, m, ref.conv_bn(m.spatial, planes))


def sk_attention(ref: Ref, m: Any, x: Tensor) -> Tensor:
    maps = torch.stack([ref.relu(ref.conv_bn(block, x)) for block in m.convs])
    z = ref.linear(m.fc, maps.sum(0).mean(axes(x)))
    weights = ref.softmax(torch.stack([ref.linear(fc, z) for fc in m.fcs]), 0)
    return (wide(weights, x) * maps).sum(0)


def sk_unit(ref: Ref, m: Any, x: Tensor) -> Tensor:
    maps = torch.stack([ref.relu(ref.conv_bn(block, x)) for block in m.convs])
    z = ref.relu(ref.bn(m.bn, ref.linear(m.fc, maps.sum(0).mean((2, 3)))))
    weights = ref.softmax(torch.stack([ref.linear(fc, z) for fc in m.fcs]), 0)
    return (wide(weights, x) * maps).sum(0)


def sk_dilated(ref: Ref, m: Any, x: Tensor) -> Tensor:
    maps = torch.stack([ref.conv(m.near.conv, x), ref.conv(m.far.conv, x)])
    z = ref.linear(m.fc2, ref.relu(ref.linear(m.fc1, maps.sum(0).mean((2, 3)))))
    c = x.shape[1]
    weights = ref.softmax(torch.stack((z[:, :c], z[:, c:])), 0)
    return (wide(weights, x) * maps).sum(0)


def gam(ref: Ref, m: Any, x: Tensor) -> Tensor:
    rows = x.permute(0, 2, 3, 1)
    hidden = ref.relu(torch.einsum("bhwi,oi->bhwo", rows, m.fc1.weight[:, :, 0, 0]) + m.fc1.bias)
    mask = (torch.einsum("bhwi,oi->bhwo", hidden, m.fc2.weight[:, :, 0, 0]) + m.fc2.bias).permute(0, 3, 1, 2)
    x1 = x * (mask if type(m.channel_gate).__name__ == "Identity" else gate(ref, m, mask))
    hidden = ref.relu(ref.conv_bn(m.squeeze, x1))
    if m.groups > 1 and m.gate_shuffle == 1:
        order = [
            i * hidden.shape[1] // m.groups + j for j in range(hidden.shape[1] // m.groups) for i in range(m.groups)
        ]
        hidden = hidden[:, order]
    mask, step = gate(ref, m, ref.conv_bn(m.expand, hidden)), x.shape[1] // m.gate_shuffle
    return x1 * mask[:, [i * step + j for j in range(step) for i in range(m.gate_shuffle)]]


def coord_att(ref: Ref, m: Any, x: Tensor) -> Tensor:
    strips = torch.cat((x.mean(3), x.mean(2)), 2)
    f = ref.conv_bn(m.squeeze, strips)
    f = f * (f + 3).clamp(0, 6) / 6
    rows, columns = f[:, :, : x.shape[2]], f[:, :, x.shape[2] :]
    return (
        x * gate(ref, m, ref.conv(m.rows, rows))[:, :, :, None] * gate(ref, m, ref.conv(m.columns, columns))[:, :, None]
    )


def simam(ref: Ref, m: Any, x: Tensor) -> Tensor:
    n = x.shape[2] * x.shape[3] - 1
    square = (x - x.mean((2, 3), keepdim=True)) ** 2
    return x * ref.sigmoid(square / (4 * (square.sum((2, 3), keepdim=True) / n + m.lam)) + 0.5)


def shuffle_attention(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    groups = x.reshape(b * m.groups, c // m.groups, h, w)
    first, second = groups.chunk(2, 1)

    def each(p: Tensor) -> Tensor:
        return p[None, :, None, None]

    first = first * ref.sigmoid(first.mean((2, 3), keepdim=True) * each(m.channel_weight) + each(m.channel_bias))
    normed = ref.standardise(second, (2, 3)) * each(m.norm_weight) + each(m.norm_bias)
    second = second * ref.sigmoid(normed * each(m.spatial_weight) + each(m.spatial_bias))
    out = torch.cat((first, second), 1).reshape(b, c, h, w)
    return out[:, [i * c // 2 + j for j in range(c // 2) for i in range(2)]]


def triplet(ref: Ref, m: Any, x: Tensor) -> Tensor:
    def branch(block: Any, order: tuple[int, ...]) -> Tensor:
        turned = x.permute(order)
        planes = torch.stack((turned.max(1)[0], turned.mean(1)), 1)
        return (turned * gate(ref, m, ref.conv_bn(block, planes))).permute(*(order.index(i) for i in range(4)))

    parts = branch(m.channel_width, (0, 2, 1, 3)), branch(m.height_channel, (0, 3, 2, 1))
    return (parts[0] + parts[1] + branch(m.height_width, (0, 1, 2, 3))) / 3


def efficient_multi_scale(ref: Ref, m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    g = x.reshape(b * m.groups, -1, h, w)
    strips = ref.conv(m.strips, torch.cat((g.mean(3), g.mean(2)), 2))
    gated = g * ref.sigmoid(strips[:, :, :h, None]) * ref.sigmoid(strips[:, :, None, h:])
    x1 = ref.standardise(gated, (2, 3)) * m.norm.weight[:, None, None] + m.norm.bias[:, None, None]
    x2 = ref.conv(m.local, g)
    a1, a2 = ref.softmax(x1.mean((2, 3)), 1), ref.softmax(x2.mean((2, 3)), 1)
    mask = torch.einsum("bc,bchw->bhw", a1, x2) + torch.einsum("bc,bchw->bhw", a2, x1)
    return (g * gate(ref, m, mask)[:, None]).reshape(b, c, h, w)


def hard(ref: Ref, m: Any, x: Tensor) -> Tensor:
    if m.axis == "channel":
        z = wide(ref.linear(m.logits[2], ref.relu(ref.linear(m.logits[0], x.mean((2, 3))))), x)
    else:
        z = ref.conv(m.logits[0], x)
    mask = (z > 0).double()
    if m.training:
        p = ref.sigmoid(z)
        mask = mask + p - p.detach()
    return x * mask


def plain_conv(ref: Ref, m: Any, x: Tensor) -> Tensor:
    return x + ref.conv(m.expand, ref.silu(ref.conv_bn(m.reduce, x)))


def soca(ref: Ref, m: Any, x: Tensor) -> Tensor:
    z = x.flatten(2) - x.mean((2, 3))[..., None]
    sigma = torch.einsum("bin,bjn->bij", z, z) / z.shape[2]
    # On a symmetric matrix the iteration works on each eigenvalue by itself.
    values, vectors = torch.linalg.eigh(sigma)
    trace = values.sum(1, keepdim=True)
    y, w = values / trace, torch.ones_like(values)
    for _ in range(m.iterations):
        t = (3 - w * y) / 2
        y, w = y * t, t * w
    root = torch.einsum("bik,bk,bjk->bij", vectors, y * trace.sqrt(), vectors)
    gates = ref.sigmoid(ref.linear(m.fc2, ref.relu(ref.linear(m.fc1, root.mean(1)))))
    return x * wide(gates, x)


CASES: list[tuple[Any, str, int, tuple[int, ...], dict[str, Any]]] = [
    (soca, "SOCA", 32, (7, 10), {}),
    (soca, "SOCA", 12, (5, 6), {"reduction": 2, "iterations": 2}),
    (se, "SE", 48, (7, 10), {}),
    (se, "SE", 32, (9,), {"dims": 1, "bias": False, "gate": "2sigmoid"}),
    (se, "SE", 32, (3, 4, 5), {"dims": 3, "reduction": 4, "gate": "1+tanh"}),
    (eca, "ECA", 48, (7, 10), {}),
    (eca, "ECA", 160, (6,), {"dims": 1, "gate": "2sigmoid"}),
    (eca, "ECA", 16, (3, 4, 5), {"dims": 3, "kernel_size": 7}),
    (cbam, "CBAM", 48, (9, 12), {}),
    (cbam, "CBAM", 32, (15,), {"dims": 1, "gate": "2sigmoid", "bias": False}),
    (cbam, "CBAM", 32, (4, 5, 6), {"dims": 3, "kernel_size": 3, "norm": False}),
    (sk_attention, "SKAttention", 24, (7, 10), {}),
    (sk_attention, "SKAttention", 12, (9,), {"dims": 1, "kernels": (3, 5), "groups": 4}),
    (sk_attention, "SKAttention", 8, (3, 4, 5), {"dims": 3, "kernels": (1, 3)}),
    (sk_unit, "SKUnit", 48, (7, 10), {}),
    (sk_dilated, "SKDilated", 24, (7, 10), {}),
    (gam, "GAM", 24, (9, 11), {}),
    (gam, "GAM", 24, (9, 11), {"groups": 2, "kernel_size": 3, "gate": "2sigmoid"}),
    (gam, "GAM", 24, (9, 11), {"channel_gate": False}),
    (gam, "GAM", 24, (9, 11), {"channel_gate": False, "groups": 3, "gate_shuffle": 4}),
    (coord_att, "CoordAtt", 48, (7, 10), {}),
    (coord_att, "CoordAtt", 48, (7, 10), {"gate": "2sigmoid"}),
    (simam, "SimAM", 16, (7, 10), {}),
    (shuffle_attention, "ShuffleAttention", 48, (7, 10), {}),
    (shuffle_attention, "ShuffleAttention", 48, (7, 10), {"groups": 4}),
    (triplet, "TripletAttention", 24, (9, 12), {}),
    (triplet, "TripletAttention", 24, (9, 12), {"gate": "1+tanh", "kernel_size": 3}),
    (efficient_multi_scale, "EfficientMultiScale", 64, (7, 10), {}),
    (efficient_multi_scale, "EfficientMultiScale", 48, (7, 10), {"groups": 8, "gate": "2sigmoid"}),
    (plain_conv, "PlainConv", 24, (7, 10), {"hidden": 5}),
    (hard, "HardAttention", 48, (7, 10), {}),
    (hard, "HardAttention", 48, (7, 10), {"axis": "spatial"}),
]


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize(
    ("oracle", "name", "channels", "shape", "kwargs"), CASES, ids=lambda v: v.__name__ if callable(v) else str(v)
)
def test_equals_the_formula(
    ref: Ref, oracle: Any, name: str, channels: int, shape: tuple[int, ...], kwargs: dict[str, Any], training: bool
) -> None:
    ref.compare(oracle, name, channels, shape, training=training, **kwargs)


def test_gam_repeats_the_border() -> None:
    """A map that is constant stays constant only if the border is repeated, at every position."""
    torch.manual_seed(0)
    layer = build_attention("GAM", 16, border="replicate").eval()
    x = torch.randn(1, 16, 1, 1).expand(1, 16, 9, 12)
    y = layer(x)
    assert (y - y[:, :, 4:5, 5:6]).abs().max() < 1e-5
    zeros = build_attention("GAM", 16).eval()
    y = zeros(x)
    assert (y - y[:, :, 4:5, 5:6]).abs().max() > 1e-3


def test_the_root_of_a_covariance_after_many_iterations() -> None:
    """Channels that vary apart, by 1, 2 and 3: the root of their covariance is diag(1, 2, 3)."""
    signs = torch.tensor([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], dtype=torch.float64)
    x = signs * torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64) + 5
    torch.testing.assert_close(mean_of_root(x[None], 30), torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64) / 3)
