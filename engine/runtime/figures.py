"""Write what matplotlib draws as PDF too, for papers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

PER_INCH = 150  # pixels of an image written as PDF
NO_DATES = {"CreationDate": None, "Creator": None, "Producer": None}  # the same drawing gives the same file


@contextmanager
def saved_as_pdf_too(wanted: bool) -> Iterator[None]:
    """Write every figure that the block saves as .png also as .pdf beside it.

    Args:
        wanted: whether to do so; nothing is changed otherwise.
    """
    if not wanted:
        yield
        return
    from matplotlib.figure import Figure

    original = Figure.savefig

    def save(figure: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(figure, target, *args, **kwargs)
        if isinstance(target, str | Path) and Path(target).suffix == ".png":
            original(figure, Path(target).with_suffix(".pdf"), metadata=NO_DATES)
        return result

    Figure.savefig = save  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Figure.savefig = original  # type: ignore[method-assign]


def write_image_pdf(image: np.ndarray, path: Path) -> None:
    """Write an image as a page of its size, pixel by pixel without loss.

    Args:
        image: (h, w, 3) uint8 BGR.
        path: of the PDF.
    """
    from matplotlib.figure import Figure

    height, width = image.shape[:2]
    figure = Figure(figsize=(width / PER_INCH, height / PER_INCH))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(image[..., ::-1], interpolation="none", aspect="auto")
    figure.savefig(path, metadata=NO_DATES)
