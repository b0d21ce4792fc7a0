"""DeformableLKA: large kernel attention whose kernels bend."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import positive
from attention.layers.tensor_ops import keep_format, upcast
from attention.registry import ATTENTION


class DeformableDepthwise(nn.Module):
    """Depthwise convolution that reads each of its k² inputs at a place that the map itself moves.

    Args:
        channels: C of input and output.
        kernel: k, odd.
        dilation: spacing of the kernel before it is moved.

    Shape:
        (B, C, H, W) → the same.
    """

    def __init__(self, channels: int, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        reach = dilation * (kernel // 2)
        self.offsets = nn.Conv2d(channels, 2 * kernel**2, kernel, padding=reach, dilation=dilation)
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel, kernel))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        self.dilation = dilation

    def forward(self, x: Tensor) -> Tensor:
        """Sum the moved inputs, one row of the kernel at a time."""
        kernel = self.weight.shape[2]
        height, width = x.shape[2], x.shape[3]
        moved = upcast(self.offsets(x))
        source, weight = upcast(x), upcast(self.weight)
        rows = torch.arange(height, device=x.device).to(source.dtype).unsqueeze(1)
        columns = torch.arange(width, device=x.device).to(source.dtype)
        steps = [self.dilation * (i - kernel // 2) for i in range(kernel)]
        out = torch.zeros_like(source)
        for i in range(kernel):
            places = []
            for j in range(kernel):
                entry = 2 * (i * kernel + j)
                across = columns + moved[:, entry + 1] + steps[j]
                down = rows + moved[:, entry] + steps[i]
                # Pixel centres to the −1 … 1 of grid_sample.
                places.append(torch.stack(((2 * across + 1) / width - 1, (2 * down + 1) / height - 1), -1))
            samples = F.grid_sample(source, torch.cat(places, 1), align_corners=False)  # (B, C, k·H, W)
            samples = samples.reshape(x.shape[0], x.shape[1], kernel, height, width)
            out = out + (samples * weight[:, 0, i, :, None, None]).sum(2)
        return out.to(x.dtype)


@ATTENTION.register("DeformableLKA", "deformable_LKA")
class DeformableLKA(nn.Module):
    """Multiply the map by a large depthwise kernel of itself whose sampling points follow the content.

    y = x ⊙ W D₇,dilation 3(D₅(x)), where D_k is Σ w ⊙ x(p + Δp) over a k × k kernel and Δp = conv_k(x)

    Args:
        channels: C of input and output, ≥ 1.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. A product of two maps: prefer bfloat16
        to float16.

    Raises:
        ValueError: if channels < 1.

    Source:
        Azad et al., Beyond Self-Attention: Deformable Large Kernel Attention, WACV 2024, arXiv:2309.00121, §3.2;
        authors' code xmindflow/deformableLKA 2D/deformable_LKA/deformable_LKA.py (deformable_LKA). Differs: sampled by
        grid_sample, which exports, where theirs calls torchvision's deform_conv2d (the same function); the 1 × 1
        convolutions and the shortcut around it are left out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        positive(channels=channels)
        self.near = DeformableDepthwise(channels, 5)
        self.far = DeformableDepthwise(channels, 7, dilation=3)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh x (B, C, H, W)."""
        return keep_format(x * self.project(self.far(self.near(x))).to(x.dtype), x)
