"""The heads of YOLOv7: plain, with implicit parameters, and with auxiliary outputs for training."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from models.heads.yolov5 import AnchorHead


class PlainHead(AnchorHead):
    """YOLOv7's head in deploy form: AnchorHead with YOLOv7's priors and scores.

    With one class the score is the objectness alone, because YOLOv7 does not train that class's logit.

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696; authors' code WongKinYiu/yolov7 (`Detect`).
    """

    class_prior_offset = 0.99

    def scores(self, p: Tensor) -> Tensor:
        """Return class scores (B, nc, na, H, W) from the sigmoid outputs (B, 5 + nc, na, H, W)."""
        return p[:, 4:5] if self.nc == 1 else super().scores(p)


class Implicit(nn.Module):
    """A learned value for each channel.

    Args:
        channels: how many.
        mean: of the initial values; their deviation is 0.02.

    Source:
        Wang et al., You Only Learn One Representation, arXiv:2105.04206.
    """

    def __init__(self, channels: int, mean: float) -> None:
        super().__init__()
        self.implicit = nn.Parameter(torch.empty(1, channels, 1, 1).normal_(mean, 0.02))


class ImplicitHead(PlainHead):
    """PlainHead with implicit knowledge: out = im · conv(x + ia).

    Args, Shape:
        as AnchorHead.

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696, and YOLOR, arXiv:2105.04206 (`IDetect` in WongKinYiu/yolov7). The two
        parameters are applied to the convolution's weights, which gives the same at less cost.
    """

    def __init__(
        self, nc: int, anchors: Sequence[Sequence[float]], ch: Sequence[int], strides: Sequence[float] | None = None
    ) -> None:
        super().__init__(nc, anchors, ch, strides)
        self.ia = nn.ModuleList(Implicit(c, 0.0) for c in ch)
        self.im = nn.ModuleList(Implicit(self.no * self.na, 1.0) for _ in ch)
        self.folded = False

    def folded_weights(self, level: int) -> tuple[Tensor, Tensor]:
        """Return weight and bias of the convolution that computes im · conv(x + ia)."""
        conv, shift, gain = self.m[level], self.ia[level].implicit, self.im[level].implicit
        weight: Tensor = conv.weight  # type: ignore[assignment]
        bias: Tensor = conv.bias + (weight * shift).sum((1, 2, 3))  # type: ignore[operator]
        return weight * gain.view(-1, 1, 1, 1), bias * gain.view(-1)  # type: ignore[operator]

    def raw(self, x: Sequence[Tensor]) -> list[Tensor]:
        """Run the output convolutions: per level (B, na, H, W, 5 + nc) logits."""
        if self.folded:
            return super().raw(x)
        return [self.split(conv2d(level, *self.folded_weights(i))) for i, level in enumerate(x[: self.nl])]

    @torch.no_grad()
    def fuse(self) -> None:
        """Fold the implicit parameters into the convolutions; they stay, neutral, so that tensor names stay too."""
        if self.folded:
            return
        for level in range(self.nl):
            weight, bias = self.folded_weights(level)
            self.m[level].weight.copy_(weight)  # type: ignore[operator,union-attr]
            self.m[level].bias.copy_(bias)  # type: ignore[operator,union-attr]
            self.ia[level].implicit.fill_(0)  # type: ignore[operator,union-attr]
            self.im[level].implicit.fill_(1)  # type: ignore[operator,union-attr]
        self.folded = True


class AuxImplicitHead(ImplicitHead):
    """ImplicitHead that in training also predicts from earlier maps, by plain convolutions.

    Args:
        nc, anchors, strides: as AnchorHead.
        ch: channels of the maps read: the lead's, then as many auxiliary ones of the same strides.

    Shape:
        input: list of 2 · nl maps. Training output: nl lead maps, then nl auxiliary ones. Eval output as AnchorHead,
            from the lead maps; the auxiliary convolutions do not run.

    Raises:
        ValueError: if the number of maps is not twice that of the anchor levels.

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696, §4.3 (`IAuxDetect` in WongKinYiu/yolov7).
    """

    def __init__(
        self, nc: int, anchors: Sequence[Sequence[float]], ch: Sequence[int], strides: Sequence[float] | None = None
    ) -> None:
        levels = len(anchors)
        if len(ch) != 2 * levels:
            raise ValueError(f"reads {len(ch)} maps; expected {levels} lead maps and {levels} auxiliary ones")
        super().__init__(nc, anchors, ch[:levels])
        self.m2 = nn.ModuleList(nn.Conv2d(c, self.no * self.na, 1) for c in ch[levels:])
        if strides is not None:
            self.set_strides(torch.tensor(list(strides), dtype=torch.float32))

    def bias_init(self) -> None:
        """Add the priors to lead and auxiliary convolutions."""
        super().bias_init()
        self.add_priors(self.m2)

    def raw(self, x: Sequence[Tensor]) -> list[Tensor]:
        """Run the output convolutions; auxiliary ones in training only."""
        lead = super().raw(x)
        if not self.training:
            return lead
        auxiliary = [self.split(conv(level)) for conv, level in zip(self.m2, x[self.nl :], strict=True)]
        return [*lead, *auxiliary]
