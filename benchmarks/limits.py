"""Hold training and detection against what their step and their runtime alone allow, in one run.

python -m benchmarks.limits [--data DATA.yaml] [--weights yolov5n.pt] [--video FILE] [--imgsz 320] [--epochs 10]
                            [--batch-size 16] [--runs 3] [--markdown OUT.md]

Training: epochs in turn with the loader and with one batch over and over, after two to warm up; the ratio of the times.
Detection: detect.py on the video, in turn with the runtime alone on inputs of the same shape; with and without start
of the program. Alone means one session on all cores, as ONNX Runtime is used by itself, and the fastest of one, two and
four models at a time, which detect.py uses. Run it on a quiet machine.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.machine import machine

ROOT = Path(__file__).resolve().parents[1]


class Repeated:
    """Stand for a loader that takes no time: one batch over and over."""

    num_workers = 0

    def __init__(self, loader: Any) -> None:
        self.loader, self.sampler, self.dataset = loader, loader.sampler, loader.dataset
        batch = next(iter(loader))
        self.batch = {key: value.clone() if hasattr(value, "clone") else value for key, value in batch.items()}

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for _ in range(len(self)):
            yield dict(self.batch)

    def reset(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Stop the loader's processes."""
        self.loader.close()


def training(args: argparse.Namespace, folder: Path) -> list[str]:
    """Return the row of training."""
    import engine.training.run as run

    spent: dict[bool, list[float]] = {False: [], True: []}
    loaders: list[Any] = []

    class Timed(run.DetectorTrainer):
        """Take the fixed batch in every second epoch, and note how long epochs take."""

    def begin(trainer: Any) -> None:
        if not loaders:
            loaders.extend([trainer.train_loader, Repeated(trainer.train_loader)])
        trainer.train_loader = loaders[trainer.epoch % 2]
        trainer.began = time.perf_counter()

    def end(trainer: Any) -> None:
        if trainer.epoch > 1:
            spent[bool(trainer.epoch % 2)].append(time.perf_counter() - trainer.began)

    def made(*arguments: Any, **options: Any) -> Timed:
        trainer = Timed(*arguments, **options)
        trainer.add_callback("on_train_epoch_start", begin)
        trainer.add_callback("on_train_epoch_end", end)
        return trainer

    original, run.DetectorTrainer = run.DetectorTrainer, made  # type: ignore[assignment,misc]
    try:
        run.train(
            data=args.data, cfg="yolov5n", weights="", imgsz=args.imgsz, epochs=args.epochs, batch_size=args.batch_size,
            noval=True, noplots=True, nosave=True, noautoanchor=True, project=str(folder),
        )  # fmt: skip
    finally:
        run.DetectorTrainer = original  # type: ignore[misc]
    images = len(loaders[0].dataset)
    whole, alone = (images / statistics.median(spent[kind]) for kind in (False, True))
    ratio = statistics.median(b / a for a, b in zip(spent[False], spent[True], strict=False))
    return [f"| training, {args.imgsz} px | {whole:.1f} images/s | {alone:.1f} | {ratio:.1%} |"]


def detection(args: argparse.Namespace, folder: Path) -> list[str]:
    """Return the rows of detection."""
    import numpy as np

    from engine.detection.run import load

    def detect() -> tuple[float, float]:
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "detect.py", "--weights", args.weights, "--source", args.video, "--project", str(folder)],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found = re.search(r"; ([\d.]+) s, ", done.stdout + done.stderr)
        assert found is not None, done.stdout
        return time.perf_counter() - start, float(found[1])

    detect()  # exports, where the cache does not hold it yet
    predictor = load(args.weights)
    predictor.open(args.video)
    frames, fixed = 0, np.zeros(0, np.float32)
    for batch in predictor._prepared():
        frames, fixed = frames + 1, batch.inputs
    whole: list[float] = []
    inner: list[float] = []
    alone: dict[str, list[float]] = {"one session": [], "the fastest arrangement": []}
    for _ in range(args.runs):
        for values, value in zip((whole, inner), detect(), strict=True):
            values.append(value)
        times = []
        for replicas in (1, 2, 4):
            predictor.load(None, replicas)
            count = predictor.backend.replicas
            with ThreadPoolExecutor(count) as pool:
                list(pool.map(lambda _: predictor.backend(fixed), range(2 * count)))
                start = time.perf_counter()
                list(pool.map(lambda _: predictor.backend(fixed), range(frames)))
                times.append(time.perf_counter() - start)
        for arrangement, value in zip(alone, (times[0], min(times)), strict=True):
            alone[arrangement].append(value)
    rows = []
    for arrangement, limits in alone.items():
        limit = frames / statistics.median(limits)
        for name, values in (("start included", whole), ("without start", inner)):
            ratio = statistics.median(a / b for a, b in zip(limits, values, strict=True))
            speed = frames / statistics.median(values)
            rows.append(f"| video, {name}, of {arrangement} | {speed:.1f} frames/s | {limit:.1f} | {ratio:.1%} |")
    return rows


def main(argv: list[str] | None = None) -> None:
    """Measure, and print or write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--weights", default=str(ROOT / "weights" / "yolov5n-digits.pt"))
    parser.add_argument("--video", help="none measures training only")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--markdown", type=Path)
    args = parser.parse_args(argv)
    lines = [machine(), "", "| what | whole | limit | part |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as temporary:
        if args.video:
            lines += detection(args, Path(temporary))
        if args.epochs:
            lines += training(args, Path(temporary))
    print("\n".join(lines))
    if args.markdown:
        args.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
