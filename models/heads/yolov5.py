"""The anchor-based head of YOLOv5."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from models.upstream.layers import Detect


class AnchorHead(Detect):
    """Predict a box, an objectness and class scores for each anchor of each cell.

    Args:
        nc: number of classes.
        anchors: per level, width and height in pixels of `na` anchors, flat.
        ch: channels of the maps read.
        strides: pixels of the image a cell, per level.

    Shape:
        input: list of nl maps (B, ch_i, H_i, W_i). Training output: list of (B, na, H_i, W_i, 5 + nc) logits. Eval
        output: `(y, raw)`, raw being that list and y (B, 4 + nc, N) with centre x, centre y, width, height in pixels,
        then objectness × class scores; N runs over level, anchor, y, x. Only y where `export` is set.

    Source:
        Redmon and Farhadi, YOLOv3, arXiv:1804.02767; box decoding as published with YOLOv5: xy = (2σ − 0.5 + cell) ·
        stride, wh = (2σ)² · anchor.
    """

    class_prior_offset = 0.99999  # class prior log(0.6 / (nc − offset))

    def __init__(
        self, nc: int, anchors: Sequence[Sequence[float]], ch: Sequence[int], strides: Sequence[float] | None = None
    ) -> None:
        # Not Detect.__init__, which builds anchor-free branches.
        nn.Module.__init__(self)
        self.nc = nc
        self.no = nc + 5
        self.nl = len(anchors)
        self.na = len(anchors[0]) // 2
        self.reg_max = 1
        self.cv2: tuple[nn.Module, ...] = ()  # ultralytics looks at these two of an anchor-free head
        self.cv3 = None
        pixels = torch.tensor([list(level) for level in anchors], dtype=torch.float32).view(self.nl, self.na, 2)
        self.register_buffer("anchor_wh", pixels)  # in units of the stride once that is known
        self.anchor_wh: Tensor
        self.m = nn.ModuleList(nn.Conv2d(c, self.no * self.na, 1) for c in ch)
        self.stride = torch.zeros(self.nl)
        if strides is not None:
            self.set_strides(torch.tensor(list(strides), dtype=torch.float32))

    def set_strides(self, strides: Tensor) -> None:
        """Take the strides (nl,) in pixels, express the anchors in them and set the bias priors; once."""
        self.stride = strides
        pixels = self.anchor_wh
        if pixels.prod(-1).mean(-1).diff().sign().sum() * strides.diff().sign().sum() < 0:
            pixels = pixels.flip(0)  # large anchors belong to large strides
        self.anchor_wh = pixels / strides.view(-1, 1, 1)
        self.bias_init()

    def bias_init(self) -> None:
        """Add the priors of Lin et al. (RetinaNet) §3.3: 8 objects in an image of 640 px, classes equally likely."""
        self.add_priors(self.m)

    def add_priors(self, convs: Iterable[nn.Module]) -> None:
        """Add the priors to the biases of output convolutions, one a level."""
        for conv, stride in zip(convs, self.stride, strict=False):
            bias = conv.bias.detach().view(self.na, -1)  # type: ignore[union-attr,operator]
            bias[:, 4] += math.log(8 / (640 / float(stride)) ** 2)
            bias[:, 5 : 5 + self.nc] += math.log(0.6 / (self.nc - self.class_prior_offset))

    def raw(self, x: Sequence[Tensor]) -> list[Tensor]:
        """Run the output convolutions: per level (B, na, H, W, 5 + nc) logits."""
        return [self.split(conv(level)) for conv, level in zip(self.m, x, strict=False)]

    def split(self, m: Tensor) -> Tensor:
        """View a convolution's output (B, na · (5 + nc), H, W) as (B, na, H, W, 5 + nc)."""
        return m.view(m.shape[0], self.na, self.no, *m.shape[2:]).permute(0, 1, 3, 4, 2)

    def forward(self, x: list[Tensor]) -> list[Tensor] | Tensor | tuple[Tensor, list[Tensor]]:
        """Predict; see the class for shapes."""
        raw = self.raw(x)
        if self.training:
            return raw
        y = self.decode(raw)
        return y if self.export else (y, raw)

    def decode(self, raw: Sequence[Tensor]) -> Tensor:
        """Turn logits per level into boxes and scores (B, 4 + nc, N), in float32 whatever the model computes in.

        Half precision has a step of several pixels at the far end of an image, so boxes are never decoded in it.
        """
        decoded = []
        for level, logits in enumerate(raw):
            batch, _, height, width, _ = logits.shape
            p = logits.permute(0, 4, 1, 2, 3).float().sigmoid()  # (B, no, na, H, W)
            # type_as: a trace would keep the device of `device=`, and then run nowhere else.
            stride, anchors = self.stride[level].type_as(p), self.anchor_wh[level].float()
            cells_x = torch.arange(width, device=p.device, dtype=p.dtype).type_as(p) - 0.5
            cells_y = (torch.arange(height, device=p.device, dtype=p.dtype).type_as(p) - 0.5).view(-1, 1)
            x = (p[:, 0:1] * 2 + cells_x) * stride
            y = (p[:, 1:2] * 2 + cells_y) * stride
            wh = (p[:, 2:4] * 2) ** 2 * (anchors * stride).t().view(1, 2, -1, 1, 1)
            box = torch.cat((x, y, wh), 1)
            if self.xyxy:
                box = torch.cat((box[:, :2] - wh / 2, box[:, :2] + wh / 2), 1)
            decoded.append(torch.cat((box, self.scores(p)), 1).reshape(batch, 4 + self.nc, -1))
        return torch.cat(decoded, 2)

    def scores(self, p: Tensor) -> Tensor:
        """Return class scores (B, nc, na, H, W) from the sigmoid outputs (B, 5 + nc, na, H, W)."""
        return p[:, 5:] * p[:, 4:5]

    def fuse(self) -> None:
        """Fuse nothing; ultralytics' would drop branches that this head does not have."""
