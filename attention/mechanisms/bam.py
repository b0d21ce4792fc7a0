"""BAM: bottleneck attention module."""

from torch import Tensor, nn

from attention.layers.checks import one_of, positive, reduced_channels
from attention.layers.conv_norm import BatchNorm1d, ConvNorm, Merging
from attention.layers.pooling import pool_mean
from attention.registry import ATTENTION


@ATTENTION.register("BAM")
class BAM(Merging):
    """Combine a channel branch and a dilated spatial branch into one gate, and add what it lets through.

    M_c = W₂ δ(BN(W₁ GAP(x)));  M_s = conv₁ · (δ BN conv₃,dilated)² · δ BN conv₁ (x);
    y = x ⊙ (1 + σ(M_c ⊙ M_s)) (mul) or x ⊙ (1 + σ(BN(M_c) + BN(M_s))) (sum)

    Args:
        channels: C of input and output, ≥ 1.
        reduction: r; the hidden width is max(C // r, min_hidden).
        dilation: of the two 3 × 3 convolutions.
        combine: mul, as the authors' code, or sum, as their paper.
        final_norm: whether both branches end in batch normalisation; None means with sum, as the paper.
        min_hidden: smallest hidden width (the authors have none).

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if combine is unknown or an argument is out of range.

    Source:
        Park et al., BAM, BMVC 2018, arXiv:1807.06514, §3; authors' code Jongchan/attention-module MODELS/bam.py, whose
        product is the default. Differs: pools the whole map where theirs pools a square corner; min_hidden; a single
        image in training mode uses the running statistics.
    """

    merges = (("channel.0", "channel.1"), ("channel.3", "channel_norm"))

    def __init__(
        self,
        channels: int,
        reduction: float = 16,
        dilation: int = 4,
        *,
        combine: str = "mul",
        final_norm: bool | None = None,
        min_hidden: int = 4,
    ) -> None:
        super().__init__()
        positive(dilation=dilation)
        one_of(combine, ("mul", "sum"), "combine")
        hidden = reduced_channels(channels, reduction, min_hidden)
        norm = combine == "sum" if final_norm is None else final_norm
        self.combine = combine
        self.channel = nn.Sequential(
            nn.Linear(channels, hidden), BatchNorm1d(hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels)
        )
        self.channel_norm = BatchNorm1d(channels) if norm else nn.Identity()
        self.spatial = nn.Sequential(
            ConvNorm(channels, hidden, bias=True, act=nn.ReLU(inplace=True)),
            ConvNorm(hidden, hidden, 3, dilation=dilation, bias=True, act=nn.ReLU(inplace=True)),
            ConvNorm(hidden, hidden, 3, dilation=dilation, bias=True, act=nn.ReLU(inplace=True)),
            ConvNorm(hidden, 1, bias=True, norm=norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Gate x (B, C, H, W) and add it."""
        channel = self.channel_norm(self.channel(pool_mean(x)))[..., None, None]
        spatial = self.spatial(x)
        logits = channel * spatial if self.combine == "mul" else channel + spatial
        return x + x * logits.sigmoid().to(x.dtype)
