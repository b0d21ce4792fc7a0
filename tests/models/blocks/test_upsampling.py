"""CARAFE and DySample against their definitions."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from models.blocks.upsampling import CARAFE, DySample
from tests.models.blocks.values import maps, normed, trained


def reassembled(x: Tensor, logits: Tensor, kernel: int, factor: int) -> Tensor:
    """Sum each new pixel's neighbourhood by its weights, pixel by pixel (eqs. 1–3)."""
    batch, c, height, width = x.shape
    out = torch.zeros(batch, c, height * factor, width * factor, dtype=x.dtype)
    reach = kernel // 2
    for i in range(height * factor):
        for j in range(width * factor):
            cell_y, cell_x = i // factor, j // factor
            # Logits are (kernel² · factor²) channels: channel k · factor² + (place in the cell).
            place = (i % factor) * factor + j % factor
            weights = logits[:, place :: factor**2, cell_y, cell_x].softmax(1)
            for k in range(kernel**2):
                y, z = cell_y + k // kernel - reach, cell_x + k % kernel - reach
                if 0 <= y < height and 0 <= z < width:
                    out[:, :, i, j] += weights[:, k, None] * x[:, :, y, z]
    return out


def test_carafe_with_channels() -> None:
    block = trained(CARAFE(8, 6, 3, 2))
    (x,) = maps(2, 8, 3, 4)
    expected = block.out(reassembled(x, block.encoder(block.down(x)), 3, 2))
    torch.testing.assert_close(block(x), expected)
    assert sorted(key.split(".")[0] for key in block.state_dict() if "weight" in key) == ["down", "encoder", "out"]


def test_carafe_without_channels() -> None:
    block = trained(CARAFE(8))
    (x,) = maps(2, 8, 3, 4)
    inner = normed(block.comp.conv(x), block.comp.bn)
    logits = normed(block.enc.conv(inner * torch.sigmoid(inner)), block.enc.bn)
    torch.testing.assert_close(block(x), reassembled(x, logits, 5, 2))
    assert block.enc.conv.weight.shape == (100, 64, 3, 3)


def test_dysample_without_offsets_is_bilinear() -> None:
    (x,) = maps(2, 16, 5, 7)
    for style in ("lp", "pl"):
        for factor in (2, 4):
            block = trained(DySample(16, factor, style, 1))
            block.offset.weight.data.zero_()
            block.offset.bias.data.zero_()
            torch.testing.assert_close(block(x), interpolate(x, scale_factor=factor, mode="bilinear"))


def test_dysample_moves_its_points_by_a_quarter_of_the_offset() -> None:
    (x,) = maps(1, 8, 5, 7)
    block = trained(DySample(8, 2, "lp", 2))
    block.offset.weight.data.zero_()
    # Channels: x of group 0 (four places), x of group 1, y of group 0, y of group 1.
    block.offset.bias.data = torch.tensor([4.0] * 4 + [0.0] * 4 + [0.0] * 4 + [-8.0] * 4, dtype=torch.float64)
    right = torch.cat((x[:, :4, :, 1:], x[:, :4, :, -1:]), 3)  # one cell to the right, the border repeated
    up = torch.cat((x[:, 4:, :1], x[:, 4:, :1], x[:, 4:, :-2]), 2)  # two cells up
    expected = interpolate(torch.cat((right, up), 1), scale_factor=2, mode="bilinear")
    torch.testing.assert_close(block(x)[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2])


def test_dysample_predicts_the_range_where_asked() -> None:
    (x,) = maps(1, 8, 5, 7)
    block, fixed = trained(DySample(8, dyscope=True)), trained(DySample(8))
    fixed.offset = block.offset
    nn.init.zeros_(block.scope.weight)  # sigmoid(0) / 2 is the fixed quarter
    torch.testing.assert_close(block(x), fixed(x))
    block.scope.weight.data.fill_(-100.0)
    torch.testing.assert_close(block(x.abs()), interpolate(x.abs(), scale_factor=2, mode="bilinear"))
