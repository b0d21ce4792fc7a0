"""The interface of all backends, and the metadata of exported files."""

import ast
import importlib.util
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from engine.errors import UsageError
from engine.runtime.image_size import usual_size

TRAINED = "trained_imgsz"  # key in a file's metadata


class Backend(Protocol):
    """Run a model on batches of images.

    Attributes:
        label: what computes, for people.
        names: class number → name.
        stride: H and W are multiples of it.
        channels: of its images.
        size: the only height and width it takes; None if any.
        imgsz: pixels of the longer side where none is asked for: as in training.
        batch: the only number of images it takes; None if any.
        finished: it suppresses overlapping boxes itself; then rows are corners, score and class.
        replicas: copies of the model that run in parallel threads, each for one call at a time.
    """

    label: str
    names: dict[int, str]
    stride: int
    channels: int
    size: tuple[int, int] | None
    imgsz: int
    batch: int | None
    finished: bool
    replicas: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run the model.

        Args:
            images: (B, c, H, W) float32 in 0–1, colour as RGB.

        Returns:
            (B, 4 + nc, N) centre x, centre y, width, height in pixels, then class scores; (B, N, 6) if `finished`.
        """
        ...


def installed(module: str) -> bool:
    """Tell whether a module could be imported."""
    return importlib.util.find_spec(module) is not None


def read_metadata(metadata: Mapping[str, str], file: str) -> tuple[dict[int, str], int, bool]:
    """Read names, stride and form of output from the metadata that ultralytics' exporter writes into a file.

    Args:
        metadata: key → value as text.
        file: for messages.

    Returns:
        Class names, stride, and whether the model suppresses overlapping boxes itself.

    Raises:
        UsageError: if the file was not written by export.py or ultralytics, or is damaged.
    """
    try:
        names = ast.literal_eval(metadata["names"])
        stride = int(metadata["stride"])
        finished = metadata.get("end2end") == "True" or bool(ast.literal_eval(metadata.get("args", "{}")).get("nms"))
        return {int(number): str(name) for number, name in names.items()}, stride, finished
    except (KeyError, ValueError, SyntaxError, AttributeError, TypeError, RecursionError, MemoryError):
        raise UsageError(
            f"--weights {file}: has no readable class names and stride; write it with export.py --include"
        ) from None


def stored_size(metadata: Mapping[str, str], stride: int) -> int:
    """Return the image size that a file's metadata remember from training, else the usual one of its stride."""
    text = str(metadata.get(TRAINED, ""))
    return usual_size(int(text) if text.isdecimal() and 32 <= int(text[:6]) <= 16384 else None, stride)


def input_channels(shape: tuple[object, ...]) -> int:
    """Return the channels that an input shape (B, C, H, W) prescribes; 3 where it leaves them open."""
    return shape[1] if isinstance(shape[1], int) else 3


def shape_limits(shape: tuple[object, ...]) -> tuple[int | None, tuple[int, int] | None]:
    """Return the batch and the size that an input shape (B, C, H, W) prescribes, None where it leaves them open."""
    batch, _, height, width = shape
    fixed = isinstance(height, int) and isinstance(width, int)
    return batch if isinstance(batch, int) else None, (height, width) if fixed else None  # type: ignore[return-value]
