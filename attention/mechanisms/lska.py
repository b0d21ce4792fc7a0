"""LSKA: large separable kernel attention."""

from torch import Tensor, nn

from attention.layers.checks import one_of, positive
from attention.layers.initial_values import by_fan_out
from attention.registry import ATTENTION

# Size of the whole kernel → local kernel, dilated kernel, dilation.
KERNELS = {7: (3, 3, 2), 11: (3, 5, 2), 23: (5, 7, 3), 35: (5, 11, 3), 41: (5, 13, 3), 53: (5, 17, 3)}


@ATTENTION.register("LSKA")
class LSKA(nn.Module):
    """Multiply the map by a large depthwise kernel of itself that is cut into four strips.

    y = x ⊙ W dw_{k₂×1,d} dw_{1×k₂,d} dw_{k₁×1} dw_{1×k₁}(x)

    Args:
        channels: C of input and output, ≥ 1.
        kernel_size: size of the whole kernel: 7, 11, 23, 35, 41 or 53; it fixes k₁, k₂ and d.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. A product of two maps: prefer bfloat16
        to float16.

    Raises:
        ValueError: if kernel_size is none of these or channels < 1.

    Source:
        Lau, Po, Rehman, Large Separable Kernel Attention, Expert Syst. Appl. 2024, arXiv:2309.01439, §3.2; authors'
        code StevenLauHKHK/Large-Separable-Kernel-Attention models/van.py (LSKA, initial values as there). Differs:
        nothing; the 1 × 1 convolutions and the shortcut around it are left out.
    """

    def __init__(self, channels: int, kernel_size: int = 7) -> None:
        super().__init__()
        positive(channels=channels)
        one_of(kernel_size, tuple(KERNELS), "kernel_size")
        near, far, spacing = KERNELS[kernel_size]

        def strip(size: tuple[int, int], dilation: int) -> nn.Conv2d:
            padding = tuple(dilation * (n // 2) for n in size)
            return nn.Conv2d(channels, channels, size, padding=padding, dilation=dilation, groups=channels)  # type: ignore[arg-type]

        self.strips = nn.Sequential(
            strip((1, near), 1), strip((near, 1), 1), strip((1, far), spacing), strip((far, 1), spacing)
        )
        self.project = nn.Conv2d(channels, channels, 1)
        by_fan_out(*self.strips, self.project)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh x (B, C, H, W)."""
        return x * self.project(self.strips(x)).to(x.dtype)
