"""Ours beside stock ultralytics in one run: training and video detection, whole processes in turn, medians of ratios.

python -m benchmarks.peers [--runs 5] [--threads 2] [--video FILE --weights FILE] [--only train|detect] [--markdown
OUT.md]

Both sides get the same data, size, batch and number of threads. Stock trains and runs its own yolov5n (the
anchor-free "u" form, the only one that it
has; 2.5 against 1.9 million parameters) with random weights. Run it on a quiet machine.
"""

import argparse
import csv
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "datasets" / "digits"


def processor() -> str:
    """Return the processor's name and what of it this process may use."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{name}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"


def environment(threads: int, config: Path) -> dict[str, str]:
    """Return the environment of a measured process: threads, no network, and its own folder for stock's settings."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "YOLO_CONFIG_DIR": str(config),
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "0",
        "PYTHONPATH": str(ROOT),
    }


def stock_code(threads: int) -> str:
    """Return the beginning of a stock script; by itself it would take all cores but one, here a single one of two."""
    return (
        "from ultralytics.utils import torch_utils; "
        f"torch_utils.NUM_THREADS = {threads}; from ultralytics import YOLO; "
    )


def run(words: list[str], env: dict[str, str], folder: Path) -> float:
    """Run a process to its end and return its seconds.

    Raises:
        RuntimeError: with the end of its output, if it failed.
    """
    start = time.monotonic()
    done = subprocess.run(words, env=env, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)[:200]} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return seconds


def second_epoch(folder: Path) -> float:
    """Return the seconds that the second epoch took, from results.csv; the first one warms up."""
    with (folder / "results.csv").open() as file:
        rows = [{key.strip(): value for key, value in row.items()} for row in csv.DictReader(file)]
    return float(rows[1]["time"]) - float(rows[0]["time"])


def measure_training(env: dict[str, str], folder: Path) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return two functions, ours and stock's, that train two epochs of the digits and return images a second."""
    images = len(list((DIGITS / "images" / "train").iterdir()))
    data = folder / "digits.yaml"
    names = ", ".join(f"'{i}'" for i in range(10))
    data.write_text(f"path: {DIGITS}\ntrain: images/train\nval: images/val\nnames: [{names}]\n")

    def ours() -> float:
        words = ["--cfg", "yolov5n", "--weights", "", "--data", "digits", "--img", "320", "--epochs", "2", "--noval"]
        place = ["--noplots", "--project", str(folder), "--name", "ours", "--exist-ok"]
        run([sys.executable, str(ROOT / "train.py"), *words, *place], env, folder)
        return images / second_epoch(folder / "ours")

    def stock() -> float:
        arguments = f"data={str(data)!r}, imgsz=320, epochs=2, batch=16, val=False, plots=False, optimizer='SGD'"
        place = f"project={str(folder)!r}, name='stock', exist_ok=True, cache='ram', device='cpu', verbose=False"
        code = f"{stock_code(int(env['OMP_NUM_THREADS']))}YOLO('yolov5n.yaml').train({arguments}, {place})"
        run([sys.executable, "-c", code], env, folder)
        return images / second_epoch(folder / "stock")

    return ours, stock


def measure_detection(
    env: dict[str, str], folder: Path, video: Path, weights: Path
) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return two functions, ours and stock's, that annotate a video and return frames a second, start included."""
    import cv2

    frames = int(cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT))
    model = folder / "yolov5nu.pt"
    code = f"from ultralytics import YOLO; YOLO('yolov5n.yaml').save({str(model)!r})"
    run([sys.executable, "-c", code], env, folder)

    def ours() -> float:
        words = [
            "--weights",
            str(weights),
            "--source",
            str(video),
            "--project",
            str(folder),
            "--name",
            "d",
            "--exist-ok",
        ]
        return frames / run([sys.executable, str(ROOT / "detect.py"), *words], env, folder)

    def stock() -> float:
        place = f"save=True, project={str(folder)!r}, name='s', exist_ok=True, verbose=False, device='cpu'"
        predict = f"YOLO({str(model)!r}).predict({str(video)!r}, stream=True, {place})"
        code = f"{stock_code(int(env['OMP_NUM_THREADS']))}[None for _ in {predict}]"
        return frames / run([sys.executable, "-c", code], env, folder)

    return ours, stock


def pairs(ours: Callable[[], float], stock: Callable[[], float], runs: int, unit: str) -> str:
    """Measure both in turn and return a row of the table: medians, ratio with its range."""
    found = []
    for number in range(runs):
        # Who goes first alternates, so that a drift of the machine favours neither.
        order = (ours, stock) if number % 2 == 0 else (stock, ours)
        values = {side: side() for side in order}
        found.append((values[ours], values[stock]))
        print(f"  run {number + 1}: ours {found[-1][0]:.1f}, stock {found[-1][1]:.1f} {unit}", flush=True)
    ratios = [a / b for a, b in found]
    mine, theirs = (statistics.median(column) for column in zip(*found, strict=True))
    return f"{mine:.1f} | {theirs:.1f} | {statistics.median(ratios):.2f} ({min(ratios):.2f} … {max(ratios):.2f})"


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--only", choices=["train", "detect"])
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from importlib.metadata import version

    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "ultralytics", "opencv-python"))
    lines = [f"{processor()}; {options.threads} threads; {versions}; {options.runs} pairs, medians", ""]
    lines += ["| work | ours | stock ultralytics | ratio |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = environment(options.threads, folder / "config")
        if options.only != "detect":
            from data.digits import ensure

            ensure(DIGITS)
            row = pairs(*measure_training(env, folder), options.runs, "images/s")
            lines.append(f"| train yolov5n, 320 px, batch 16, images/s | {row} |")
        if options.only != "train" and options.video and options.weights:
            row = pairs(*measure_detection(env, folder, options.video, options.weights), options.runs, "frames/s")
            lines.append(f"| detect a video at 640 px, start and writing included, frames/s | {row} |")
    print("\n".join(lines))
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
