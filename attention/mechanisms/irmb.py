"""iRMB: inverted residual mobile block."""

from torch import Tensor, nn

from attention.layers.checks import largest_divisor, odd, one_of, positive
from attention.layers.conv_norm import BatchNorm2d, ConvNorm
from attention.layers.tensor_ops import dot_product_attention, from_tokens, keep_format, tokens
from attention.layers.windows import from_windows, pad_to_windows, to_windows
from attention.registry import ATTENTION

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU}


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each position.

    Args:
        channels: C.

    Shape:
        (B, C, H, W) → the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every position."""
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@ATTENTION.register("iRMB")
class IRMB(nn.Module):
    """Attend within windows of spread positions, convolve depthwise, project, each with a shortcut.

    z = Norm(x);  a = softmax(qᵀk / √d) v within windows of z, v = δ(W_v z);  u = a + SiLU(BN(dw(a)));  y = x + W u

    A window holds w × w positions as far apart as possible. Where w does not divide the map, zeros are appended behind
    the normalisation and take part, as in the authors' code.

    Args:
        channels: C of input and output, ≥ 1.
        expansion: width of the values over C; made a multiple of the number of heads.
        kernel_size: of the depthwise convolution, odd.
        head_width: wanted channels per head; there are as many heads as the largest divisor of C up to C // head_width.
        window: w.
        norm: batch or layer, the first normalisation.
        act: relu, silu or gelu, δ of the values.
        qkv_bias: whether the maps to q, k and v have biases.
        attend_first: attend to z itself and then apply W_v and δ, as in the authors' networks.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if kernel_size is even, norm or act unknown, or an argument is out of range.

    Source:
        Zhang et al., Rethinking Mobile Block for Efficient Attention-based Models (EMO), ICCV 2023, arXiv:2301.01146,
        §3.2; authors' code zhangzjn/EMO model/emo.py (iRMB, defaults of the class; their EMO has expansion 2 to 3.5,
        kernel_size 5, norm layer, act gelu, qkv_bias and attend_first in its attention stages). Differs: any width;
        without its dropouts and squeeze-and-excitation, which are off there.
    """

    def __init__(
        self,
        channels: int,
        expansion: float = 1.0,
        kernel_size: int = 3,
        *,
        head_width: int = 64,
        window: int = 7,
        norm: str = "batch",
        act: str = "relu",
        qkv_bias: bool = False,
        attend_first: bool = False,
    ) -> None:
        super().__init__()
        positive(channels=channels, head_width=head_width, window=window)
        odd(kernel_size=kernel_size)
        one_of(norm, ("batch", "layer"), "norm")
        one_of(act, tuple(ACTIVATIONS), "act")
        if not expansion > 0:
            raise ValueError(f"expansion={expansion!r}, expected a positive number")
        self.heads = largest_divisor(channels, max(channels // head_width, 1))
        wide = max(int(channels * expansion) // self.heads, 1) * self.heads
        self.scale = (channels // self.heads) ** -0.5
        self.wider = 0 if attend_first else (channels - wide) // self.heads  # queries over values
        self.window = window
        self.attend_first = attend_first
        self.norm: nn.Module = BatchNorm2d(channels, eps=1e-6) if norm == "batch" else ChannelNorm(channels)
        self.query_key = nn.Conv2d(channels, 2 * channels, 1, bias=qkv_bias)
        self.value = nn.Conv2d(channels, wide, 1, bias=qkv_bias)
        self.act = ACTIVATIONS[act]()
        self.local = ConvNorm(wide, wide, kernel_size, groups=wide, act=nn.SiLU(), eps=1e-6)
        self.project = nn.Conv2d(wide, channels, 1, bias=False)

    def _attend(self, windows: Tensor) -> Tensor:
        """(windows, C, w, w) → (windows, wide, w, w)."""
        query, key = (tokens(part, self.heads) for part in self.query_key(windows).chunk(2, 1))
        source = windows if self.attend_first else self.act(self.value(windows))
        value = tokens(source, self.heads)
        out = from_tokens(dot_product_attention(query, key, value, self.scale, wider=self.wider), windows)
        return self.act(self.value(out)) if self.attend_first else out

    def forward(self, x: Tensor) -> Tensor:
        """Attend and convolve x (B, C, H, W)."""
        cut = to_windows(pad_to_windows(self.norm(x), self.window), self.window, spread=True)
        attended = from_windows(self._attend(cut), x, spread=True).contiguous()
        return keep_format(x + self.project(attended + self.local(attended)).to(x.dtype), x)
