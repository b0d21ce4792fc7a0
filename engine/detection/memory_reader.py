"""Read images that are in memory already."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from data.image_files import image_channels, image_io
from engine.detection.frames import Frame, SourceReport
from engine.errors import UsageError


class MemoryReader:
    """Read images that are in memory already.

    Args:
        source: one image or several: arrays (h, w, c) or (h, w) uint8 in OpenCV's order BGR, PIL images, or a tensor
            (B, 3, H, W) or (3, H, W) RGB in 0–1, or uint8 in 0–255.
        batch: images at once.
        stretch: spread the values of PIL images of more than 8 bits.

    Raises:
        UsageError: for anything else.
    """

    mode = "files"

    def __init__(self, source: Any, batch: int = 1, stretch: bool = False) -> None:
        several = isinstance(source, list | tuple) or getattr(source, "ndim", 0) == 4
        self.all = [_as_image(entry, stretch) for entry in (source if several else [source])]
        self.bs = batch
        self.images = len(self.all)
        self.report = SourceReport(images=len(self.all))

    def expect(self, channels: int) -> None:
        """Give images of so many channels: grey is repeated for colour, colour converted to grey.

        Raises:
            UsageError: if one has another number of channels.
        """
        self.all = [_with_channels(image, channels) for image in self.all]

    def __iter__(self) -> Iterator[tuple[list[str], list[np.ndarray], list[Frame]]]:
        frames = [Frame(f"image{number}") for number in range(len(self.all))]
        for start in range(0, len(self.all), self.bs):
            part = slice(start, start + self.bs)
            yield [frame.path for frame in frames[part]], self.all[part], frames[part]


def _as_image(entry: Any, stretch: bool) -> np.ndarray:
    """Return an image in memory as (h, w, c) uint8, colour as BGR, its bytes in that order: drawing asks for it."""
    if hasattr(entry, "convert") and hasattr(entry, "getexif"):  # PIL
        try:
            return image_io.from_pillow(entry, stretch)
        except (OSError, ValueError) as error:  # cut short, closed, or of a mode that has no colours
            raise UsageError(f"source: a PIL image of mode {entry.mode} cannot be read: {error}") from None
    if hasattr(entry, "detach"):  # a tensor, (3, H, W)
        rgb = _bytes_of(entry.detach().cpu())
        entry = rgb.transpose(1, 2, 0)[..., ::-1] if rgb.ndim == 3 else rgb
    if not isinstance(entry, np.ndarray) or entry.dtype != np.uint8 or not entry.size:
        what = f"an array of {entry.dtype}" if isinstance(entry, np.ndarray) else f"a {type(entry).__name__}"
        raise UsageError(f"source: {what} is no image; give (h, w, 3) uint8 in BGR order, a PIL image or a tensor")
    if entry.ndim not in (2, 3):
        raise UsageError(f"source: an array of shape {entry.shape} is no image; give (h, w, 3)")
    return np.ascontiguousarray(entry if entry.ndim == 3 else entry[..., None])


def _bytes_of(tensor: Any) -> np.ndarray:
    """Return a tensor as uint8: of bytes as it is, else of values in 0–1, give or take what resizing overshoots.

    Raises:
        UsageError: if it holds other values: to 255, normalised by a mean, or no numbers.
    """
    if str(tensor.dtype) == "torch.uint8":
        return tensor.numpy()  # type: ignore[no-any-return]
    values = tensor.float()
    if values.numel() and not (values.min() >= -1 and values.max() <= 2):
        raise UsageError(
            f"source: a tensor with values from {float(values.min()):.4g} to {float(values.max()):.4g} is no image; "
            "give RGB in 0–1, not normalised, or uint8 in 0–255"
        )
    return values.clamp(0, 1).mul(255).round().byte().numpy()  # type: ignore[no-any-return]


def _with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """Return an image (h, w, c) as (h, w, channels).

    Raises:
        UsageError: if it is neither grey nor colour, and has another number of them.
    """
    found = image.shape[2]
    if found == 1 and channels == 3:
        return np.repeat(image, 3, 2)
    if found == 3 and channels == 1:
        return image_channels.to_grey(image)
    if found != channels:
        raise UsageError(f"source: an array of shape {image.shape} is no image for this; give (h, w, {channels})")
    return image
