"""Read truth and detections as columns: what every number of this package is computed from.

COCO's json forms (lists of dictionaries) are read once, checked once and turned into arrays; code that already has
arrays, such as a validator, builds `Truths` and `Detections` directly and skips the dictionaries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Truths:
    """Annotated objects of a set of images, in annotation order.

    Attributes:
        image_ids: identifier of each image, sorted as the reference sorts them: ties between images follow this order.
        category_ids: identifier of each class, sorted.
        names: name of each class, unique.
        image: (G,) position in `image_ids`.
        category: (G,) position in `category_ids`.
        boxes_xywh: (G, 4) left, top, width, height in pixels.
        area: (G,) pixels²; decides the size class. COCO gives the area of the mask, not of the box.
        crowd: (G,) one box around many objects: detections inside are neither right nor wrong (COCO numbers).
        difficult: (G,) may be missed without penalty (VOC numbers).
    """

    image_ids: tuple[Hashable, ...]
    category_ids: tuple[Hashable, ...]
    names: tuple[str, ...]
    image: Ints
    category: Ints
    boxes_xywh: Floats
    area: Floats
    crowd: Bools
    difficult: Bools

    def __post_init__(self) -> None:
        _check_columns("truth", len(self.image), self.image, len(self.image_ids), self.category, len(self.names))
        _check_boxes("truth", self.boxes_xywh, len(self.image))
        if bad := _first(~np.isfinite(self.area) | (self.area < 0)):
            raise ValueError(f"truth row {bad[0]}: area is {self.area[bad[0]]}; expected a finite number >= 0")


@dataclass(frozen=True)
class Detections:
    """Predicted boxes, in input order: ties in score are broken by it, as the reference does.

    Attributes:
        image: (D,) position in the `image_ids` of the truth.
        category: (D,) position in the `category_ids` of the truth.
        boxes_xywh: (D, 4) left, top, width, height in pixels.
        score: (D,) confidence; any finite number.
    """

    image: Ints
    category: Ints
    boxes_xywh: Floats
    score: Floats

    def __post_init__(self) -> None:
        count = len(self.score)
        _check_columns("detection", count, self.image, None, self.category, None)
        _check_boxes("detection", self.boxes_xywh, count)
        if bad := _first(~np.isfinite(self.score)):
            raise ValueError(f"detection row {bad[0]}: score is {self.score[bad[0]]}; expected a finite number")

    def __len__(self) -> int:
        return len(self.score)


def read_truths(gt: Mapping[str, Any] | Truths) -> Truths:
    """Turn a COCO ground-truth dictionary into columns.

    Args:
        gt: dictionary with the lists "images" (id), "categories" (id, name) and "annotations" (image_id, category_id,
            bbox [x, y, width, height] and, when present, area, iscrowd, difficult). A missing area is that of the box.
            The key "ignore" is not looked at, as in the reference. Columns are returned as they are.

    Returns:
        The columns; images and classes sorted by id.

    Raises:
        ValueError: if a list, a key or a number is missing or unusable; the message names the row (from 0).
    """
    if isinstance(gt, Truths):
        return gt
    for key in ("images", "categories", "annotations"):
        if not isinstance(gt.get(key), list):
            raise ValueError(f"ground truth: {key!r} is missing or no list; expected a COCO dictionary")
    image_ids = _sorted_ids("images", gt["images"])
    category_ids = _sorted_ids("categories", gt["categories"])
    rows = gt["annotations"]
    boxes = _numbers("annotations", _values("annotations", rows, "bbox"), "bbox")
    areas = [row.get("area", area) for row, area in zip(rows, (boxes[:, 2] * boxes[:, 3]).tolist(), strict=True)]
    return Truths(
        image_ids=tuple(image_ids),
        category_ids=tuple(category_ids),
        names=_unique_names({row["id"]: row.get("name", row["id"]) for row in gt["categories"]}, category_ids),
        image=_positions("annotations", rows, "image_id", image_ids, "images"),
        category=_positions("annotations", rows, "category_id", category_ids, "categories"),
        boxes_xywh=boxes,
        area=_numbers("annotations", areas, "area"),
        crowd=np.array([bool(row.get("iscrowd", 0)) for row in rows], dtype=bool),
        difficult=np.array([bool(row.get("difficult", 0)) for row in rows], dtype=bool),
    )


def read_detections(detections: Sequence[Mapping[str, Any]] | Detections, truths: Truths) -> Detections:
    """Turn a COCO results list into columns.

    Args:
        detections: dictionaries with image_id, category_id, bbox [x, y, width, height] and score.
        truths: what they are compared with; every image and class must occur there.

    Returns:
        The columns, in input order.

    Raises:
        ValueError: if a row names an unknown image or class, or holds NaN, infinity or a negative size.
    """
    if isinstance(detections, Detections):
        _check_columns(
            "detection",
            len(detections),
            detections.image,
            len(truths.image_ids),
            detections.category,
            len(truths.names),
        )
        return detections
    image_ids = {key: i for i, key in enumerate(truths.image_ids)}
    category_ids = {key: i for i, key in enumerate(truths.category_ids)}
    return Detections(
        image=_positions("detection", detections, "image_id", image_ids, "images"),
        category=_positions("detection", detections, "category_id", category_ids, "categories"),
        boxes_xywh=_numbers("detection", _values("detection", detections, "bbox"), "bbox"),
        score=_numbers("detection", _values("detection", detections, "score"), "score"),
    )


def _sorted_ids(where: str, rows: Sequence[Mapping[str, Any]]) -> dict[Hashable, int]:
    """Return identifiers in the reference's order, each with its position."""
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping) or "id" not in row:
            raise ValueError(f"{where} row {i}: no 'id'; expected a dictionary with one, found {row!r:.80}")
    counts = Counter(row["id"] for row in rows)
    if len(counts) < len(rows):
        raise ValueError(f"{where}: the id {counts.most_common(1)[0][0]!r} occurs more than once; ids must be unique")
    # Strings after numbers, so that a mixture has an order too.
    return {key: i for i, key in enumerate(sorted(counts, key=lambda key: (isinstance(key, str), key)))}


def _unique_names(names: Mapping[Hashable, Any], ids: Iterable[Hashable]) -> tuple[str, ...]:
    """Return one name a class; where two classes share one, the id is added to both."""
    counts = Counter(str(name) for name in names.values())
    return tuple(str(names[key]) if counts[str(names[key])] == 1 else f"{names[key]} (id {key})" for key in ids)


def _values(where: str, rows: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    try:
        return [row[key] for row in rows]
    except (KeyError, TypeError, IndexError):
        i, row = next((i, row) for i, row in enumerate(rows) if not isinstance(row, Mapping) or key not in row)
        raise ValueError(f"{where} row {i}: no {key!r} in {row!r:.80}") from None


def _positions(
    where: str, rows: Sequence[Mapping[str, Any]], key: str, known: Mapping[Hashable, int], listed: str
) -> Ints:
    values = _values(where, rows, key)
    try:
        return np.fromiter((known[value] for value in values), dtype=np.int64, count=len(values))
    except (KeyError, TypeError):
        i, value = next((i, v) for i, v in enumerate(values) if not isinstance(v, Hashable) or v not in known)
        raise ValueError(
            f"{where} row {i}: {key} {value!r:.80} is not among the {len(known)} {listed} of the ground truth"
        ) from None


def _numbers(where: str, values: Sequence[Any], key: str) -> Floats:
    """Return the values as one array; the message about a bad one is made only when the fast way fails."""
    inner = (4,) if key == "bbox" else ()
    numbers = _array(values)
    if numbers.shape == (len(values), *inner) and numbers.dtype.kind in "iuf":
        return numbers.astype(np.float64, copy=False)
    for i, value in enumerate(values):
        one = _array(value)
        if one.shape != inner or one.dtype.kind not in "iuf":
            wanted = "four numbers [x, y, width, height]" if inner else "a number"
            raise ValueError(f"{where} row {i}: {key} is {value!r:.80}; expected {wanted}")
    return np.array(values, dtype=np.float64).reshape(-1, *inner)


def _array(value: Any) -> npt.NDArray[Any]:
    try:
        return np.array(value)
    except ValueError:  # lists of unequal length
        return np.zeros(0, dtype=object)


def _check_columns(
    where: str, count: int, image: Ints, images: int | None, category: Ints, categories: int | None
) -> None:
    for name, column, size in (("image", image, images), ("category", category, categories)):
        if column.shape != (count,) or column.dtype.kind not in "iu":
            raise ValueError(f"{where}s: {name} is {column.dtype}{column.shape}; expected {count} integer positions")
        size_limit = np.iinfo(np.int64).max if size is None else size
        if bad := _first((column < 0) | (column >= size_limit)):
            raise ValueError(
                f"{where} row {bad[0]}: {name} position {column[bad[0]]}; expected 0 <= position < {size_limit}"
            )


def _check_boxes(where: str, boxes: Floats, count: int) -> None:
    if boxes.shape != (count, 4):
        raise ValueError(f"{where}s: boxes have shape {boxes.shape}; expected ({count}, 4)")
    if bad := _first(~np.isfinite(boxes).all(axis=1)):
        raise ValueError(f"{where} row {bad[0]}: bbox is {boxes[bad[0]].tolist()}; expected four finite numbers")
    if bad := _first((boxes[:, 2:] < 0).any(axis=1)):
        raise ValueError(
            f"{where} row {bad[0]}: bbox is {boxes[bad[0]].tolist()}; width and height must be >= 0 "
            "(COCO's form is [x, y, width, height])"
        )


def _first(wrong: Any) -> list[int]:
    """Return the position of the first True, as a list that is empty when there is none."""
    return np.flatnonzero(wrong)[:1].tolist()
