"""Collect the true boxes of a split as `metrics` takes them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def collect_truths(records: Sequence[Any], names: Mapping[int, Any], single_cls: bool) -> Any:
    """Return the true boxes of whole images, difficult objects included.

    Args:
        records: `data.records.Record` objects.
        names: class number → name; boxes of other classes are left out.
        single_cls: all classes are one.

    Returns:
        `metrics.Truths`, whose images are the records' positions.
    """
    from metrics import Truths

    texts = tuple(str(names[number]) for number in sorted(names))
    counts = [len(record) for record in records]

    def column(name: str, dtype: Any) -> np.ndarray:
        parts = [np.asarray(getattr(record, name)) for record in records]
        return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype)

    corners = np.concatenate([record.boxes_xyxy.reshape(-1, 4) for record in records])
    classes = np.zeros(sum(counts), np.int64) if single_cls else column("classes", np.int64)
    known = classes < len(texts)
    image = np.repeat(np.arange(len(records)), counts)
    boxes_xywh = np.concatenate((corners[:, :2], corners[:, 2:] - corners[:, :2]), 1)
    return Truths(
        tuple(range(len(records))),
        tuple(range(len(texts))),
        texts,
        image[known],
        classes[known],
        boxes_xywh[known],
        column("area", np.float64)[known],
        column("crowd", bool)[known],
        column("difficult", bool)[known],
    )
