"""Choose the size that a model looks at: what was asked for, or what it was trained at, rounded up once."""

from collections.abc import Sequence
from typing import Any

from engine.errors import UsageError
from engine.runtime.log import LOGGER

USUAL, LARGE = 640, 1280  # pixels; large for models with maps of stride 64 (P6)
LARGEST = 16384  # pixels of a side: beyond it no machine holds the maps
STRIDE = 32  # images are multiples of it, whatever a model's own stride


def rounded(imgsz: int, stride: int, flag: str = "--imgsz") -> int:
    """Round a size up to a multiple of the model's stride, and say so.

    Args:
        imgsz: pixels of the longer side.
        stride: the model's largest one in pixels.
        flag: what to call it in the notice.

    Raises:
        UsageError: if it is larger than LARGEST.
    """
    _check_largest(imgsz, f"{flag} {imgsz}")
    step = max(int(stride), STRIDE)
    size = -(-imgsz // step) * step
    if size != imgsz:
        LOGGER.info(f"{flag} {imgsz}: taken as {size}, a multiple of {step}")
    return size


def check_last_batch(samples: int, batch: int, imgsz: int, stride: int, multi_scale: bool = False) -> None:
    """Refuse a batch of one image whose deepest map is one cell: batch normalisation has one value for each channel.

    Args:
        samples: of an epoch.
        batch: images a batch.
        imgsz: pixels of the longer side.
        stride: the model's largest one in pixels.
        multi_scale: whether images may be half as large.

    Raises:
        UsageError: if the last batch is such a one.
    """
    last = samples % min(batch, samples) or min(batch, samples)
    if last == 1 and imgsz // (2 if multi_scale else 1) <= stride:
        asked = f"--imgsz {imgsz} --multi-scale" if multi_scale else f"--imgsz {imgsz}"
        raise UsageError(
            f"{asked}: of {samples} images in batches of {batch} the last is alone, its deepest map can be one cell, "
            f"and on that batch normalisation cannot train; take another --batch-size, or --imgsz {4 * stride}"
        )


def _check_largest(size: int, said: str) -> None:
    if size > LARGEST:
        raise UsageError(f"{said}: more than {LARGEST} pixels; --slice looks at large images in windows")


def usual_size(trained: int | None, stride: float) -> int:
    """Return the size to take where none is asked for.

    Args:
        trained: size that the checkpoint was trained at; None where it does not say.
        stride: the model's largest one in pixels.
    """
    return trained or (LARGE if stride >= 64 else USUAL)


def size_of(model: Any, asked: int | None) -> int:
    """Return the size for a Detector: what was asked for, else its checkpoint's, rounded; say which.

    Args:
        model: a Detector.
        asked: --imgsz, or None.
    """
    stride = int(max(model.stride))
    if asked is not None:
        return rounded(asked, stride)
    trained = getattr(model, "trained_imgsz", None)
    size = rounded(usual_size(trained, stride), stride)
    LOGGER.info(f"image size: {size} px, {'as in training' if trained else 'the checkpoint names none'}")
    return size


def canvas_limit(asked: int | Sequence[int | None] | None, trained: int, stride: int) -> tuple[int, int]:
    """Return height and width up to which images are seen, rounded up to multiples of the stride; say what is taken.

    Args:
        asked: --imgsz: a number for both, or height and width; None, or a list of it, takes the size of training.
        trained: pixels of a side in training.
        stride: the model's largest one in pixels.

    Raises:
        UsageError: if more than two numbers are asked for, or one is larger than LARGEST.
    """
    sides: list[Any] = list(asked) if isinstance(asked, list | tuple) else [asked]
    if sides == [None]:
        sides = [trained]
        LOGGER.info(f"image size: {trained} px, as the checkpoint was trained; --imgsz N takes another")
    said = " ".join(map(str, sides))
    if len(sides) > 2:
        raise UsageError(f"--imgsz {said}: give one number, or height and width")
    _check_largest(max(map(int, sides)), f"--imgsz {said}")
    height, width = (-(-int(side) // stride) * stride for side in (sides[0], sides[-1]))
    if (height, width) != (sides[0], sides[-1]):
        LOGGER.info(f"--imgsz {said}: taken as {height}×{width}, multiples of {stride}")
    return height, width


def check_reduced_decode(options: Any) -> None:
    """Refuse --reduced-decode where images are wanted at their own size.

    Args:
        options: of train.py, val.py or detect.py.

    Raises:
        UsageError: naming the flag that does not go with it.
    """
    if not options.reduced_decode:
        return
    for name in ("slice", "maps", "track", "view_img", "save_crop", "save_dataset"):
        if getattr(options, name, None):
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"--reduced-decode: {flag} needs images at their own size; leave out one of the two")
