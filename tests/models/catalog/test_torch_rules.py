"""Rows of torch's own layers, in both orders of arguments that YAMLs use."""

from fractions import Fraction
from typing import Any

import pytest

from models.catalog.channel_rules import Call, Reads, Scale
from models.catalog.torch_rules import (
    convolution,
    normalisation,
    pixel_shuffle,
    pixel_unshuffle,
    transposed_convolution,
    upsampling_conv,
)

READS = Reads((256,), (Fraction(16),), False)
HALF = Scale(width=0.5)


def test_convolution_scales_its_channels_unless_the_channels_read_are_written() -> None:
    assert convolution((128, 3, 2, 1), 1, READS, HALF) == Call((256, 64, 3, 2, 1), 64, Fraction(32))
    assert convolution((256, 128, 1), 1, READS, HALF) == Call((256, 128, 1), 128, Fraction(16))
    assert convolution((64,), 1, READS, HALF).channels == 32


def test_transposed_convolution() -> None:
    # YOLOv5 hands [c1, c2, kernel, stride] on unchanged where it does not know the layer, and scales [c2, …] elsewhere.
    assert transposed_convolution((256, 256, 2, 2), 1, READS, HALF) == Call((256, 256, 2, 2), 256, Fraction(8))
    expected = Call((256, 256, 4, 2, 1, 0, 256), 256, Fraction(8))
    assert transposed_convolution((512, 4, 2, 1, 0, 512), 1, READS, HALF) == expected


def test_normalisation_takes_the_channels_as_they_are_or_unscaled() -> None:
    for args in ((), (256,), (512,)):
        assert normalisation(args, 1, READS, HALF).args == (256,)
    assert normalisation((256, 1e-3), 1, READS, HALF).args == (256, 1e-3)


def test_pixels() -> None:
    assert pixel_shuffle((2,), 1, READS, HALF) == Call((2,), 64, Fraction(8))
    assert pixel_unshuffle((2,), 1, READS, HALF) == Call((2,), 1024, Fraction(32))
    assert upsampling_conv(2, 2)((128,), 1, READS, HALF) == Call((256, 64, 2, 2), 64, Fraction(8))


@pytest.mark.parametrize(
    ("rule", "args", "message"),
    [
        (convolution, (128, 128, 3), r"argument 1 \(channels read\) is 128, but the map has 256"),
        (convolution, ("a",), r"argument 1 \(channels\) is 'a', expected an integer"),
        (transposed_convolution, (64, 4, 2, 1, 0, 512), "256 groups do not divide 32 channels"),
        (normalisation, (64,), r"argument 1 \(channels\) is 64, but the map has 256: write \[\]"),
        (pixel_shuffle, (3,), "256 channels cannot be spread by a factor of 3"),
        (pixel_unshuffle, (2, 2), r"expected \[factor\]"),
    ],
)
def test_what_does_not_fit(rule: Any, args: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rule(args, 1, READS, HALF)
