"""Attention that does not keep the size of its map is named, wherever it stands."""

import pytest
from torch import nn

from attention import ATTENTION
from models import build_model
from models.errors import SpecError


class ShrinkingConv(nn.Module):
    """A user's mechanism whose convolution lacks its padding."""

    def __init__(self, channels):
        super().__init__()
        self.c = nn.Conv2d(channels, channels, 3)

    def forward(self, x):
        return self.c(x)


@pytest.fixture(autouse=True)
def registered():
    ATTENTION.register("ShrinkingConv")(ShrinkingConv)
    yield
    del ATTENTION._entries["ShrinkingConv"]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("4", r"attention\[0\] .*: ShrinkingConv makes a map of 6 × 6 from one of 8 × 8; attention keeps the size"),
        ("inside:17", r"row 17 .*: ShrinkingConv makes a map of 6 × 6 from one of 8 × 8"),
        ("neck.P5", r"attention\[0\] .*: ShrinkingConv fails on a map of 2 × 2: .*Kernel size"),
    ],
)
def test_it_is_named(place, expected):
    with pytest.raises(SpecError, match=expected) as caught:
        build_model("yolov5n", nc=2, attention=[f"ShrinkingConv@{place}"])
    assert "\n" not in str(caught.value)


def test_no_hook_is_left():
    detector = build_model("yolov5n", nc=2, attention=["SE@4", "CBAM@inside:17"])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in detector.modules())
