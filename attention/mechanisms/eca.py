"""ECA: efficient channel attention."""

import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import adaptive_kernel_size, odd, one_of, positive
from attention.layers.conv_norm import zero_init
from attention.layers.gates import make_gate
from attention.layers.gating import gate_channels
from attention.layers.pooling import pool_mean
from attention.registry import ATTENTION


@ATTENTION.register("ECA", "ECANet", "EfficientChannelAttention")
class ECA(nn.Module):
    """Gate each channel by the means of its neighbours in channel order, with one shared kernel.

    y = x ⊙ σ(conv1d_k(GAP(x)))

    The convolution slides over the channel index, so the result depends on the order of channels.

    Args:
        channels: C of input and output, ≥ 1.
        kernel_size: k, odd; None follows the paper's rule (3 up to 64 channels, 5 up to 1024). The authors' code passes
            3 to 7 by hand and defaults to 3.
        gate: sigmoid, 2sigmoid or 1+tanh; the last two start as the identity.
        dims: number of spatial axes, 1, 2 or 3.

    Shape:
        input (B, C, *spatial) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if kernel_size is even or an argument is out of range.

    Source:
        Wang et al., ECA-Net, CVPR 2020, arXiv:1910.03151, §3.2 and eq. 12; authors' code BangguWu/ECANet
        models/eca_module.py. Differs: never a kernel of 1 (the rule gives one for C < 8).
    """

    def __init__(self, channels: int, kernel_size: int | None = None, *, gate: str = "sigmoid", dims: int = 2) -> None:
        super().__init__()
        positive(channels=channels)
        one_of(dims, (1, 2, 3), "dims")
        size = adaptive_kernel_size(channels) if kernel_size is None else kernel_size
        odd(kernel_size=size)
        self.margin = size // 2
        self.conv = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)
        self.gate = make_gate(gate)
        self.starts_at_identity = gate != "sigmoid"
        if self.starts_at_identity:
            zero_init(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels of x (B, C, *spatial)."""
        # The batch of channel sequences as one image (1, 1, B, C): several times faster than a 1-D convolution.
        kernel = self.conv.weight.unsqueeze(2)
        logits = F.conv2d(pool_mean(x)[None, None], kernel, padding=(0, self.margin))[0, 0]
        return gate_channels(x, self.gate(logits))
