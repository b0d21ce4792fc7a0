"""Compare loaders in one run: augmented training images a second and core, from memory, one process, one thread.

python -m benchmarks.loader --data DATA.yaml [--imgsz 640 320] [--hyp v5-low] [--images 160] [--runs 7] [--stages]
                            [--yolov5 CHECKOUT] [--before CHECKOUT] [--markdown OUT.md]

Sides take turns; what is compared is seconds of the processor, the median of each round's ratio. Beside this program's
loader stand its own samples by ultralytics' transforms, ultralytics' loader as installed, the original YOLOv5's where
--yolov5 names a checkout (its requirements on PYTHONPATH), and another state of this program where --before names one.
--stages says what the time of this program's goes into.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import machine

ROOT = Path(__file__).resolve().parents[1]
SIDES = Path(__file__).with_name("loader_sides.py")
OWN = "ours"


def _copy(data: str, folder: Path) -> int:
    """Copy a training split to where every side finds it, since they write beside it; return the number of images."""
    from data import load_dataset

    read = load_dataset(data, split="train")
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number, record in enumerate(read["train"].records):
        shutil.copy(record.path, folder / "images" / f"{number}{record.path.suffix}")
        boxes = record.boxes_xyxy / [record.width, record.height, record.width, record.height]
        lines = [
            f"{cls} {(x1 + x2) / 2} {(y1 + y2) / 2} {x2 - x1} {y2 - y1}"
            for cls, (x1, y1, x2, y2) in zip(record.classes, boxes, strict=True)
        ]
        (folder / "labels" / f"{number}.txt").write_text("\n".join(lines))
    names = "\n".join(f"  {number}: {name!r}" for number, name in read.names.items())
    (folder / "data.yaml").write_text(f"path: {folder}\ntrain: images\nval: images\nnames:\n{names}\n")
    return len(read["train"])


class Side:
    """Run one loader in a process of its own.

    Args:
        name: as in `loader_sides`.
        checkout: working folder.
        arguments: folder of images, size, hyperparameter file.
    """

    def __init__(self, name: str, checkout: Path, arguments: list[str]) -> None:
        quiet = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_CONFIG_DIR": str(Path(arguments[0]).parent)}
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, str(SIDES), name, *arguments],
            cwd=checkout,
            env={**os.environ, **quiet, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, images: int) -> tuple[float, float]:
        """Make images; return seconds of the processor and peak memory in MB.

        Raises:
            RuntimeError: if the process ended.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(images, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().split()
        if len(answer) != 2:
            raise RuntimeError(f"{self.name}: the loader ended; try: python {' '.join(map(str, self.process.args))}")  # type: ignore[arg-type]
        return float(answer[0]), float(answer[1])


def compare(folder: Path, size: int, hyp: Path, args: argparse.Namespace) -> list[str]:
    """Return the rows of one size."""
    checkouts = {OWN: ROOT, "ours, stock path": ROOT, "ultralytics": folder.parent}
    checkouts |= {"YOLOv5": args.yolov5} if args.yolov5 else {}
    checkouts |= {"before": args.before} if args.before else {}
    sides = [Side(name, checkout, [str(folder), str(size), str(hyp)]) for name, checkout in checkouts.items()]
    results = [[side.run(args.images) for side in sides] for _ in range(args.runs)]
    for side in sides:
        side.process.communicate()
    made = args.images // 16 * 16
    rows = []
    for number, side in enumerate(sides):
        seconds = statistics.median(row[number][0] for row in results)
        ratio = statistics.median(row[number][0] / row[0][0] for row in results)
        rows.append(f"| {size} | {side.name} | {made / seconds:.0f} | {ratio:.2f} | {results[-1][number][1]:.0f} |")
    return rows


def stages(folder: Path, size: int, hyp: Path) -> list[str]:
    """Return the rows that say where the time of this program's loader goes."""
    import cProfile
    import pstats

    import cv2
    import yaml

    from benchmarks import loader_sides

    cv2.setNumThreads(1)
    recipe = yaml.safe_load(hyp.read_text())
    batches = loader_sides.SIDES[OWN](folder, size, {key: recipe[key] for key in loader_sides.STRENGTHS})
    next(batches)
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(10):
        next(batches)
    profile.disable()
    names = {
        "draw": "random draws",
        "lay_out": "layout",
        "_resize_into": "pixels",
        "<resize>": "pixels: resizing",
        "write_rgb": "pixels: colour",
        "move_boxes": "boxes",
        "load_image": "reading from memory",
    }
    seconds: dict[str, float] = {}
    for (_, _, function), (*_, spent, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        function = "<resize>" if function == "<built-in method resize>" or function == "<resize>" else function
        seconds[names.get(function, "")] = seconds.get(names.get(function, ""), 0) + spent
    return [f"| {size} | {name} | {seconds.get(name, 0) / 160 * 1000:.3f} |" for name in names.values()]


def main(argv: list[str] | None = None) -> None:
    """Compare, and print or write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--imgsz", type=int, nargs="+", default=[640, 320])
    parser.add_argument("--hyp", default="v5-low")
    parser.add_argument("--images", type=int, default=160, help="a round and side")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--stages", action="store_true")
    parser.add_argument("--yolov5", type=Path)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--markdown", type=Path)
    args = parser.parse_args(argv)
    from engine.training.hyperparameters import find

    hyp = find(args.hyp).resolve()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "set"
        count = _copy(args.data, folder)
        lines = [f"{machine()}; {count} images of {args.data}, recipe {args.hyp}", ""]
        lines += ["| px | loader | images a second and core | time, ours = 1 | peak MB |", "|---|---|---|---|---|"]
        for size in args.imgsz:
            lines += compare(folder, size, hyp, args)
        if args.stages:
            lines += ["", "| px | stage, profiled | ms an image |", "|---|---|---|"]
            for size in args.imgsz:
                lines += stages(folder, size, hyp)
    print("\n".join(lines))
    if args.markdown:
        args.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
