"""Attention inside a block: after the last convolution of its units, or after its output convolution.

The convolution is swapped for a subclass of its own class with children `attention`, `attention_2`, …, so the block's
state-dict keys stay as they are and copies (the EMA's among them) carry the attention along, which closures and hooks
would not.
"""

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from attention.attended import Attended, append_attention, plain_class
from models.blocks import (
    asff,
    bifpn,
    efficientnet,
    elan,
    light,
    repconv,
    repvgg,
    slim_neck,
    space_to_depth,
    yolov7,
    yolov7_tiny,
)
from models.upstream.layers import block as blocks
from models.upstream.layers import conv as convolutions

# Repeated units, and the child after which attention goes: the last before the unit's shortcut is added.
UNITS: dict[type[nn.Module], str] = {
    blocks.Bottleneck: "cv2",
    blocks.GhostBottleneck: "conv.-1",
    blocks.CIB: "cv1.-1",
    blocks.PSABlock: "ffn.-1",
    blocks.ABlock: "mlp.-1",
    elan.ConvStack: "-1",
    efficientnet.InvertedBlock: "block.-1",
    light.MobileNetV3_InvertedResidual: "conv.-1",
}
# torchvision's, by name: importing it takes seconds, and a model without its stages does not.
TORCHVISION_UNITS = {
    "torchvision.models.resnet.BasicBlock": "bn2",
    "torchvision.models.resnet.Bottleneck": "bn3",
    "torchvision.models.mobilenetv3.InvertedResidual": "block.-1.1",
}
# Blocks whose units are plain layers of their child `m`.
_PLAIN_UNITS = (blocks.C1, blocks.RepC3)
# Blocks whose output convolution is not simply their highest cvN.
OUTPUTS: dict[type[nn.Module], str] = {
    blocks.C1: "m.-1",
    blocks.RepC3: "cv3",
    convolutions.Focus: "conv",
    asff.Fusion: "conv",
    bifpn.Concat_bifpn: "conv",
    bifpn.WeightedAdd: "conv",
    efficientnet.Stage: "blocks.-1.block.-1",
    repvgg.CSPStage: "conv3",
    space_to_depth.SPDConv: "conv",
    yolov7_tiny.Yolov7_Tiny_E_ELAN: "conv5",
    yolov7_tiny.Yolov7_Tiny_SPP: "conv4",
}
# Blocks that join or sum branches at the end, so that no single convolution makes their output.
_BRANCHED = (
    *(blocks.ADown, yolov7.DownC, yolov7.MPConv, elan.EELAN),
    *(slim_neck.GSConv, slim_neck.GSBottleneck, light.Shuffle_Block),
)


# What can get attention on its output, by its own class, and its output channels.
CHANNELS: dict[type[nn.Module], Callable[[Any], int]] = {
    convolutions.Conv: lambda m: m.conv.out_channels,
    convolutions.DWConv: lambda m: m.conv.out_channels,
    convolutions.GhostConv: lambda m: m.cv1.conv.out_channels + m.cv2.conv.out_channels,
    convolutions.RepConv: lambda m: m.c2,
    repconv.RepConv: lambda m: m.out_channels,
    nn.Conv2d: lambda m: m.out_channels,
    nn.BatchNorm2d: lambda m: m.num_features,
}


def insert_attention(block: nn.Module, where: str, make: Callable[[int], nn.Module]) -> None:
    """Put attention inside a block.

    Args:
        block: the layer, already constructed.
        where: "each": after the last convolution of every repeated unit, before its shortcut; in a block without units
            the same as "last". "last": after the convolution that makes the block's output.
        make: called with the channels of each place; returns the mechanism.

    Raises:
        ValueError: if the block has no such place.
    """
    copies = list(block) if type(block) is nn.Sequential else [block]  # number > 1
    for copy in copies:
        for place, channels in places(copy, where):
            _attach(place, make(channels))


def places(block: nn.Module, where: str) -> list[tuple[nn.Module, int]]:
    """Return the layers after which attention goes, with their output channels.

    Raises:
        ValueError: naming the block, if it has none.
    """
    found = list(_units(block)) if where == "each" else []
    if not found:
        found = [_output(block)]
    return [(place, _channels(place, block)) for place in found]


def _units(block: nn.Module) -> Iterator[nn.Module]:
    """Yield the place in each repeated unit of a block, the block itself included."""
    path = _unit_path(block)
    if path is not None:
        yield _child(block, path)
        return
    if isinstance(block, _PLAIN_UNITS):
        yield from block.m  # type: ignore[misc]
        return
    if not isinstance(block, Attended):
        for child in block.children():
            yield from _units(child)


def _unit_path(block: nn.Module) -> str | None:
    """Return the child of a repeated unit after which attention goes, None if the block is no unit."""
    for kind, path in UNITS.items():
        if isinstance(block, kind):
            return path
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(block).__mro__)
    return next((TORCHVISION_UNITS[name] for name in names if name in TORCHVISION_UNITS), None)


def _output(block: nn.Module) -> nn.Module:
    """Return the layer that makes a block's output."""
    if plain_class(block) in CHANNELS:
        return block
    path = next((path for kind, path in OUTPUTS.items() if isinstance(block, kind)), None) or _unit_path(block)
    if path is not None:
        return _child(block, path)
    name = type(block).__name__
    if isinstance(block, _BRANCHED):
        raise ValueError(f"the output of {name} is joined from branches, so no convolution makes it alone; use at")
    numbered = [key for key, _ in block.named_children() if key.startswith("cv") and key[2:].isdigit()]
    last: nn.Module = getattr(block, max(numbered, key=lambda key: int(key[2:]))) if numbered else block
    if plain_class(last) not in CHANNELS:
        raise ValueError(f"{name} has no inside; use at")
    return last


def _child(block: nn.Module, path: str) -> nn.Module:
    """Return a descendant by its path; a negative number counts from the end."""
    for part in path.split("."):
        block = list(block.children())[int(part)] if part.lstrip("-").isdigit() else getattr(block, part)
    return block


def _channels(place: nn.Module, block: nn.Module) -> int:
    if plain_class(place) in CHANNELS:
        return CHANNELS[plain_class(place)](place)
    if isinstance(block, blocks.RepC3) and isinstance(place, nn.Identity):
        return int(block.cv2.conv.out_channels)
    raise ValueError(f"the place in {type(block).__name__} is a {type(place).__name__}, which cannot take it; use at")


def _attach(place: nn.Module, mechanism: nn.Module) -> None:
    """Give a layer one more mechanism; earlier ones keep their names."""
    number = len(place.attention_names) + 1 if isinstance(place, Attended) else 1
    append_attention(place, f"attention_{number}" if number > 1 else "attention", mechanism)
