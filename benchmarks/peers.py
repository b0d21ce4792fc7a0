"""Compare with peers in one run: training, detection, validation, start; whole processes in turn, median ratios.

python -m benchmarks.peers [--only train ota detect val start] [--runs 3] [--threads 2] [--weights yolov5n.pt]
                           [--video FILE] [--images DATA.yaml [--trained FILE]]
                           [--yolov5 CHECKOUT] [--yolov7 CHECKOUT] [--before CHECKOUT] [--sides …] [--markdown OUT.md]

Peers are ultralytics as installed, with our number of threads and with its own, and the original YOLOv5 and YOLOv7
where --yolov5 and --yolov7 name checkouts (their requirements on PYTHONPATH). All get the same data, size and batch.
Stock ultralytics runs its own yolov5n, the anchor-free "u" form (2.5 against 1.9 million parameters), with random
weights. Run it on a quiet machine.
"""

import argparse
import csv
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import matplotlib

from benchmarks.machine import machine

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "datasets" / "digits"
Measure = Callable[[], float]


@dataclass(frozen=True)
class Bench:
    """What every measurement needs.

    Attributes:
        threads: of every side but stock's default.
        folder: for what the processes write.
        weights: official yolov5n.pt.
        video: to annotate.
        images: a YOLO data set, for validation.
        trained: official weights for the classes of `images`; None measures COCO's as one class.
        yolov5: checkout of the original, or None.
        yolov7: likewise.
        before: checkout of an older state of this project, or None.
    """

    threads: int
    folder: Path
    weights: Path
    video: Path | None
    images: Path | None
    trained: Path | None
    yolov5: Path | None
    yolov7: Path | None
    before: Path | None

    def run(self, argv: list[str], cwd: Path | None = None, threads: int | None = None) -> tuple[float, str]:
        """Run a process to its end; return its seconds and what it printed.

        Raises:
            RuntimeError: with the end of its output, if it failed.
        """
        env = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads or self.threads),
            "YOLO_CONFIG_DIR": str(self.folder / "config"),
            "YOLOV5_CONFIG_DIR": str(self.folder / "config"),
            "YOLO_OFFLINE": "1",
            "YOLO_AUTOINSTALL": "0",
        }
        if threads == 0:  # as the peer sets it by itself
            env.pop("OMP_NUM_THREADS")
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, *argv], env=env, cwd=cwd or self.folder, capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - start
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)[:200]} failed:\n{(done.stdout + done.stderr)[-2000:]}")
        return seconds, done.stdout + done.stderr

    def and_before(self, own: Callable[[Path], float]) -> dict[str, Measure]:
        """Return our sides: this checkout, and the older one where there is one, of a measurement given its folder."""
        older = self.before
        return {"ours": lambda: own(ROOT)} | ({"ours before": lambda: own(older)} if older else {})

    def output_flags(self, name: str) -> list[str]:
        """Return the arguments that send a script's results to a folder of this run."""
        return ["--project", str(self.folder), "--name", name, "--exist-ok"]

    def stock(self, work: str, default: bool = False) -> tuple[float, str]:
        """Run a line of Python with ultralytics' YOLO; by itself it takes all cores but one."""
        head = f"from ultralytics.utils import torch_utils; torch_utils.NUM_THREADS = {self.threads}; "
        return self.run(
            ["-c", f"{'' if default else head}from ultralytics import YOLO; {work}"], None, 0 if default else None
        )

    def original(self, script: str, *argv: str) -> tuple[float, str]:
        """Run a script of the original YOLOv5."""
        assert self.yolov5 is not None
        return self.run([script, *argv], cwd=self.yolov5)


def _digits(bench: Bench) -> tuple[Path, int]:
    """Return a description of a copy of the digits that the originals read too, and the number of training images.

    They write caches beside the labels, of forms that each other cannot read.
    """
    from data.digits import ensure

    ensure(DIGITS)
    folder = Path(tempfile.mkdtemp(dir=bench.folder))
    for folder_name in ("images", "labels"):
        for split in ("train", "val"):
            shutil.copytree(DIGITS / folder_name / split, folder / folder_name / split)
    file = folder / "digits.yaml"
    names = ", ".join(f"'{i}'" for i in range(10))
    splits = "".join(f"{split}: {folder / 'images' / split}\n" for split in ("train", "val"))
    file.write_text(f"{splits}nc: 10\nnames: [{names}]\n")
    return file, len(list((DIGITS / "images" / "train").iterdir()))


def _second_epoch(folder: Path, images: int) -> float:
    with (folder / "results.csv").open() as file:
        times = [float({key.strip(): value for key, value in row.items()}["time"]) for row in csv.DictReader(file)]
    return images / (times[1] - times[0])


def _last_bar(text: str, images: int) -> float:
    """Return images a second of the last finished progress bar of an epoch: tqdm's, or that of ultralytics."""
    bars = r"320: +100%[^\r\n]*?(\d+)/\1 (?:\[(?P<tqdm>[\d:]+)<|[\d.]+(?:it/s|s/it) (?P<ultralytics>[\d.:]+)s?\b)"
    last = list(re.finditer(bars, text))[-1]
    seconds = 0.0
    for part in (last["tqdm"] or last["ultralytics"]).split(":"):
        seconds = 60 * seconds + float(part)
    return images / seconds


TWO_EPOCHS = ["--weights", "", "--data", "digits", "--img", "320", "--epochs", "2", "--noval", "--noplots"]


def training(bench: Bench) -> tuple[str, dict[str, Measure]]:
    """Train yolov5n two epochs on the digits; images a second of the second epoch."""
    data, images = _digits(bench)

    def own(root: Path, name: str, *more: str) -> float:
        bench.run([str(root / "train.py"), "--cfg", "yolov5n", *TWO_EPOCHS, *more, *bench.output_flags(name)])
        return _second_epoch(bench.folder / name, images)

    def stock(default: bool) -> float:
        arguments = f"data={str(data)!r}, imgsz=320, epochs=2, batch=16, val=False, plots=False, optimizer='SGD'"
        output = f"project={str(bench.folder)!r}, name='stock', exist_ok=True, cache='ram', device='cpu', verbose=False"
        bench.stock(f"YOLO('yolov5n.yaml').train({arguments}, {output})", default)
        return _second_epoch(bench.folder / "stock", images)

    def original() -> float:
        argv = ["--cfg", "yolov5n.yaml", "--weights", "", "--data", str(data), "--img", "320", "--epochs", "2"]
        text = bench.original(
            "train.py", *argv, "--cache", "ram", "--noval", "--noplots", *bench.output_flags("original")
        )[1]
        return _last_bar(text, images)

    sides: dict[str, Measure] = {
        **bench.and_before(lambda root: own(root, "ours")),
        "ours, CBAM at neck.P3–P5": lambda: own(ROOT, "cbam", "--attention", "CBAM@neck.P3,neck.P4,neck.P5"),
        "ultralytics": lambda: stock(False),
        "ultralytics, its own threads": lambda: stock(True),
    }
    return "train yolov5n at 320 px, batch 16, images/s", sides | (
        {"original YOLOv5": original} if bench.yolov5 else {}
    )


# YOLOv7 uses names that NumPy 2 dropped, and reads its own caches, which newer versions of PyTorch refuse.
OLD_NAMES = """
import runpy, sys, numpy, torch
numpy.int, numpy.trapz, load = int, numpy.trapezoid, torch.load
torch.load = lambda *args, **kwargs: load(*args, **{**kwargs, "weights_only": False})
sys.path.insert(0, "")
script = sys.argv.pop(1)
runpy.run_path(script, run_name="__main__")
"""


def simota(bench: Bench) -> tuple[str, dict[str, Measure]]:
    """Train yolov7-tiny with simOTA two epochs on the digits; images a second of the second epoch."""
    data, images = _digits(bench)

    def own() -> float:
        argv = ["--cfg", "yolov7-tiny", "--hyp", "v7-tiny", *TWO_EPOCHS]
        bench.run([str(ROOT / "train.py"), *argv, *bench.output_flags("tiny")])
        return _second_epoch(bench.folder / "tiny", images)

    def original() -> float:
        assert bench.yolov7 is not None
        argv = ["--cfg", "cfg/training/yolov7-tiny.yaml", "--hyp", "data/hyp.scratch.tiny.yaml", "--weights", ""]
        argv += ["--data", str(data), "--img", "320", "320", "--epochs", "2", "--batch-size", "16", "--device", "cpu"]
        argv += ["--cache-images", "--notest", "--workers", "2", *bench.output_flags("tiny7")]
        return _last_bar(bench.run(["-c", OLD_NAMES, "train.py", *argv], cwd=bench.yolov7)[1], images)

    sides: dict[str, Measure] = {"ours": own}
    if bench.yolov7:
        sides["original YOLOv7"] = original
    return "train yolov7-tiny with simOTA at 320 px, batch 16, images/s", sides


def detection(bench: Bench) -> tuple[str, dict[str, Measure]]:
    """Annotate a video at 640 px; frames a second, start and writing included."""
    import cv2

    assert bench.video is not None
    frames = int(cv2.VideoCapture(str(bench.video)).get(cv2.CAP_PROP_FRAME_COUNT))
    argv = ["--weights", str(bench.weights), "--source", str(bench.video)]

    def own(*more: str, root: Path = ROOT) -> float:
        return frames / bench.run([str(root / "detect.py"), *argv, *more, *bench.output_flags("detect")])[0]

    ours = bench.and_before(lambda root: own(root=root))
    for side in ours.values():
        side()  # makes the kept ONNX form
    from engine.backends.base import installed

    sides: dict[str, Measure] = {**ours, "ours, PyTorch": lambda: own("--backend", "torch")}
    if installed("openvino"):
        own("--backend", "openvino")
        own("--half")
        sides["ours, OpenVINO"] = lambda: own("--backend", "openvino")
        sides["ours, OpenVINO in bfloat16"] = lambda: own("--half")
    return "annotate a video at 640 px, whole process, frames/s", sides | _peers(bench, str(bench.video), frames, argv)


def starting(bench: Bench) -> tuple[str, dict[str, Measure]]:
    """Detect objects in one image: 1/s of the whole process."""
    from data.digits import ensure

    ensure(DIGITS)
    image = next((DIGITS / "images" / "test").iterdir())
    argv = ["--weights", str(bench.weights), "--source", str(image)]

    def own(*more: str, root: Path = ROOT) -> float:
        return 1 / bench.run([str(root / "detect.py"), *argv, *more, *bench.output_flags("start")])[0]

    for root in (ROOT, bench.before):
        if root:
            own("--backend", "onnx", root=root)
    ours = bench.and_before(lambda root: own(root=root))
    sides: dict[str, Measure] = {**ours, "ours, PyTorch": lambda: own("--backend", "torch")}
    return "one image, from the start to the written file, 1/s", sides | _peers(bench, str(image), 1, argv)


def _peers(bench: Bench, source: str, count: int, argv: list[str]) -> dict[str, Measure]:
    """Return how the peers detect in a source."""
    model = bench.folder / "yolov5nu.pt"
    bench.stock(f"YOLO('yolov5n.yaml').save({str(model)!r})")

    def stock(default: bool) -> float:
        output = f"save=True, project={str(bench.folder)!r}, name='s', exist_ok=True, verbose=False, device='cpu'"
        work = f"[None for _ in YOLO({str(model)!r}).predict({source!r}, stream=True, {output})]"
        return count / bench.stock(work, default)[0]

    sides: dict[str, Measure] = {
        "ultralytics": lambda: stock(False),
        "ultralytics, its own threads": lambda: stock(True),
    }
    if bench.yolov5:
        sides["original YOLOv5"] = lambda: (
            count / bench.original("detect.py", *argv, *bench.output_flags("original"))[0]
        )
    return sides


def validation(bench: Bench) -> tuple[str, dict[str, Measure]]:
    """Measure on the val split of a data set at 640 px, batch 16; 1/s of the whole process."""
    weights = ["--weights", str(bench.trained)] if bench.trained else ["--weights", str(bench.weights), "--single-cls"]
    argv = [*weights, "--data", str(bench.images), "--img", "640", "--batch-size", "16"]

    def own(root: Path) -> float:
        return 1 / bench.run([str(root / "val.py"), *argv, *bench.output_flags("val")])[0]

    sides = bench.and_before(own)
    if bench.yolov5:
        sides["original YOLOv5"] = lambda: 1 / bench.original("val.py", *argv, *bench.output_flags("original-val"))[0]
    return "measure a data set at 640 px, batch 16, whole process, 1/s", sides


WORKS = {"train": training, "ota": simota, "detect": detection, "val": validation, "start": starting}


def measure(sides: dict[str, Measure], runs: int) -> list[str]:
    """Measure all sides in turn and return rows of the table: median, and the ratio of ours to it with its range."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides)
    for number in range(runs):
        for name in order if number % 2 == 0 else reversed(order):  # a drift of the machine favours nobody
            rates[name].append(sides[name]())
            print(f"  run {number + 1}: {name}: {rates[name][-1]:.3g}", flush=True)
    rows = []
    for name, values in rates.items():
        ratios = [a / b for a, b in zip(rates["ours"], values, strict=True)]
        rows.append(
            f"| {name} | {statistics.median(values):.3g} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} … {max(ratios):.2f}) |"
        )
    return rows


def main() -> None:
    """Measure and print Markdown tables."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", type=Path, default=Path("yolov5n.pt"))
    parser.add_argument("--video", type=Path, help="leaves detection out where it is missing")
    parser.add_argument("--images", type=Path, help="a YOLO data set; leaves validation out where it is missing")
    parser.add_argument("--trained", type=Path, help="official weights for its classes, instead of COCO's as one class")
    parser.add_argument("--yolov5", type=Path, help="a checkout of the original")
    parser.add_argument("--yolov7", type=Path, help="likewise")
    parser.add_argument("--before", type=Path, help="a checkout of an older state of this project")
    parser.add_argument("--only", nargs="+", choices=list(WORKS), default=list(WORKS))
    parser.add_argument("--sides", nargs="+", metavar="SIDE", help="these only, for example ours ultralytics")
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    needed = {"detect": options.video, "val": options.images}
    text = f"{machine()}, onnxruntime {version('onnxruntime')}; {options.threads} threads"
    lines = [f"{text}; medians of {options.runs} rounds; the ratio is ours to the row's, above 1 where ours is faster."]
    with tempfile.TemporaryDirectory() as name:
        given = [options.weights, options.video, options.images, options.trained, options.yolov5, options.yolov7]
        given.append(options.before)
        paths = [path and path.resolve() for path in given]
        config = Path(name) / "config"
        config.mkdir()
        # The original would download this font before it trains.
        shutil.copyfile(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", config / "Arial.ttf")
        bench = Bench(options.threads, Path(name), *paths)
        for work in options.only:
            if needed.get(work, True) is None:
                continue
            title, sides = WORKS[work](bench)
            sides = {name: side for name, side in sides.items() if name in (options.sides or sides)}
            print(title, flush=True)
            lines += ["", f"| {title} | median | ratio |", "|---|---|---|", *measure(sides, options.runs)]
    print("\n".join(lines))
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
