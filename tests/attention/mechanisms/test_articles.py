"""The definitions that circulate in articles, reproduced by options with their weights carried over."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention import build_attention


@pytest.fixture(autouse=True)
def _same_draws_in_float64() -> Iterator[None]:
    """Single precision's rounding, relative to a gate that happens to be all but closed, is no other formula."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def close(ours: Tensor, theirs: Tensor) -> None:
    assert (ours - theirs).abs().max() <= 1e-9 * theirs.abs().max()


def take(ours: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """Load weights under our names, reshaped where a 1 × 1 convolution stands for a linear layer."""
    state = ours.state_dict()
    ours.load_state_dict({k: weights[k].reshape(v.shape) if k in weights else v for k, v in state.items()})
    assert set(weights) <= set(state)
    return ours.eval()


def test_se_without_biases() -> None:
    w1, w2, x = torch.randn(8, 128), torch.randn(128, 8), torch.randn(2, 128, 9, 7)
    theirs = x * torch.sigmoid(F.relu(x.mean((2, 3)) @ w1.t()) @ w2.t())[:, :, None, None]
    ours = build_attention("SE", 128, reduction=16, bias=False, min_hidden=1)
    close(take(ours, {"fc1.weight": w1, "fc2.weight": w2})(x), theirs)


def test_eca_of_kernel_3() -> None:
    w, x = torch.randn(1, 1, 3), torch.randn(2, 128, 9, 7)
    theirs = x * torch.sigmoid(F.conv1d(x.mean((2, 3))[:, None], w, padding=1))[:, 0, :, None, None]
    close(take(build_attention("ECA", 128, kernel_size=3), {"conv.weight": w})(x), theirs)


def test_cbam_with_a_plain_3x3() -> None:
    c = 64
    w1, b1, w2, b2 = torch.randn(4, c, 1, 1), torch.randn(4), torch.randn(c, 4, 1, 1), torch.randn(c)
    ws, bs, x = torch.randn(1, 2, 3, 3), torch.randn(1), torch.randn(2, c, 9, 7)

    def mlp(z: Tensor) -> Tensor:
        return F.conv2d(F.relu(F.conv2d(z, w1, b1)), w2, b2)

    x1 = x * torch.sigmoid(mlp(F.adaptive_avg_pool2d(x, 1)) + mlp(F.adaptive_max_pool2d(x, 1)))
    planes = torch.cat((x1.mean(1, True), x1.max(1, True)[0]), 1)  # mean first, so the kernel's planes are swapped
    theirs = x1 * torch.sigmoid(F.conv2d(planes, ws, bs, padding=1))
    ours = build_attention("CBAM", c, kernel_size=3, norm=False)
    weights = {"fc1.weight": w1, "fc1.bias": b1, "fc2.weight": w2, "fc2.bias": b2}
    close(take(ours, {**weights, "spatial.conv.weight": ws.flip(1), "spatial.conv.bias": bs})(x), theirs)


def test_gam_without_the_channel_sigmoid() -> None:
    c, r = 32, 4
    fc1, fc2 = nn.Linear(c, c // r), nn.Linear(c // r, c)
    conv1, conv2 = nn.Conv2d(c, c // r, 7, padding=3), nn.Conv2d(c // r, c, 7, padding=3)
    bn1, bn2 = nn.BatchNorm2d(c // r).eval(), nn.BatchNorm2d(c).eval()
    x = torch.randn(2, c, 9, 7)
    x1 = x * fc2(F.relu(fc1(x.permute(0, 3, 2, 1)))).permute(0, 3, 2, 1)
    theirs = x1 * torch.sigmoid(bn2(conv2(F.relu(bn1(conv1(x1))))))
    parts = {"fc1": fc1, "fc2": fc2, "squeeze.conv": conv1, "squeeze.bn": bn1, "expand.conv": conv2, "expand.bn": bn2}
    weights = {f"{name}.{key}": value for name, layer in parts.items() for key, value in layer.state_dict().items()}
    close(take(build_attention("GAM", c, reduction=r, channel_gate=False), weights)(x), theirs)


def test_skattention_takes_the_articles_state_dict_as_it_is() -> None:
    c, kernels = 32, (1, 3, 5, 7)
    theirs = nn.Module()
    theirs.convs = nn.ModuleList(nn.Sequential() for _ in kernels)
    for branch, k in zip(theirs.convs, kernels, strict=True):
        branch.add_module("conv", nn.Conv2d(c, c, k, padding=k // 2))
        branch.add_module("bn", nn.BatchNorm2d(c))
        branch.add_module("relu", nn.ReLU())
    theirs.fc = nn.Linear(c, 32)
    theirs.fcs = nn.ModuleList(nn.Linear(32, c) for _ in kernels)
    ours = build_attention("SKAttention", c)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, c, 9, 7)
    for mode in (False, True):
        maps = torch.stack([branch(x) for branch in theirs.train(mode).convs])
        z = theirs.fc(maps.sum(0).mean(-1).mean(-1))
        weights = torch.stack([fc(z)[:, :, None, None] for fc in theirs.fcs]).softmax(0)
        close(ours.train(mode)(x), (weights * maps).sum(0))


@pytest.mark.parametrize("softmax", [True, False])
def test_skdilated_is_the_article_with_the_softmax_that_it_forgot(softmax: bool) -> None:
    c = 64
    near, far = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, c, 3, padding=2, dilation=2)
    w1, w2, x = torch.randn(4, c), torch.randn(2 * c, 4), torch.randn(2, c, 9, 7)
    a, b = near(x), far(x)
    z = (F.relu((a + b).mean((2, 3)) @ w1.t()) @ w2.t()).view(2, 2, c)
    z = (z.softmax(1) if softmax else z)[..., None, None]
    weights = {"near.conv.weight": near.weight, "near.conv.bias": near.bias, "fc1.weight": w1, "fc2.weight": w2}
    weights |= {"far.conv.weight": far.weight, "far.conv.bias": far.bias}
    close(take(build_attention("SKDilated", c, softmax=softmax), weights)(x), z[:, 0] * a + z[:, 1] * b)
