"""GAM: global attention mechanism."""

from torch import Tensor, nn

from attention.layers.checks import odd, one_of, positive, reduced_channels
from attention.layers.conv_norm import ConvNorm, zero_init
from attention.layers.gates import make_gate
from attention.layers.gating import times
from attention.layers.tensor_ops import shuffle_channels
from attention.registry import ATTENTION


@ATTENTION.register("GAM")
class GAM(nn.Module):
    """Gate every element twice, by the channels at its position and by its 7 × 7 neighbourhood; nothing is pooled.

    x₁ = x ⊙ σ(W₂ δ(W₁ x + b₁) + b₂);  y = x₁ ⊙ σ(BN(conv₇(δ(BN(conv₇(x₁))))))

    The two wide convolutions make it the most expensive of the plug-in mechanisms: about 25·C² multiply–adds per pixel.

    Args:
        channels: C of input and output, ≥ 1.
        reduction: r of both bottlenecks; their width is max(C // r, min_hidden).
        kernel_size: of the two spatial convolutions, odd.
        groups: of the two spatial convolutions, with a channel shuffle between them; must divide C and the hidden
            width.
        min_hidden: smallest hidden width.
        gate_shuffle: groups by which the channels of the second gate are shuffled, in place of the shuffle between the
            convolutions, as copies for detectors do; 1 shuffles nothing; must divide C.
        border: of the two spatial convolutions, zeros or replicate, which repeats the outermost pixels.
        channel_gate: whether the channel mask goes through the gate, as in the paper; widely copied code leaves it out.
        gate: sigmoid, 2sigmoid or 1+tanh; the last two start as the identity.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if kernel_size is even, groups does not divide the widths, or an argument is out of range.

    Source:
        Liu, Shao, Hoffmann, Global Attention Mechanism, 2021, arXiv:2112.05561, §3; no authors' code was published.
        Differs: 1 × 1 convolutions instead of permuted linear layers (the same function).
    """

    def __init__(
        self,
        channels: int,
        reduction: float = 4,
        kernel_size: int = 7,
        *,
        groups: int = 1,
        min_hidden: int = 4,
        gate_shuffle: int = 1,
        border: str = "zeros",
        channel_gate: bool = True,
        gate: str = "sigmoid",
    ) -> None:
        super().__init__()
        odd(kernel_size=kernel_size)
        positive(groups=groups, gate_shuffle=gate_shuffle)
        one_of(border, ("zeros", "replicate"), "border")
        one_of(channel_gate, (True, False), "channel_gate")
        hidden = reduced_channels(channels, reduction, min_hidden)
        if channels % groups or hidden % groups:
            raise ValueError(f"groups={groups} does not divide channels={channels} and the hidden width {hidden}")
        if channels % gate_shuffle:
            raise ValueError(f"gate_shuffle={gate_shuffle} does not divide channels={channels}")
        if gate != "sigmoid" and not channel_gate:
            raise ValueError(f"gate={gate!r} starts as the identity, which needs channel_gate=True")
        self.groups = groups
        self.gate_shuffle = gate_shuffle
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(hidden, channels, 1)
        self.squeeze = ConvNorm(channels, hidden, kernel_size, groups=groups, bias=True, act=nn.ReLU(inplace=True))
        self.expand = ConvNorm(hidden, channels, kernel_size, groups=groups, bias=True)
        self.squeeze.conv.padding_mode = self.expand.conv.padding_mode = border  # type: ignore[assignment]
        self.gate = make_gate(gate)
        self.channel_gate = self.gate if channel_gate else nn.Identity()
        self.starts_at_identity = gate != "sigmoid"
        if self.starts_at_identity:
            zero_init(self.fc2)
            zero_init(self.expand.bn)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the elements of x (B, C, H, W)."""
        x = times(self.channel_gate(self.fc2(self.act(self.fc1(x)))).to(x.dtype), x)
        hidden = self.squeeze(x)
        if self.groups > 1 and self.gate_shuffle == 1:
            hidden = shuffle_channels(hidden, self.groups)
        # Not by self.expand(hidden), which would keep the hidden map until the normalisation is done.
        hidden = self.expand.conv(hidden)
        hidden = self.expand.bn(hidden)
        mask = self.gate(hidden)
        return times(x, mask if self.gate_shuffle == 1 else shuffle_channels(mask, self.gate_shuffle))
