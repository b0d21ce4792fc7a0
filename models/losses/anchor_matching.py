"""Which anchors of which cells answer for a target: the matching of YOLOv5, shared by YOLOv7."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.losses.constants import constant

# Which neighbour a centre leans to: the cell itself, left, upper, right, lower.
LEAN = (0, 0, 1, 0, 0, 1, -1, 0, 0, -1)


class Matches(NamedTuple):
    """Positives of one level, each a row.

    Attributes:
        image: (n,) index in the batch.
        anchor: (n,) index of the anchor.
        y: (n,) cell row.
        x: (n,) cell column.
        box: (n, 4) target as centre offset from the cell and size, in cells.
        anchor_wh: (n, 2) the anchor, in cells.
        cls: (n,) class index.
        target: (n,) index of the target in the batch.
    """

    image: Tensor
    anchor: Tensor
    y: Tensor
    x: Tensor
    box: Tensor
    anchor_wh: Tensor
    cls: Tensor
    target: Tensor


def match_anchors(
    targets: Tensor,
    anchors: Tensor,
    shapes: Sequence[tuple[int, int]],
    ratio: float = 4.0,
    reach: float = 0.5,
) -> list[Matches]:
    """Match targets to anchors by shape, and to the cell of their centre and its nearest neighbours.

    Args:
        targets: (n, 6) image, class, x, y, w, h; boxes normalised to 0–1.
        anchors: (nl, na, 2) in cells of each level.
        shapes: per level, height and width of the grid.
        ratio: an anchor fits if neither side differs by this factor or more.
        reach: how far into a cell a centre may lie for the neighbour on that side to answer too; 0.5 gives two
            neighbours.

    Returns:
        Matches of each level.

    Source:
        Published with YOLOv5; described in Wang et al., YOLOv7, arXiv:2207.02696, §4.1 (there with reach 1.0 for
        auxiliary heads).
    """
    lean = constant(LEAN, targets).view(-1, 2) * reach
    matches = []
    for level, (height, width) in enumerate(shapes):
        size = constant((width, height), targets)
        centre, wh = targets[:, 2:4] * size, targets[:, 4:6] * size
        relative = wh[None] / anchors[level][:, None]
        fits = torch.maximum(relative, 1 / relative).amax(2) < ratio  # (na, n)
        a, t = fits.nonzero(as_tuple=True)
        centre, wh, image, cls = centre[t], wh[t], targets[t, 0].long(), targets[t, 1].long()
        inverse = size - centre
        near = (centre % 1 < reach) & (centre > 1)
        far = (inverse % 1 < reach) & (inverse > 1)
        chosen = torch.stack((torch.ones_like(near[:, 0]), near[:, 0], near[:, 1], far[:, 0], far[:, 1]))  # (5, m)
        which, row = chosen.nonzero(as_tuple=True)
        cell = (centre[row] - lean[which]).long()
        box = torch.cat((centre[row] - cell, wh[row]), 1)
        cell_x, cell_y = cell[:, 0].clamp(0, width - 1), cell[:, 1].clamp(0, height - 1)
        anchor = a[row]
        matches.append(Matches(image[row], anchor, cell_y, cell_x, box, anchors[level][anchor], cls[row], t[row]))
    return matches
