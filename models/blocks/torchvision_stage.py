"""Backbones of torchvision as rows: one row a stage, so that attention stands between stages and the neck reads any."""

from collections import OrderedDict
from typing import Any, NamedTuple

import torch
from torch import nn

from models.catalog.channel_rules import Call, Reads, Scale, integer
from models.catalog.registry import register_block


class Stage(NamedTuple):
    """Children of the torchvision model that make one stage, and the channels that it returns."""

    children: tuple[str, ...]
    channels: int


def _features(*stages: tuple[int, int, int]) -> tuple[Stage, ...]:
    """Return stages of a flat `features` list from (first, one past the last, channels)."""
    return tuple(Stage(tuple(f"features.{i}" for i in range(start, end)), c) for start, end, c in stages)


def _resnet(*channels: int) -> tuple[Stage, ...]:
    children = (("conv1", "bn1", "relu"), ("maxpool", "layer1"), ("layer2",), ("layer3",), ("layer4",))
    return tuple(Stage(names, c) for names, c in zip(children, channels, strict=True))


# Stage k halves the size for the k-th time, so its map has stride 2ᵏ. Classifiers are left out.
STAGES: dict[str, tuple[Stage, ...]] = {
    "resnet18": _resnet(64, 64, 128, 256, 512),
    "resnet50": _resnet(64, 256, 512, 1024, 2048),
    "vgg16_bn": _features((0, 7, 64), (7, 14, 128), (14, 24, 256), (24, 34, 512), (34, 44, 512)),
    "mobilenet_v3_small": _features((0, 1, 16), (1, 2, 16), (2, 4, 24), (4, 9, 48), (9, 12, 96)),
    "mobilenet_v3_large": _features((0, 2, 16), (2, 4, 24), (4, 7, 40), (7, 13, 112), (13, 16, 160)),
}


def _stage(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read TorchvisionStage rows `[model, stage]`."""
    channels, stride = reads.one()
    if len(args) != 2 or not isinstance(args[0], str) or args[0] not in STAGES:
        raise ValueError(f"arguments are {list(args)}, expected [model, stage]; models are {', '.join(STAGES)}")
    stages, k = STAGES[args[0]], integer(args, 1, "stage")
    if k > len(stages) or number != 1:
        raise ValueError(f"stage {k}, number {number}: {args[0]} has the stages 1 to {len(stages)}, each once")
    expected = stages[k - 2].channels if k > 1 else 3
    if channels != expected:
        raise ValueError(f"stage {k} of {args[0]} reads {expected} channels, but its input has {channels}")
    return Call((args[0], k), stages[k - 1].channels, None if stride is None else stride * 2)


@register_block(_stage)
class TorchvisionStage(nn.Sequential):
    """One stage of a torchvision backbone, under torchvision's own names, with its initial values.

    Args:
        model: a name in STAGES.
        stage: 1 to 5; its map has stride 2 to the power of the stage.

    Shape:
        input (B, channels of the stage before, H, W); output (B, channels, H / 2, W / 2).

    Source:
        torchvision.models; the papers of the backbones are named there.
    """

    def __init__(self, model: str, stage: int) -> None:
        from torchvision.models import get_model

        with torch.device("meta"):  # most of the model is thrown away, so it gets no memory
            whole = get_model(model, weights=None)
        names = STAGES[model][stage - 1].children
        children = OrderedDict((name.rpartition(".")[2], whole.get_submodule(name)) for name in names)
        super().__init__(children)
        self.to_empty(device="cpu")
        for child in self.modules():
            if isinstance(child, nn.BatchNorm2d):
                child.reset_parameters()
            elif isinstance(child, nn.Conv2d):
                nn.init.kaiming_normal_(child.weight, mode="fan_out", nonlinearity="relu")
                if child.bias is not None:
                    nn.init.zeros_(child.bias)
