"""Attention inside a block: after the last convolution of its units, or after its output convolution.

The convolution is swapped for a subclass of its own class with a child `attention`, so the block's state-dict keys
stay as they are and
copies (the EMA's among them) carry the attention along, which closures and hooks would not.
"""

from collections.abc import Callable

from torch import Tensor, nn

from models.upstream import Conv


class AttendedConv(Conv):
    """A Conv whose output goes through attention."""

    attention: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, normalise, activate, attend."""
        attended: Tensor = self.attention(super().forward(x))
        return attended

    def forward_fuse(self, x: Tensor) -> Tensor:
        """Do the same once convolution and normalisation are one; ultralytics' fuse() switches to this."""
        attended: Tensor = self.attention(super().forward_fuse(x))
        return attended


def attend(block: nn.Module, where: str, make: Callable[[int], nn.Module]) -> None:
    """Put attention inside a block.

    Args:
        block: the layer, already constructed.
        where: "each" or "last".
        make: called with the channels of each place; returns the mechanism.

    Raises:
        ValueError: if the block has no inside, or the convolution there is of a kind that cannot take attention.
    """
    blocks = list(block) if type(block) is nn.Sequential else [block]  # number > 1
    for one in blocks:
        for conv in _places(one, where):
            mechanism = make(conv.conv.out_channels)
            if type(conv) is Conv:
                conv.__class__ = AttendedConv
                conv.attention = mechanism
            elif type(conv) is AttendedConv:
                conv.attention = nn.Sequential(*_chain(conv.attention), mechanism)
            else:
                raise ValueError(
                    f"the convolution there is a {type(conv).__name__}, which cannot take attention inside; use at"
                )


def _chain(attention: nn.Module) -> list[nn.Module]:
    return list(attention) if type(attention) is nn.Sequential else [attention]


def _places(block: nn.Module, where: str) -> list[Conv]:
    """Return the convolutions after which attention goes."""
    units = _units(block) if where == "each" else []
    found = [_last_conv(unit) for unit in units] if units else [_last_conv(block)]
    places = [conv for conv in found if conv is not None]
    if not places:
        raise ValueError(f"a {type(block).__name__} has no inside; use at")
    return places


def _units(block: nn.Module) -> list[nn.Module]:
    """Return the repeated units of a block (the Bottlenecks of a C3, say); none where it has none."""
    repeated = getattr(block, "m", None)
    if isinstance(repeated, nn.Sequential | nn.ModuleList):
        return [unit for child in repeated for unit in (_units(child) or [child]) if _last_conv(unit) is not None]
    return []


def _last_conv(block: nn.Module) -> Conv | None:
    """Return the convolution that makes a block's output: the highest-numbered cvN, or the block itself."""
    if isinstance(block, Conv):
        return block
    named = {name: child for name, child in block.named_children() if name.startswith("cv") and name[2:].isdigit()}
    for name in sorted(named, key=lambda n: int(n[2:]), reverse=True):
        if isinstance(named[name], Conv):
            return named[name]  # type: ignore[return-value]
    return None
