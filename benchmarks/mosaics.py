"""Make large images of many small ones, with labels: data sets for --slice."""

from pathlib import Path
from typing import Any

import numpy as np


def mosaic(records: list[Any], columns: int, tile: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put images side by side.

    Args:
        records: `data.records.Record` objects of images of one size; as many as make whole rows.
        columns: images in a row.
        tile: their width and height.

    Returns:
        The image (h, w, 3) uint8 BGR, its boxes (n, 4) as corners in pixels, and their classes (n,).
    """
    from data.image_files import image_io

    images: list[Any] = [image_io.read(record.path) for record in records]
    rows = [np.concatenate(images[start : start + columns], 1) for start in range(0, len(images), columns)]
    places = [np.array([k % columns, k // columns] * 2) * [*tile, *tile] for k in range(len(records))]
    boxes = [record.boxes_xyxy + place for record, place in zip(records, places, strict=True)]
    return np.concatenate(rows), np.concatenate(boxes), np.concatenate([record.classes for record in records])


def write_mosaics(
    folder: Path,
    splits: dict[str, list[list[Any]]],
    columns: int,
    tile: tuple[int, int],
    names: Any,
    suffix: str = ".png",
) -> Path:
    """Write a data set of mosaics in YOLO format, and return its YAML.

    Args:
        folder: the data set's.
        splits: split → for each image, the records of its parts.
        columns: parts in a row.
        tile: width and height of a part.
        names: class number → name.
        suffix: of the images, which says what they are written as.
    """
    import cv2
    import yaml

    for split, images in splits.items():
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        for number, records in enumerate(images):
            image, boxes, classes = mosaic(records, columns, tile)
            cv2.imwrite(str(folder / "images" / split / f"{number}{suffix}"), image)
            size = np.array([image.shape[1], image.shape[0]])
            centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2 / size, (boxes[:, 2:] - boxes[:, :2]) / size
            lines = [
                " ".join([str(int(c)), *(f"{value:.6f}" for value in row)])
                for c, row in zip(classes, np.concatenate([centres, sizes], 1), strict=True)
            ]
            (folder / "labels" / split / f"{number}.txt").write_text("\n".join(lines) + "\n")
    content = {"path": str(folder), "names": dict(names), **{split: f"images/{split}" for split in splits}}
    path = folder / "data.yaml"
    path.write_text(yaml.safe_dump(content))
    return path
