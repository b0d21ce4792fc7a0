"""The size of images: rounded up once, and as in training unless told otherwise."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.backends.base import TRAINED, stored_size
from engine.errors import UsageError
from engine.runtime.image_size import LARGEST, canvas_limit, check_last_batch, rounded, size_of, usual_size


@pytest.mark.parametrize(
    ("asked", "stride", "expected"),
    [
        (400, 32, 416), (150, 32, 160), (300, 32, 320), (500, 32, 512), (720, 32, 736), (1080, 32, 1088),
        (640, 32, 640), (1, 32, 32), (400, 64, 448), (400, 16, 416),  # never below multiples of 32
    ],
)  # fmt: skip
def test_sizes_are_rounded_up(asked: int, stride: int, expected: int, caplog: pytest.LogCaptureFixture) -> None:
    assert rounded(asked, stride) == expected


@pytest.mark.parametrize(
    ("trained", "stride", "asked", "expected"),
    [(320, 32, None, 320), (320, 32, 480, 480), (None, 32, None, 640), (None, 64, None, 1280), (960, 64, None, 960)],
)
def test_the_checkpoints_size_unless_told_otherwise(
    trained: int | None, stride: int, asked: int | None, expected: int
) -> None:
    model = SimpleNamespace(trained_imgsz=trained, stride=torch.tensor([8.0, stride]))
    assert size_of(model, asked) == expected


@pytest.mark.parametrize("choose", [rounded, lambda size, stride: canvas_limit([64, size], 640, stride)])
def test_a_size_that_no_machine_holds_is_one_line(choose: Any) -> None:
    assert choose(LARGEST, 32)
    with pytest.raises(UsageError, match=f"--imgsz .*more than {LARGEST} pixels"):
        choose(LARGEST + 1, 32)


@pytest.mark.parametrize("text", ["", "x", "0", "-5", "9" * 400, "1e3"])
def test_a_damaged_stored_size_is_none(text: str) -> None:
    assert stored_size({TRAINED: text}, 32) == 640 == usual_size(None, 32)


def test_a_stored_size_is_used() -> None:
    assert stored_size({TRAINED: "320"}, 32) == 320


@pytest.mark.parametrize(
    ("samples", "batch", "imgsz", "alone"),
    [
        (17, 16, 32, True),
        (17, 16, 64, False),
        (16, 16, 32, False),
        (1, 16, 32, True),
        (3, 1, 32, True),
        (4, 16, 32, False),
    ],
)
def test_a_last_image_that_cannot_be_normalised_is_refused(samples, batch, imgsz, alone):
    """The deepest map of an image of 32 pixels is one cell at stride 32; PyTorch refuses to normalise it alone."""
    if not alone:
        check_last_batch(samples, batch, imgsz, 32)
        return
    with pytest.raises(UsageError, match="take another --batch-size, or --imgsz 128"):
        check_last_batch(samples, batch, imgsz, 32)


def test_images_of_several_sizes_may_be_half_as_large():
    check_last_batch(17, 16, 96, 32, multi_scale=True)
    with pytest.raises(UsageError, match="--imgsz 64 --multi-scale: of 17 images"):
        check_last_batch(17, 16, 64, 32, multi_scale=True)
