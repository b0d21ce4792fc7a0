"""Measure --slice on large images: AP by size with and without windows, and recall and time beside the package sahi.

    python -m benchmarks.slicing --weights best.pt --data bccd --imgsz 320 --mosaic 5 6
    python -m benchmarks.slicing --weights best.pt --data aerial.yaml --imgsz 416 --slice 416 --splits valid

With --mosaic COLUMNS ROWS the images of a data set whose images have one size are put side by side into large ones, in
a temporary folder. sahi (pip install --no-deps sahi shapely fire termcolor pybboxes) runs if it is there: the same ONNX
file of the same weights by ultralytics, the same windows, whole image, confidence and IoU; both sides in processes of
their own, taking turns, each with one thread.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine
from benchmarks.mosaics import write_mosaics

CONF, IOU = 0.25, 0.45  # of both sides: the defaults of detect.py
MOST = 3000  # boxes of an image
SIZES = ("AP", "AP50", "APs", "APm", "APl")


def arguments() -> argparse.Namespace:
    """Return the flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--data-root", default=None)
    parser.add_argument("--splits", nargs="+", default=["val", "test"])
    parser.add_argument("--mosaic", nargs=2, type=int, default=None, metavar=("COLUMNS", "ROWS"))
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--slice", type=int, default=640)
    parser.add_argument("--overlap", type=float, default=0.2)
    parser.add_argument("--runs", type=int, default=2, help="turns of each side")
    parser.add_argument("--only", choices=["ap", "sahi"], default=None)
    parser.add_argument("--side", choices=["ours", "sahi"], default=None, help="(one turn of one side)")
    parser.add_argument("--out", default=None, help="(its result)")
    return parser.parse_args()


def make_data(args: argparse.Namespace, folder: Path) -> tuple[Path, str]:
    """Return the YAML of the images to measure on, and its split."""
    from data import load_dataset

    if args.mosaic is None:
        return Path(args.data), args.splits[0]
    columns, rows = args.mosaic
    loaded = load_dataset(args.data, data_root=args.data_root)
    records = [record for split in args.splits for record in loaded[split].records]
    whole = len(records) // (columns * rows)
    images = [records[n * columns * rows : (n + 1) * columns * rows] for n in range(whole)]
    tile = (records[0].width, records[0].height)
    return write_mosaics(folder / "mosaics", {"val": images}, columns, tile, loaded.names), "val"


def measure_ap(args: argparse.Namespace, data: Path, split: str) -> None:
    """Print AP by size with and without windows; all boxes count, of which COCO would take 100 a class and image."""
    from engine.validation.run import validate
    from metrics import matching

    matching.MAX_DETECTIONS = MOST
    print("| AP by size | " + " | ".join(SIZES) + " |\n|---|" + "---:|" * len(SIZES))
    for title, flags in (("whole images", {}), (f"--slice {args.slice}", sliced(args))):
        with tempfile.TemporaryDirectory() as runs:
            report = validate(
                args.weights, str(data), data_root=args.data_root if args.mosaic is None else None,
                task=split, imgsz=args.imgsz, batch_size=8, noplots=True, max_det=MOST, project=runs, **flags,
            )  # fmt: skip
        numbers = (report["coco"][name] for name in SIZES)
        print(f"| {title} | " + " | ".join("–" if x < 0 else f"{100 * x:.1f}" for x in numbers) + " |")


def sliced(args: argparse.Namespace) -> dict[str, Any]:
    """Return the flags of slicing."""
    return {"slice": args.slice, "slice_overlap": args.overlap}


def run_side(args: argparse.Namespace) -> None:
    """Take one turn: look at all images once, after a warm-up, and write boxes and times."""
    import cv2

    images: list[Any] = [cv2.imread(str(path)) for path in json.loads(Path(args.data).read_text())]
    look = look_by_ours(args) if args.side == "ours" else look_by_sahi(args)
    look([images[0][: args.slice, : args.slice + 32]])
    start, cpu = time.perf_counter(), time.process_time()
    boxes = look(images)
    result = {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu, "boxes": boxes}
    Path(args.out).write_text(json.dumps(result))


def look_by_ours(args: argparse.Namespace) -> Any:
    """Return a function from images to rows of corners, score and class."""
    from engine import detect

    def look(images: list[np.ndarray]) -> list[list[list[float]]]:
        flags = {"imgsz": args.imgsz, "conf_thres": CONF, "iou_thres": IOU, "max_det": MOST, "device": "cpu"}
        results = detect(args.weights, images, **flags, **sliced(args))
        return [result.boxes.data.tolist() for result in results]

    return look


def look_by_sahi(args: argparse.Namespace) -> Any:
    """Return the same for sahi; its windows go to ultralytics' predictor in batches of one, its default."""
    from sahi import AutoDetectionModel
    from sahi.predict import get_sliced_prediction

    model = AutoDetectionModel.from_pretrained(
        "ultralytics", model_path=args.weights, confidence_threshold=CONF, device="cpu", image_size=args.imgsz
    )
    model.model.overrides |= {"iou": IOU, "max_det": MOST}

    def look(images: list[np.ndarray]) -> list[list[list[float]]]:
        rows = []
        for image in images:
            result = get_sliced_prediction(
                np.ascontiguousarray(image[..., ::-1]), model, args.slice, args.slice, args.overlap, args.overlap,
                verbose=0,
            )  # fmt: skip
            rows.append(
                [
                    [*map(float, one.bbox.to_xyxy()), float(one.score.value), one.category.id]
                    for one in result.object_prediction_list
                ]
            )
        return rows

    return look


def recall_and_precision(records: list[Any], boxes: list[list[list[float]]]) -> tuple[float, float]:
    """Match boxes to objects of their class, best score first, at IoU 0.5; return recall and precision."""
    from metrics.iou import iou_matrix

    hits = objects = found = 0
    for record, rows in zip(records, boxes, strict=True):
        table = np.array(rows, float).reshape(-1, 6)
        table = table[np.argsort(-table[:, 4], kind="stable")]
        iou = iou_matrix(table[:, :4], record.boxes_xyxy)
        iou[table[:, 5:] != record.classes] = 0
        for row in iou:
            best = int(row.argmax()) if len(row) else 0
            if len(row) and row[best] >= 0.5:
                hits += 1
                iou[:, best] = 0
        objects, found = objects + len(record), found + len(table)
    return hits / max(1, objects), hits / max(1, found)


def beside_sahi(args: argparse.Namespace, data: Path, split: str, folder: Path) -> None:
    """Print recall, precision and time of both sides."""
    from data import load_dataset

    records = load_dataset(str(data), split=split, data_root=None if args.mosaic else args.data_root)[split].records
    onnx = export(args, folder)
    listed = folder / "images.json"
    listed.write_text(json.dumps([str(record.path) for record in records]))
    results: dict[str, list[dict[str, Any]]] = {"ours": [], "sahi": []}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "YOLO_OFFLINE": "true"}
    for _ in range(args.runs):
        for side, turns in results.items():
            out = folder / f"{side}.json"
            command = [sys.executable, "-m", "benchmarks.slicing", "--side", side, "--out", str(out)]
            command += ["--weights", str(onnx), "--data", str(listed), "--imgsz", str(args.imgsz)]
            command += ["--slice", str(args.slice), "--overlap", str(args.overlap)]
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
            turns.append(json.loads(out.read_text()))
    print("\n| side | recall | precision | boxes | processor s | wall s |\n|---|---:|---:|---:|---:|---:|")
    middle = {}
    for side, turns in results.items():
        recall, precision = recall_and_precision(records, turns[0]["boxes"])
        cpu, wall = (float(np.median([turn[kind] for turn in turns])) for kind in ("cpu", "wall"))
        middle[side] = cpu, wall
        count = sum(map(len, turns[0]["boxes"]))
        print(f"| {side} | {recall:.4f} | {precision:.4f} | {count} | {cpu:.2f} | {wall:.2f} |")
    ratios = (ours / theirs for ours, theirs in zip(middle["ours"], middle["sahi"], strict=True))
    print("\nours / sahi: processor {:.2f}, wall {:.2f}".format(*ratios))


def export(args: argparse.Namespace, folder: Path) -> Path:
    """Write the weights as an ONNX file that takes any size."""
    from engine.backends.onnx_cache import export_onnx
    from engine.cli.detect_flags import detect_parser
    from engine.model_loading import load_weights

    target = folder / "model.onnx"
    export_onnx(load_weights(args.weights, detect_parser().parse_args([])), target).replace(target)
    return target


def main() -> None:
    """Measure as the flags say."""
    args = arguments()
    if args.side:
        run_side(args)
        return
    print(f"{machine()}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, split = make_data(args, folder)
        if args.only != "sahi":
            measure_ap(args, data, split)
        if args.only != "ap":
            beside_sahi(args, data, split, folder)


if __name__ == "__main__":
    main()
