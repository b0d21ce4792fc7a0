"""Measure how time and memory grow: image size, batch, objects, classes, loader processes, length of a video.

python -m benchmarks.scaling [--only size batch objects classes workers video] [--runs 3] [--threads 2]
                             [--markdown FILE] [--plot FILE]

Every point is a process of its own, in which a step is timed several times; the memory is the largest that the process
had. Run it on a quiet machine; it takes some 10 minutes.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASE = {"size": 320, "batch": 8, "objects": 8, "classes": 10}
CURVES = {
    "size": ("image size, px", [160, 320, 640, 960, 1280]),
    "batch": ("images a batch", [1, 4, 16, 32]),
    "objects": ("objects an image", [1, 10, 100, 1000]),
    "classes": ("classes", [1, 10, 80, 365, 1000]),
    "workers": ("loader processes", [0, 1, 2, 4]),
    "video": ("frames of a video", [100, 1000, 3000]),
}


def training_step(point: dict[str, int]) -> Callable[[], object]:
    """Return forward pass, loss and backward pass of yolov5n as training computes them."""
    import torch

    from engine.training.dense_gradients import keep_gradients_dense
    from engine.training.precision import choose
    from models import build_model

    model = build_model("yolov5n", nc=point["classes"]).to(memory_format=torch.channels_last).train()
    keep_gradients_dense(model)
    generator = torch.Generator().manual_seed(0)
    batch, count = point["batch"], point["batch"] * point["objects"]
    images = torch.rand(batch, 3, point["size"], point["size"], generator=generator)
    targets = {
        "img": images.contiguous(memory_format=torch.channels_last),
        "batch_idx": torch.arange(batch).repeat_interleave(point["objects"]).float(),
        "cls": torch.randint(0, point["classes"], (count, 1), generator=generator).float(),
        "bboxes": 0.05 + 0.9 * torch.rand(count, 4, generator=generator) * torch.tensor([1, 1, 0.3, 0.3]),
    }
    half = choose("auto", torch.device("cpu")).half

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = model(targets)[0].sum()
        loss.backward()
        model.zero_grad()

    return step


def reading(point: dict[str, int]) -> Callable[[], object]:
    """Return the reading of the digits' training images once, augmented and not kept in memory."""
    import torch

    from engine.cli.run_folder import DIGITS_WEIGHTS
    from engine.datasets.loader import EpochSampler, make_loader
    from engine.datasets.record_dataset import RecordDataset, describe
    from engine.datasets.splits import load_split
    from engine.training import hyperparameters
    from models import load_model
    from models.upstream.training import get_cfg

    split = load_split("digits", "train")
    settings = get_cfg(overrides=hyperparameters.read("v5-low", set(load_model(DIGITS_WEIGHTS).hyp)).engine)
    names = {number: str(number) for number in range(10)}
    dataset = RecordDataset(
        split.records, data=describe(names, {}), imgsz=320, augment=True, hyp=settings, task="detect"
    )
    loader = make_loader(dataset, 16, point["workers"], EpochSampler(len(dataset), 0, True, 1), torch.device("cpu"))
    return lambda: sum(len(batch["img"]) for batch in loader)


def detecting(point: dict[str, int]) -> Callable[[], object]:
    """Return detection in a video of so many frames, made here; its file is written as well."""
    import cv2
    import numpy as np

    from engine.cli.main import main
    from engine.cli.run_folder import DIGITS_WEIGHTS

    folder = Path(tempfile.mkdtemp())
    writer = cv2.VideoWriter(str(folder / "video.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25, (320, 240))
    noise = np.random.default_rng(0).integers(0, 255, (60, 240, 320, 3), np.uint8)
    for number in range(point["video"]):
        writer.write(noise[number % 60])
    writer.release()
    argv = ["--weights", str(DIGITS_WEIGHTS), "--source", str(folder / "video.mp4"), "--img", "320", "--device", "cpu"]
    return lambda: main("detect", [*argv, "--project", str(folder), "--exist-ok"])


def one(curve: str, value: int, repeats: int) -> None:
    """Measure a point in this process; print seconds of a step and the peak of memory in MiB."""
    point = {**BASE, curve: value}
    prepare = {"workers": reading, "video": detecting}.get(curve, training_step)
    step, times = prepare(point), []
    for _ in range(1 if curve == "video" else repeats + 1):  # the first warms up
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": statistics.median(times[1:] or times), "peak": peak}))


def measure(curve: str, value: int, options: argparse.Namespace) -> dict[str, float]:
    """Measure a point in a process of its own."""
    argv = [sys.executable, "-W", "ignore", "-m", "benchmarks.scaling", "--point", curve, str(value)]
    env = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run(
        [*argv, "--runs", str(options.runs)], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{curve} {value} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def plot(curves: dict[str, list[tuple[int, float, float]]], file: Path) -> None:
    """Draw time and memory of every curve."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(curves), figsize=(3 * len(curves), 5), squeeze=False, sharex="col")
    for column, (curve, points) in enumerate(curves.items()):
        for row, label in enumerate(("seconds", "peak memory, MiB")):
            axes[row, column].plot([p[0] for p in points], [p[1 + row] for p in points], "o-")
            axes[row, column].set_ylim(bottom=0)
            axes[row, 0].set_ylabel(label)
        axes[1, column].set_xlabel(CURVES[curve][0])
    figure.tight_layout()
    figure.savefig(file, dpi=100)


def main() -> None:
    """Measure the curves and print Markdown."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(CURVES), default=list(CURVES))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--point", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.point:
        one(options.point[0], int(options.point[1]), options.runs)
        return
    from benchmarks.machine import machine

    lines = [
        "# How time and memory grow",
        "",
        f"`python -m benchmarks.scaling`, {machine()}, {options.threads} threads",
        "",
    ]
    lines += [
        f"A training step (forward, loss, backward) of yolov5n at {BASE['size']} px, {BASE['batch']} images a batch, "
        f"{BASE['objects']} objects an image and {BASE['classes']} classes, except for the quantity that "
        "varies; reading an epoch of augmented images; annotating a video of 320×240 px. Median of "
        + f"{options.runs} steps; the peak is of the whole process.",
    ]
    curves: dict[str, list[tuple[int, float, float]]] = {}
    for curve in options.only:
        title, values = CURVES[curve]
        lines += ["", f"| {title} | seconds | peak memory, MiB |", "|---:|---:|---:|"]
        for value in values:
            point = measure(curve, value, options)
            curves.setdefault(curve, []).append((value, point["seconds"], point["peak"]))
            lines.append(f"| {value} | {point['seconds']:.3f} | {point['peak']:.0f} |")
            print(f"{curve} {lines[-1]}", flush=True)
    if options.plot:
        plot(curves, options.plot)
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
