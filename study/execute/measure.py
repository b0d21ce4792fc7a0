"""Measure one checkpoint on one split: every number, the match table, and the boxes for images."""

from pathlib import Path
from typing import Any

import numpy as np

from engine.datasets.record_dataset import describe
from engine.datasets.splits import load_data
from engine.validation.validator import Validator
from metrics import evaluate
from models import load_model
from study.plan.run import write_json

CONF_THRES, IOU_THRES, MAX_DET = 0.001, 0.6, 300  # val.py's defaults
BATCH = 32
SHOWN = 0.05  # boxes below this confidence are not kept for images


def measure(weights: Path, data: str, split: str, folder: Path, options: dict[str, Any], device: str = "") -> None:
    """Measure a checkpoint.

    Args:
        weights: our checkpoint; its averaged weights are measured in full precision.
        data: data set, as for --data.
        split: its name.
        folder: where metrics.json, matches.npz and boxes.npz are written. Images are kept by their position in the
            split, since the data may have moved when the boxes are drawn.
        options: of the training: imgsz, single_cls, stretch, reduced_decode, data_root.
        device: as for --device.

    Raises:
        CheckpointError, DataError: if the files cannot be read any more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names, splits = load_data(data, (split,), options.get("data_root"), stretch=options.get("stretch", False))
    validator = Validator(
        save_dir=folder,
        args=_settings(split, folder, options, device),
        info=describe(names, splits, options["single_cls"]),
        keep_boxes=True,
    )
    validator.stretch = options.get("stretch", False)
    validator.reduced_decode = options.get("reduced_decode", False)
    validator.workers = 0
    validator(model=load_model(weights))
    truths, detections = validator.report_inputs()
    report = evaluate(truths, detections)
    report.matches.save(folder / "matches.npz")
    shown = detections.score >= SHOWN
    positions = {id(record): number for number, record in enumerate(splits[split].records)}  # a file may be there twice
    np.savez_compressed(
        folder / "boxes.npz",
        position=np.array([positions[id(record)] for record in validator.dataloader.dataset.records]),
        image=detections.image[shown],
        category=detections.category[shown],
        boxes_xywh=detections.boxes_xywh[shown],
        score=detections.score[shown],
    )
    write_json(folder / "metrics.json", report.to_dict())  # last: it says that the measuring is done


def _settings(split: str, folder: Path, options: dict[str, Any], device: str) -> dict[str, Any]:
    """Return the settings under ultralytics' names."""
    return {
        "task": "detect",
        "mode": "val",
        "data": "study",
        "split": split,
        "batch": BATCH,
        "imgsz": options["imgsz"],
        "conf": CONF_THRES,
        "iou": IOU_THRES,
        "max_det": MAX_DET,
        "device": device,
        "single_cls": options["single_cls"],
        "plots": False,
        "verbose": False,
        "rect": True,
        "project": str(folder.parent),
        "name": folder.name,
        "exist_ok": True,
    }
