"""A fork's own head, taken as it is: its layers and tensor names, our decoding and loss."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.errors import SpecError
from models.heads.yolov5 import AnchorHead
from models.upstream.layers import Detect, block


def share(module: nn.Module, head: nn.Module) -> None:
    """Give a module the tables of layers, parameters and buffers of a fork's head.

    Tensors then have the fork's names, and whatever moves, copies or converts the module does so for both.
    """
    for name in ("anchors", "anchor_grid", "stride", "strides"):  # the module's own stand for them
        head._buffers.pop(name, None)
    head._buffers.update(module._buffers)
    module.__dict__.update({table: head.__dict__[table] for table in ("_modules", "_parameters", "_buffers")})
    head.train()  # where it returns raw maps; its layers follow the module


class ForeignHead(AnchorHead):
    """AnchorHead whose logits a head of a fork makes.

    Args:
        head: the fork's head.
        nc: number of classes.
        anchors: per level, width and height in pixels of `na` anchors, flat.

    Shape:
        as AnchorHead.
    """

    def __init__(self, head: nn.Module, nc: int, anchors: Sequence[Sequence[float]]) -> None:
        super().__init__(nc, anchors, ())
        share(self, head)
        self.head = (head,)  # in a tuple, so that it is no layer of this one

    def raw(self, x: Sequence[Tensor]) -> list[Tensor]:
        """Run the fork's head: per level (B, na, H, W, 5 + nc) logits.

        Raises:
            ValueError: if it returns something else.
        """
        (head,) = self.head
        maps = head(list(x))
        good = isinstance(maps, list | tuple) and len(maps) == self.nl
        good = good and all(isinstance(m, Tensor) and m.dim() == 5 for m in maps)
        if not good or any(m.shape[1] != self.na or m.shape[-1] != self.no for m in maps):
            found = (
                [tuple(m.shape) if isinstance(m, Tensor) else type(m).__name__ for m in maps] if good else type(maps)
            )
            raise ValueError(
                f"{type(head).__name__} returns {found} in training, expected {self.nl} maps "
                f"(B, {self.na}, H, W, {self.no})"
            )
        return list(maps)

    def bias_init(self) -> None:
        """Leave the biases as the fork's head sets them."""


class ForeignFreeHead(Detect):
    """Ultralytics' Detect whose logits a head of a fork makes.

    Args:
        head: the fork's head.
        nc: number of classes.
        levels: how many maps it reads.

    Shape:
        as ultralytics' Detect.
    """

    def __init__(self, head: nn.Module, nc: int, levels: int) -> None:
        nn.Module.__init__(self)
        self.nc, self.nl = nc, levels
        self.reg_max = int(getattr(head, "reg_max", 16))
        self.no = nc + 4 * self.reg_max
        self.stride = torch.zeros(levels)
        share(self, head)
        if "dfl" not in self._modules:
            self.dfl = block.DFL(self.reg_max) if self.reg_max > 1 else nn.Identity()
        self.head = (head,)

    @property
    def one2many(self) -> dict[str, nn.Module]:
        """Name no branches: the fork's head knows its own."""
        return {}

    def forward_head(self, x: list[Tensor], **_: Any) -> dict[str, Any]:
        """Run the fork's head: boxes (B, 4 · reg_max, N) and scores (B, nc, N) as logits, and the maps read.

        Raises:
            ValueError: if it returns something else.
        """
        (head,) = self.head
        maps = head(list(x))
        if isinstance(maps, dict):
            return maps
        if not isinstance(maps, list | tuple) or any(
            not isinstance(m, Tensor) or m.dim() != 4 or m.shape[1] != self.no for m in maps
        ):
            raise ValueError(f"{type(head).__name__} returns no maps (B, {self.no}, H, W) in training")
        boxes, scores = torch.cat([m.flatten(2) for m in maps], 2).split((4 * self.reg_max, self.nc), 1)
        return {"boxes": boxes, "scores": scores, "feats": x}

    def bias_init(self) -> None:
        """Let the fork's head set its biases, where it does.

        Raises:
            SpecError: if that fails.
        """
        (head,) = self.head
        head.stride = self.stride
        try:
            getattr(head, "bias_init", lambda: None)()
        except Exception as error:  # whatever the user's own code raises
            raise SpecError(f"{type(head).__name__}.bias_init fails with {type(error).__name__}: {error}") from error


def adapt_free(cls: type[nn.Module], nc: int, channels: Sequence[int]) -> ForeignFreeHead:
    """Construct a fork's head that predicts free of anchors, and check what it returns on maps of zeros.

    Args:
        cls: its class, constructed with (nc, channels), or with nc and ch by name where it has such a parameter.
        nc: number of classes.
        channels: of the maps read.

    Raises:
        ValueError: if it returns something else than such heads do.
    """
    make: Any = cls
    named = "ch" in inspect.signature(cls).parameters
    made = make(nc, ch=list(channels)) if named else make(nc, list(channels))
    head = ForeignFreeHead(made, nc, len(channels))
    _probe(head, channels, [2.0**i for i in range(len(channels))])
    return head


@torch.no_grad()
def _probe(head: Any, channels: Sequence[int], strides: Sequence[float]) -> None:
    """Run a head's layers on maps of zeros, in eval mode, so that no statistics change."""
    size = 2 * max(strides)
    read = [torch.zeros(1, c, round(size / s), round(size / s)) for c, s in zip(channels, strides, strict=False)]
    head.eval()
    (head.raw if isinstance(head, AnchorHead) else head.forward_head)(read)
    head.train()


def adapt(
    cls: type[nn.Module],
    nc: int,
    anchors: Sequence[Sequence[float]],
    channels: Sequence[int],
    strides: Sequence[float] | None,
) -> ForeignHead:
    """Construct a fork's head, and check on maps of zeros that it returns what a head on anchors returns.

    Args:
        cls: its class, constructed with (nc, anchors, channels).
        nc: number of classes.
        anchors: per level, width and height in pixels of `na` anchors, flat.
        channels: of the maps read.
        strides: pixels of the image a cell, per level; None where they are not known yet.

    Raises:
        ValueError: if it returns something else.
    """
    make: Any = cls
    head = ForeignHead(make(nc, [list(level) for level in anchors], list(channels)), nc, anchors)
    if strides is not None:
        head.set_strides(torch.tensor(list(strides), dtype=torch.float32))
        _probe(head, channels, strides)
    return head
