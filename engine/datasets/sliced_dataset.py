"""Serve the views of large images (--slice) as samples: windows cut on the fly, and the whole images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.datasets.record_dataset import RecordDataset
from engine.ops.windows import Slicing, view_records


class SlicedDataset(RecordDataset):
    """Serve every window of every image, and then the image, each as a sample with the boxes that it shows.

    The windows depend on the images' sizes alone: what a Draw gives is a function of seed, epoch and number of the view.

    Args:
        records: the images of one split.
        slicing: how they are cut.
        kwargs: as for RecordDataset.

    Attributes:
        images: records of the whole images.
        windows: (n, 4) left, top, right, bottom of each view in its image.
        image_of: (n,) number of each view's image.
    """

    def __init__(self, records: Sequence[Any], slicing: Slicing, **kwargs: Any) -> None:
        views, self.windows, self.image_of = view_records(records, slicing)
        self._images = list(records)
        self._latest: tuple[int, np.ndarray] | None = None  # number of an image, and its pixels
        super().__init__(views, **kwargs)

    @property
    def images(self) -> list[Any]:
        """Return the records of whole images."""
        return self._images

    def views_of(self, image: int) -> np.ndarray:
        """Return the windows of an image, the whole last, (v, 4)."""
        return self.windows[self.image_of == image]  # type: ignore[no-any-return]

    def set_rectangle(self) -> None:
        """Set the shapes of rectangular batches; views stay in their order, those of an image together.

        Source:
            YOLOv5 v7.0, dataloaders.LoadImagesAndLabels: the smallest shape that all images of a batch fit into.
        """
        ratios = np.array([record.height / record.width for record in self.records])
        self.batch = np.arange(self.ni) // self.batch_size
        shapes = []
        for number in range(self.batch[-1] + 1):
            own = ratios[self.batch == number]
            shapes.append((min(1.0, own.max()), min(1.0, 1 / own.min())))
        canvas = np.ceil(np.array(shapes) * self.imgsz / self.stride + self.pad)
        self.batch_shapes = canvas.astype(int) * self.stride

    def _read(self, i: int) -> tuple[np.ndarray, tuple[int, int]]:
        """Cut a view from its image; the latest image is kept, since its other views are often wanted next."""
        number, latest = int(self.image_of[i]), self._latest
        if latest is None or latest[0] != number:
            latest = self._latest = (number, super()._read(i)[0])
        left, top, right, bottom = self.windows[i]
        view = latest[1][top:bottom, left:right].copy()
        return view, view.shape[:2]


def sliced(slicing: Slicing | None, records: Sequence[Any], **kwargs: Any) -> RecordDataset:
    """Return the data set of a split: of whole images, or of their views.

    Args:
        slicing: how images are cut; None for whole ones.
        records: the images.
        kwargs: as for RecordDataset.
    """
    return RecordDataset(records, **kwargs) if slicing is None else SlicedDataset(records, slicing, **kwargs)
