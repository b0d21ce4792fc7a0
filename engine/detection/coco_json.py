"""Write detections as COCO JSON, for evaluators, annotation tools and other programs."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from models.weights.atomic_write import write_atomically


def coco_results(results: Iterable[Any], image_ids: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return detections as COCO results, as pycocotools' `loadRes` takes them.

    Args:
        results: what `detect` or a loaded model gives.
        image_ids: path of an image → its id in the data set; by default images are counted from 1.

    Returns:
        A row for each box: image_id, category_id (the class number), bbox [x, y, width, height] in pixels, score.
    """
    return [
        row
        for number, result in enumerate(results, 1)
        for row in _rows(result, number if image_ids is None else image_ids[result.path])
    ]


def _rows(result: Any, image_id: Any) -> list[dict[str, Any]]:
    """Return the rows of one image."""
    return [
        {
            "image_id": image_id,
            "category_id": int(class_id),
            "bbox": [round(x1, 3), round(y1, 3), round(x2 - x1, 3), round(y2 - y1, 3)],
            "score": round(score, 5),
        }
        for (x1, y1, x2, y2), score, class_id in zip(
            result.boxes.xyxy.tolist(), result.boxes.conf.tolist(), result.boxes.cls.tolist(), strict=True
        )
    ]


def write_coco(results: Iterable[Any], path: str | Path) -> Path:
    """Write detections as a COCO data set of its own: images, categories and annotations with scores.

    Args:
        results: what `detect` or a loaded model gives, of images; their pixels are not kept.
        path: the file; its folder exists.

    Returns:
        The path.
    """
    names: Mapping[int, str] = {}
    images: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for number, result in enumerate(results, 1):
        names, (height, width) = result.names, result.orig_shape
        images.append({"id": number, "file_name": result.path, "height": height, "width": width})
        rows += _rows(result, number)
    for number, row in enumerate(rows, 1):
        row |= {"id": number, "iscrowd": 0, "area": round(row["bbox"][2] * row["bbox"][3], 3)}
    content = {
        "images": images,
        "categories": [{"id": number, "name": name} for number, name in names.items()],
        "annotations": rows,
    }
    text = json.dumps(content, ensure_ascii=False)
    write_atomically(Path(path), lambda stream: stream.write(text.encode("utf-8")))
    return Path(path)
