"""RepConv: branches in training that one convolution replaces afterwards."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from models.catalog.channel_rules import scaled
from models.catalog.registry import register_block


@register_block(scaled(stride_at=2))
class RepConv(nn.Module):
    """A 3 × 3 convolution beside a 1 × 1 one and, where shapes allow, the identity; each normalised, summed, activated.

    Args:
        c1: channels read.
        c2: channels returned.
        k: kernel, 3.
        s: stride.
        p: padding, 1.
        g: groups.
        act: the model's activation (True), none (False), or a module.
        deploy: construct the merged form, one convolution with a bias.

    Shape:
        input (B, c1, H, W); output (B, c2, H / s, W / s).

    Raises:
        ValueError: for another kernel or padding.

    Source:
        Ding et al., RepVGG, CVPR 2021, arXiv:2101.03697; Wang et al., YOLOv7, arXiv:2207.02696. Tensor names are those
        of WongKinYiu/yolov7.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        p: int | None = None,
        g: int = 1,
        act: bool | nn.Module = True,
        deploy: bool = False,
    ) -> None:
        super().__init__()
        if k != 3 or p not in (None, 1):
            raise ValueError(f"kernel {k} with padding {p}: RepConv has kernel 3 and padding 1")
        self.act = _activation(act)
        self.out_channels = c2
        if deploy:
            self.rbr_reparam = nn.Conv2d(c1, c2, 3, s, 1, groups=g)
            return
        if c1 == c2 and s == 1:
            self.rbr_identity = nn.BatchNorm2d(c1)
        self.rbr_dense = nn.Sequential(nn.Conv2d(c1, c2, 3, s, 1, groups=g, bias=False), nn.BatchNorm2d(c2))
        self.rbr_1x1 = nn.Sequential(nn.Conv2d(c1, c2, 1, s, 0, groups=g, bias=False), nn.BatchNorm2d(c2))

    @property
    def merged(self) -> bool:
        """Whether one convolution stands for all branches."""
        return hasattr(self, "rbr_reparam")

    def forward(self, x: Tensor) -> Tensor:
        """Sum the branches, or run the merged convolution, and activate."""
        if self.merged:
            out = self.rbr_reparam(x)
        else:
            out = self.rbr_dense(x) + self.rbr_1x1(x)
            if hasattr(self, "rbr_identity"):
                out = out + self.rbr_identity(x)
        activated: Tensor = self.act(out)
        return activated

    @torch.no_grad()
    def fuse(self) -> None:
        """Merge the branches into one convolution, in place; nothing happens the second time."""
        if self.merged:
            return
        branches: tuple[Any, Any] = (self.rbr_dense, self.rbr_1x1)
        (dense, dense_norm), (narrow, narrow_norm) = branches
        weight, bias = _normalised(dense.weight, dense_norm)
        weight_1x1, bias_1x1 = _normalised(pad(narrow.weight, [1, 1, 1, 1]), narrow_norm)
        weight, bias = weight + weight_1x1, bias + bias_1x1
        if hasattr(self, "rbr_identity"):
            weight_id, bias_id = _normalised(_identity_kernel(dense), self.rbr_identity)
            weight, bias = weight + weight_id, bias + bias_id
            del self.rbr_identity
        conv = nn.Conv2d(dense.in_channels, dense.out_channels, 3, dense.stride, 1, groups=dense.groups)
        conv = conv.to(weight.device, weight.dtype)
        conv.weight.copy_(weight)
        assert conv.bias is not None  # noqa: S101 - constructed with one; tells the type checker
        conv.bias.copy_(bias)
        conv.requires_grad_(dense.weight.requires_grad)
        del self.rbr_dense, self.rbr_1x1
        self.rbr_reparam = conv


def _activation(act: Any) -> nn.Module:
    if act is True:
        from models.upstream.layers import Conv

        default: nn.Module = Conv.default_act
        return default
    return act if isinstance(act, nn.Module) else nn.Identity()


def _normalised(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution (c2, c1 / g, 3, 3) with the normalisation after it folded in."""
    mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    scale = norm.weight / (variance + norm.eps).sqrt()
    return weight * scale.view(-1, 1, 1, 1), norm.bias - mean * scale


def _identity_kernel(like: nn.Conv2d) -> Tensor:
    """Return the 3 × 3 kernel that leaves a map as it is, in the form of the given convolution's weight."""
    kernel = torch.zeros_like(like.weight)
    rows = torch.arange(like.out_channels, device=kernel.device)
    kernel[rows, rows % kernel.shape[1], 1, 1] = 1
    return kernel
