"""Rows → layers: channels and strides by hand, and every mistake in one line with file, row and remedy."""

from fractions import Fraction
from typing import Any

import pytest

from models import SpecError, read_spec
from models.catalog.channel_rules import Scale


def change(description: dict[str, Any], row: int, new: list[Any]) -> dict[str, Any]:
    """Replace one row, numbered over backbone and head."""
    length = len(description["backbone"])
    section, index = ("backbone", row) if row < length else ("head", row - length)
    description[section][index] = new
    return description


def test_channels_strides_and_references(small: dict[str, Any]) -> None:
    spec = read_spec(small)
    found = [(layer.name, layer.reads, layer.channels, layer.stride, layer.section) for layer in spec.layers]
    assert found == [
        ("0", ("image",), 8, 2, "backbone"),
        ("1", ("0",), 16, 4, "backbone"),
        ("2", ("1",), 16, 4, "backbone"),
        ("3", ("2",), 16, 8, "backbone"),
        ("4", ("3",), 16, 8, "backbone"),
        ("5", ("4",), 32, 16, "backbone"),
        ("6", ("5",), 32, 16, "backbone"),
        ("7", ("6",), 32, 8, "neck"),
        ("8", ("7", "4"), 48, 8, "neck"),
        ("9", ("8",), 16, 8, "neck"),
        ("10", ("9",), 16, 16, "neck"),
        ("11", ("10", "6"), 48, 16, "neck"),
        ("12", ("11",), 32, 16, "neck"),
        ("13", ("9", "12"), (), None, "head"),
    ]
    assert spec.layer("2").alias == "stem"
    assert spec.layer("2").call.args == (16, 16, 2)
    assert spec.head.args == (3, [[10.0, 13.0, 16.0, 30.0], [30.0, 61.0, 62.0, 45.0]])


def test_negative_and_absolute_references_agree(small: dict[str, Any]) -> None:
    relative = read_spec(change(small, 11, [[-1, -5], 1, "Concat", [1]]))
    assert relative.layer("11").reads == ("10", "6")


@pytest.mark.parametrize(
    ("letter", "width", "depth", "channels", "number"),
    [("n", 0.25, 0.33, 16, 3), ("s", 0.5, 0.33, 32, 3), ("m", 0.75, 0.67, 48, 6), ("x", 1.25, 1.33, 80, 12)],
)
def test_scaling_by_hand(letter: str, width: float, depth: float, channels: int, number: int) -> None:
    """YOLOv5: 64 channels × width up to a multiple of 8; 9 repeats × depth, rounded."""
    scale = Scale(depth, width, letter=letter)
    assert scale.channels(64) == channels
    assert scale.repeats(9) == number
    assert Scale(1, 1, 512).channels(1024) == 512
    assert Scale(0.1, 1).repeats(1) == Scale(0.1, 1).repeats(3) == 1


MISTAKES: dict[str, tuple[int, Any, str]] = {
    "unknown module": (5, [-1, 1, "CBAMM", []], "unknown module 'CBAMM'; did you mean CBAM"),
    "case": (5, [-1, 1, "conv", [32, 3, 2]], "did you mean Conv"),
    "python": (5, [-1, 1, "os.system", ["true"]], "'os.system' is not on the list"),
    "dunder": (5, [-1, 1, "nn.Module", []], "unknown module 'nn.Module'"),
    "head in the middle": (5, [[4], 1, "Detect", ["nc", "anchors"]], "must be the last"),
    "short row": (5, [-1, 1, "Conv"], r"expected \[from, number, module, args\]"),
    "no row": (5, "Conv", r"expected \[from, number, module, args\]"),
    "forward": (5, [9, 1, "Conv", [32, 3, 2]], "reads row 9, which comes later; it can read rows 0 to 4 only"),
    "itself": (5, [5, 1, "Conv", [32, 3, 2]], "reads itself"),
    "dangling": (5, [-7, 1, "Conv", [32, 3, 2]], "reads -7, which lies before the first row"),
    "first row": (0, [0, 1, "Conv", [8, 3, 2]], r"reads itself; it can read the image \(-1\) only"),
    "far": (5, [99, 1, "Conv", [32, 3, 2]], "reads row 99, which comes later"),
    "from text": (5, ["x", 1, "Conv", [32, 3, 2]], "from is 'x', expected an integer"),
    "from nothing": (5, [[], 1, "Concat", [1]], "from is"),
    "from true": (5, [True, 1, "Conv", [32, 3, 2]], "from is True"),
    "number": (5, [-1, 0, "Conv", [32, 3, 2]], "number is 0, expected an integer from 1"),
    "huge number": (2, [-1, 10**9, "C3", [16]], "number is 1000000000"),
    "number text": (5, [-1, "3", "Conv", [32, 3, 2]], "number is '3'"),
    "module number": (5, [-1, 1, 7, []], "module is 7, expected a name"),
    "arguments": (5, [-1, 1, "Conv", 64], "arguments are 64, expected a list"),
    "arguments by name": (5, [-1, 1, "Conv", {"c2": 64}], "expected a list such as"),
    "rows after the head": (
        12,
        [[9, 10], 1, "Detect", ["nc", "anchors"]],
        "Detect is a head, which must be the last row",
    ),
    "kernel below zero": (5, [-1, 1, "Conv", [32, -3, 2]], r"argument 2 \(kernel\) is -3, expected an integer from 1"),
    "upsampling mode": (
        7,
        [-1, 1, "nn.Upsample", [None, 2, "nearst"]],
        "mode is 'nearst', expected one of nearest, bil",
    ),
    "no channels": (5, [-1, 1, "Conv", []], r"argument 1 \(channels\) is None, expected an integer"),
    "channels zero": (5, [-1, 1, "Conv", [0, 3, 2]], r"argument 1 \(channels\) is 0"),
    "channels huge": (5, [-1, 1, "Conv", [10**9, 3, 2]], r"argument 1 \(channels\) is 1000000000"),
    "channels text": (5, [-1, 1, "Conv", ["c2", 3, 2]], "argument 1 is the text 'c2'"),
    "stride text": (5, [-1, 1, "Conv", [32, 3, "two"]], "argument 3 is the text 'two'"),
    "stride zero": (5, [-1, 1, "Conv", [32, 3, 0]], r"argument 3 \(stride\) is 0"),
    "activation as text": (5, [-1, 1, "Conv", [32, 3, 2, None, 1, 1, "SiLU"]], "is the text 'SiLU'"),
    "repeat that does not fit": (5, [-1, 3, "Conv", [32, 3, 2]], "write 1"),
    "concat of one": (8, [-1, 1, "Concat", [1]], "write 'from' as a list"),
    "concat shifted": (8, [[-1, 2], 1, "Concat", [1]], r"joins maps of different strides \(8, 4\)"),
    "concat elsewhere": (8, [[-1, 4], 1, "Concat", [2]], r"joins along \[2\]"),
    "concat repeated": (8, [[-1, 4], 2, "Concat", [1]], "cannot be repeated: write 1"),
    "two maps for one": (9, [[8, 4], 1, "C3", [16]], "write a single integer"),
    "upsample by nothing": (7, [-1, 1, "nn.Upsample", [None, 0, "nearest"]], "scale factor is 0"),
    "upsample to a size": (7, [-1, 1, "nn.Upsample", [[8, 8], None]], "ties the model to one image size"),
    "above the image": (1, [-1, 1, "nn.Upsample", [None, 64, "nearest"]], "would have stride 1/32"),
    "below any use": (1, [-1, 1, "nn.MaxPool2d", [4096]], "would have stride 8192"),
    "segmentation": (13, [[9, 12], 1, "Segment", ["nc", 32, 256]], "is a segmentation head; this project detects"),
    "pose": (13, [[9, 12], 1, "Pose", ["nc"]], "is a pose head"),
    "classification": (13, [[9, 12], 1, "Classify", ["nc"]], "is a classification head"),
    "transformer": (13, [[9, 12], 1, "RTDETRDecoder", ["nc"]], "is not supported"),
    "no head": (13, [-1, 1, "Conv", [16, 3, 2]], "the last row must be a detection head"),
    "head without nc": (13, [[9, 12], 1, "Detect", ["x", "anchors"]], "argument 1 is 'x', expected nc"),
    "another nc": (13, [[9, 12], 1, "Detect", [4, "anchors"]], "argument 1 is 4, expected nc"),
    "head of one map": (13, [12, 1, "Detect", ["nc", "anchors"]], "write 'from' as a list"),
    "three maps for two levels": (13, [[6, 9, 12], 1, "Detect", ["nc", "anchors"]], "reads 3 maps, but .* 2 levels"),
    "six maps for two levels": (13, [[9, 12, 9, 12], 1, "Detect", ["nc", "anchors"]], "reads 4 maps"),
    "head of equal strides": (
        13,
        [[9, 4], 1, "Detect", ["nc", "anchors"]],
        "maps of strides 8, 8; expected one map of",
    ),
    "head with too much": (
        13,
        [[9, 12], 1, "Detect", ["nc", "anchors", 3]],
        r"has 3 arguments, expected \[nc, anchors\]",
    ),
    "anchors unused": (13, [[9, 12], 1, "Detect", ["nc"]], r"write \[nc, anchors\]"),
    "name twice": (4, [-1, 1, "C3", [16], "stem"], "the name 'stem' is taken by row 2"),
    "name of two words": (4, [-1, 1, "C3", [16], "a b"], "is no plain word"),
    "stray channels": (4, [-1, 1, "SE", [99]], r"99 is not the number of channels \(16\), which is inferred"),
    "options by position": (
        4,
        [-1, 1, "CBAM", [16, [7], 7]],
        r"written by name, such as \{kernel_size: 7\}; found \[7\]; by position it takes \[channels, kernel_size\] or "
        r"\[channels, reduction, kernel_size\]; CBAM takes reduction, kernel_size, min_hidden",
    ),
    "options by position of SE": (
        4,
        [-1, 1, "SE", [16, "few"]],
        r"written by name, such as \{reduction: 16\}; found 'few'",
    ),
    "options by position of MSCA": (4, [-1, 1, "MSCA", [16, 7]], r"MSCA takes none that one number or word could mean"),
    "identity": (4, [-1, 1, "SE", {"identity": 1}], "identity is 1, expected true or false"),
    "library": (4, [-1, 1, "timm.layers.EcaModul", []], "did you mean timm.layers.EcaModule"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name: str, small: dict[str, Any]) -> None:
    row, new, expected = MISTAKES[name]
    small["yaml_file"] = "mine.yaml"
    with pytest.raises(SpecError, match=expected) as caught:
        read_spec(change(small, row, new))
    assert str(caught.value).startswith(f"mine.yaml row {row} ")
    assert "\n" not in str(caught.value)


def test_rows_of_attention(small: dict[str, Any]) -> None:
    small["backbone"][4] = [-1, 1, "SE", [16, {"reduction": 4, "identity": True}]]
    spec = read_spec(small)
    layer = spec.layer("4")
    assert (layer.attention.module, dict(layer.attention.kwargs), layer.attention.identity) == (
        "SE",
        {"reduction": 4},
        True,
    )
    assert (layer.channels, layer.stride) == (16, 8)
    assert "channels are inferred; 16 can be left out" in spec.warnings[0]
    small["backbone"][4] = [-1, 1, "ChannelAttention", {"reduction": 4}]
    assert read_spec(small).layer("4").attention.module == "SE"
    assert not read_spec(small).warnings


def test_old_habit_of_unscaled_channels(small: dict[str, Any]) -> None:
    """[64] before width scaling is what users copy from the row above."""
    small["width_multiple"] = 0.5
    small["backbone"][4] = [-1, 1, "CBAM", [16]]
    spec = read_spec(small)
    assert spec.layer("4").channels == 8
    assert len(spec.warnings) == 1


def test_numbers_of_attention_rows_are_scaled_like_others(small: dict[str, Any]) -> None:
    small["depth_multiple"] = 0.33
    small["backbone"][4] = [-1, 9, "SE", []]
    assert read_spec(small).layer("4").attention.repeats == 3


def test_repeated_pooling_multiplies_the_stride(small: dict[str, Any]) -> None:
    small["backbone"][1] = [-1, 2, "nn.MaxPool2d", [2, 2]]
    assert read_spec({**small, "head": [[[2], 1, "Detect", ["nc"]]], "anchors": None}).layer("1").stride == 8
    assert Fraction(read_spec(change(small, 1, [-1, 1, "nn.Upsample", [None, 2]])).layer("1").stride) == 1


def test_totals_are_bounded(small: dict[str, Any]) -> None:
    small["backbone"][2:2] = [[-1, 1000, "C3", [16]]] * 6
    with pytest.raises(SpecError, match="more than 5000; lower the numbers"):
        read_spec(small)
    small["backbone"] = [[-1, 1, "nn.Identity", []]] * 3000
    with pytest.raises(SpecError, match="more than 2000"):
        read_spec(small)
