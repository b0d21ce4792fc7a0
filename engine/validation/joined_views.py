"""Join the boxes of an image's views in validation with --slice, so that metrics see whole images."""

from typing import Any

import numpy as np
import torch

from engine.datasets.record_dataset import NUMBER
from engine.datasets.sliced_dataset import SlicedDataset
from engine.ops.join_views import Views, join_views


class JoinedViews:
    """Gather the boxes of an image's views, which come in order, and hand the image on when its last view is there.

    Args:
        dataset: whose samples are the views.
        iou_thres: of suppression.
        max_det: boxes an image at most.
        agnostic: boxes of different classes suppress each other too.
    """

    def __init__(self, dataset: SlicedDataset, iou_thres: float, max_det: int, agnostic: bool) -> None:
        self.dataset, self.iou_thres, self.max_det, self.agnostic = dataset, iou_thres, max_det, agnostic
        self.waiting: list[np.ndarray] = []  # (n, 6) of each view so far: corners in its pixels, score, class

    def take(self, pred: dict[str, torch.Tensor], view: int) -> dict[str, torch.Tensor] | None:
        """Take the boxes of one view; return those of the image, in its pixels, if this view was its last.

        Args:
            pred: bboxes in pixels of the view, conf, cls.
            view: its number in the data set.
        """
        columns = [pred["bboxes"], pred["conf"][:, None], pred["cls"][:, None]]
        self.waiting.append(torch.cat([column.float() for column in columns], 1).cpu().numpy())
        image = self.dataset.image_of[view]
        if view + 1 < len(self.dataset.image_of) and self.dataset.image_of[view + 1] == image:
            return None
        parts, self.waiting = self.waiting, []
        rows = torch.from_numpy(self._joined(parts, self.dataset.views_of(image)))
        return {"bboxes": rows[:, :4], "conf": rows[:, 4], "cls": rows[:, 5], "extra": rows[:, 6:]}

    def _joined(self, parts: list[np.ndarray], windows: np.ndarray) -> np.ndarray:
        if len(parts) == 1:
            return parts[0]
        rows = np.concatenate(parts)
        boxes = rows[:, :4] + np.repeat(windows[:, [0, 1, 0, 1]], [len(part) for part in parts], 0)
        view = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        views = Views(boxes.astype(np.float32), rows[:, 4], rows[:, 5].astype(np.int64), view, windows)
        return join_views(views, self.iou_thres, self.max_det, self.agnostic)

    def image_batch(self, view: int, device: torch.device) -> dict[str, Any]:
        """Return an image as a batch of its own, its truth in its own pixels.

        Args:
            view: number of the image's last view, which shows all of it.
            device: where the truth goes.
        """
        label, record = self.dataset.labels[view], self.dataset.records[view]
        count = len(label["cls"])
        return {
            "img": torch.empty((1, 0, record.height, record.width)),  # only its shape is asked for
            "batch_idx": torch.zeros(count, device=device),
            "cls": torch.from_numpy(label["cls"]).to(device),
            "bboxes": torch.from_numpy(label["bboxes"]).to(device),
            "ori_shape": [(record.height, record.width)],
            "ratio_pad": [((1.0, 1.0), (0.0, 0.0))],
            "im_file": [label["im_file"]],
            NUMBER: [int(self.dataset.image_of[view])],
        }
