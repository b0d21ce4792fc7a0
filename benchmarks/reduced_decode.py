"""Measure what --reduced-decode changes and saves: AP and boxes with and without it, and the time of reading.

    python -m benchmarks.reduced_decode --weights best.pt --data bccd --imgsz 640 --mosaic 2 2

With --mosaic COLUMNS ROWS the images of a data set whose images have one size are put side by side into large JPEGs, in
a temporary folder. Reading is decoding and resizing to --imgsz, seconds of the processor, in turns, one thread.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.machine import machine
from benchmarks.mosaics import write_mosaics

SHOWN = 0.25  # boxes of at least this confidence are held against each other
NUMBERS = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def make_data(args: argparse.Namespace, folder: Path) -> Path:
    """Write the mosaics, and return their YAML."""
    from data import load_dataset

    columns, rows = args.mosaic
    loaded = load_dataset(args.data, data_root=args.data_root)
    records = [record for split in args.splits for record in loaded[split].records]
    images = [
        records[n : n + columns * rows]
        for n in range(0, len(records) // (columns * rows) * columns * rows, columns * rows)
    ]
    tile = (records[0].width, records[0].height)
    return write_mosaics(folder / "mosaics", {"val": images}, columns, tile, loaded.names, ".jpg")


def measure_ap(args: argparse.Namespace, data: Path) -> list[str]:
    """Return the rows of AP without and with the flag."""
    from engine.validation.run import validate

    lines = ["| | " + " | ".join(NUMBERS) + " |", "|---|" + "---:|" * len(NUMBERS)]
    for title, flag in (("whole", False), ("--reduced-decode", True)):
        with tempfile.TemporaryDirectory() as runs:
            report = validate(
                args.weights, str(data), imgsz=args.imgsz, batch_size=8, noplots=True, project=runs, reduced_decode=flag
            )
        numbers = (report["coco"][name] for name in NUMBERS)
        lines.append(f"| {title} | " + " | ".join("–" if x < 0 else f"{100 * x:.2f}" for x in numbers) + " |")
    return lines


def compare_boxes(args: argparse.Namespace, images: Path) -> str:
    """Return a line on how far boxes move, in pixels of what is looked at, and how many have no partner."""
    from engine import load

    predictor = load(args.weights, imgsz=args.imgsz, conf_thres=SHOWN, backend="torch")
    both = load(args.weights, imgsz=args.imgsz, conf_thres=SHOWN, backend="torch", reduced_decode=True)
    moved: list[float] = []
    changed: list[float] = []
    alone = total = 0
    for one, other in zip(predictor(str(images)), both(str(images)), strict=True):
        mine, theirs = one.boxes.data.numpy(), other.boxes.data.numpy()
        scale = args.imgsz / max(one.orig_shape)
        total += len(mine) + len(theirs)
        free = list(range(len(theirs)))
        for row in mine:
            distances = [float(np.abs(theirs[k, :4] - row[:4]).max()) * scale for k in free]
            best = int(np.argmin(distances)) if free else -1
            if best < 0 or distances[best] > 8 or theirs[free[best], 5] != row[5]:
                alone += 1
                continue
            moved.append(distances[best])
            changed.append(abs(float(theirs[free.pop(best), 4] - row[4])))
        alone += len(free)
    pixels, scores = np.percentile(moved, [50, 95]), np.percentile(changed, [50, 95])
    return (
        f"{len(moved)} pairs of boxes: edges {pixels[0]:.2f} px apart (95 %: {pixels[1]:.2f}) of {args.imgsz}, "
        f"confidences {scores[0]:.3f} ({scores[1]:.3f}); {alone} of {total} boxes without a partner"
    )


def measure_reading(args: argparse.Namespace, images: Path) -> str:
    """Return a line on the time of reading an image."""
    from data.image_files.image_channels import read_reduced

    cv2.setNumThreads(1)
    files = sorted(images.iterdir())
    first: Any = cv2.imread(str(files[0]))
    height, width = first.shape[:2]
    size = args.imgsz, round(args.imgsz * height / width)

    def read(longer: int) -> float:
        start = time.process_time()
        for file in files:
            image: Any = read_reduced(file, (height, width), longer)[0]
            cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return (time.process_time() - start) / len(files)

    pairs = [(read(max(height, width)), read(args.imgsz)) for _ in range(args.runs)]
    whole, reduced = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = statistics.median(pair[0] / pair[1] for pair in pairs)
    times = f"{1000 * whole:.1f} ms whole, {1000 * reduced:.1f} ms reduced"
    return f"reading {width}×{height} at {args.imgsz} px: {times}, {ratio:.1f} times as fast"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", default="bccd")
    parser.add_argument("--data-root")
    parser.add_argument("--splits", nargs="+", default=["val", "test"])
    parser.add_argument("--mosaic", nargs=2, type=int, default=(2, 2), metavar=("COLUMNS", "ROWS"))
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=["reading"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        data = make_data(args, Path(temporary))
        images = data.parent / "images" / "val"
        lines = [machine(), "", measure_reading(args, images)]
        if not args.only:
            lines += [compare_boxes(args, images), "", *measure_ap(args, data)]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
