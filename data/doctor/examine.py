"""Examine a data set: what is in it, and what is wrong with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from data.config import DataConfig, read_config
from data.doctor.duplicates import Repeats, find_duplicates
from data.doctor.report import Report
from data.doctor.statistics import YOLOV5_ANCHORS, balance, best_possible_recall, remedies, sides_at, split_statistics
from data.doctor.unlisted_files import find_unlisted_files
from data.errors import DataError
from data.loading import load_dataset
from data.records import Dataset, Issue
from data.yaml_reader import load_yaml


def doctor(
    source: str | Path | Mapping[str, Any] | DataConfig,
    data_root: str | Path | None = None,
    *,
    imgsz: int = 640,
    anchors: str | Path | Sequence[Sequence[float]] | None = None,
    decode: bool = True,
    progress: bool = False,
    workers: int | None = None,
    download: bool = False,
    oversample: float = 0.1,
) -> Report:
    """Examine a data set; nothing of it is changed.

    Args:
        source: as for load_dataset.
        data_root: the data set's folder, instead of the YAML's `path`.
        imgsz: training resolution in pixels.
        anchors: a model YAML with anchors, or rows of w, h, w, h, … in pixels at `imgsz`; None for YOLOv5's own.
        decode: decode every image, to find those that cannot be and those that occur twice.
        progress: show a bar on standard error.
        workers: threads; None for twice the processors, at most eight.
        download: fetch the data if they are missing and the YAML says from where.
        oversample: threshold for which the report says what train.py --oversample would do.

    Raises:
        DataError: if the data set cannot be read at all.
    """
    if imgsz < 1:
        raise DataError(f"imgsz={imgsz}: expected a training resolution in pixels, such as 640")
    if not 0 < oversample <= 1:
        raise DataError(f"oversample={oversample}: expected a part of the images, such as 0.1")
    config = source if isinstance(source, DataConfig) else read_config(source, data_root)
    name, rows = read_anchors(anchors)
    dataset = load_dataset(config, download=download)
    issues = [(split.name, issue) for split in dataset.splits.values() for issue in split.issues]
    issues += find_unlisted_files(config, dataset)
    repeats = _find_duplicates(dataset, progress, workers) if decode else Repeats()
    train = dataset.splits.get("train") or next(iter(dataset.splits.values()))
    recall, fits = best_possible_recall(sides_at(train.records, imgsz), rows)
    return Report(
        dataset=dataset,
        imgsz=imgsz,
        splits={split.name: split_statistics(split, dataset.names, imgsz) for split in dataset.splits.values()},
        balance=balance(dataset),
        remedies=remedies(train, dataset.names, oversample),
        anchors={
            "source": name,
            "best possible recall": None if np.isnan(recall) else round(recall, 4),
            "anchors per box": None if np.isnan(fits) else round(fits, 2),
        },
        issues=issues + repeats.issues + _small_objects(dataset),
        groups=repeats.groups,
    )


def read_anchors(anchors: str | Path | Sequence[Sequence[float]] | None) -> tuple[str, np.ndarray]:
    """Return the name and the (k, 2) table of anchors, width and height in pixels.

    Raises:
        DataError: if they are not rows of an even number of positive sizes.
    """
    if anchors is None:
        return "YOLOv5, P3 to P5", np.array(YOLOV5_ANCHORS, dtype=np.float64).reshape(-1, 2)
    name, rows = "given", cast(Any, anchors)
    if isinstance(anchors, (str, Path)):
        name = str(anchors)
        rows = load_yaml(Path(anchors)).get("anchors")
    try:
        flat = [[float(value) for value in row] for row in rows]  # float() refuses nested lists, which could be endless
        table = np.concatenate([np.array(row).reshape(-1, 2) for row in flat])
    except (TypeError, ValueError):
        table = np.empty((0, 2))
    if not len(table) or not (np.isfinite(table) & (table > 0)).all():
        raise DataError(f"{name}: key 'anchors' must hold rows of w, h, w, h, … in pixels, one row a level")
    return name, table


def _find_duplicates(dataset: Dataset, progress: bool, workers: int | None) -> Repeats:
    if not progress:
        return find_duplicates(dataset, workers=workers)
    from tqdm import tqdm

    with tqdm(total=len({record.path for record in dataset}), desc="Comparing images", unit="img", disable=None) as bar:
        return find_duplicates(dataset, bar.update, workers)


def _small_objects(dataset: Dataset) -> list[tuple[str, Issue]]:
    """Return an issue for every image with boxes of a pixel or less."""
    issues = []
    for split in dataset.splits.values():
        for record in split:
            sides = record.boxes_xyxy[:, 2:] - record.boxes_xyxy[:, :2]
            number = int((sides.min(1, initial=np.inf) <= 1.0).sum())
            if number:
                text = f"{number} boxes are a pixel or less wide or high"
                issues.append((split.name, Issue(record.path, None, "one-pixel", text, "kept")))
    return issues
