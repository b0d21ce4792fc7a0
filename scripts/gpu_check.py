"""Check and measure the project on a GPU within minutes; write docs/benchmarks/gpu.md.

python scripts/gpu_check.py [--device 0] [--minutes 7] [--only suite loop mechanisms detection training]
                            [--yolov5 CHECKOUT] [--json FILE] [--markdown FILE] [--quick]

An error in a part, or in a piece of it, is its result, and the others go on. A part that no longer fits the time is
listed as skipped; the JSON is written after every part. Without a GPU the page says so, and claims nothing.
`--device cpu --quick` tries the script itself and writes no page; so does
`python tests/gpu/pretended scripts/gpu_check.py --quick` on a pretended GPU.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from models.upstream.environment import prepare  # noqa: E402

prepare()
import torch  # noqa: E402

from attention import ATTENTION, build_attention  # noqa: E402
from engine.runtime.devices import device_name, memory_format  # noqa: E402
from engine.training.precision import choose  # noqa: E402

PAGE = ROOT / "docs" / "benchmarks" / "gpu.md"
NOT_RUN = """# On a GPU

```
python scripts/gpu_check.py --device 0
```

This page was not run on a GPU: nothing here is measured, and nothing is claimed about speed on one. On a machine with
an NVIDIA GPU the command above takes seven minutes. It runs tests/gpu/suite there, times training of yolov5s at 640
px, batch 64, images cached, beside ultralytics' yolov5su (the batch loop alone as well) and, with `--yolov5
CHECKOUT`, the original YOLOv5; frames a second of a video, memory, and every mechanism's time; and it writes this
page anew. The tests of tests/gpu run on a pretended GPU meanwhile: its numbers and its waits are right, its speed
says nothing.
"""
# Seconds that a part may need: it is skipped where fewer are left.
SECONDS = {"suite": 100, "loop": 40, "mechanisms": 40, "detection": 60, "training": 120, "original": 90}


class Check:
    """Hold what all parts need.

    Attributes:
        options: of the command line.
        device: where everything runs.
        folder: for what is written on the way.
        result: part → what came of it.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.started = time.monotonic()
        self.device = torch.device("cpu" if options.device == "cpu" else f"cuda:{options.device}")
        quick = options.quick
        self.size, self.batch, self.images, self.epochs = (64, 4, 16, 2) if quick else (640, 64, 1024, 3)
        self.frames = 20 if quick else 600
        self.result: dict[str, Any] = {"device": device_name(self.device), "torch": torch.__version__, "skipped": []}

    def left(self) -> float:
        """Return the seconds that are left."""
        return float(self.options.minutes * 60 - (time.monotonic() - self.started))

    def part(self, name: str, run: Callable[["Check"], Any]) -> None:
        """Run a part if it is wanted and fits."""
        if self.options.only and name not in self.options.only:
            return
        if self.left() < SECONDS[name]:
            self.result["skipped"].append(name)
            return
        start = time.monotonic()
        try:
            self.result[name] = run(self)
        except Exception as error:  # noqa: BLE001 - any error is a result
            self.result[name] = {"error": _failure(error)}
        print(f"{name}: {time.monotonic() - start:.0f} s")
        self.options.json.write_text(json.dumps(self.result, indent=1, default=str), encoding="utf-8")

    def pieces(self, runs: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
        """Run pieces of a part; what one of them raises is its result, and the others go on."""
        results: dict[str, Any] = {}
        for name, run in runs.items():
            try:
                results[name] = run()
            except Exception as error:  # noqa: BLE001 - any error is a result
                results[name] = {"error": _failure(error)}
            if self.device.type == "cuda":
                torch.cuda.empty_cache()  # of a piece that ended halfway
        return results

    def call(self, script: object, *argv: object, cwd: Path = ROOT) -> str:
        """Run a script, or pytest, with arguments, on the pretended GPU if this one is; return what it printed.

        Raises:
            RuntimeError: with the end of that, if it failed.
        """
        pretended = [ROOT / "tests" / "gpu" / "pretended"] if os.environ.get("PRETENDED_GPU") else []
        how: list[object] = ["-m"] if script == "pytest" and not pretended else [*pretended]
        env = {**os.environ, "PYTHONPATH": str(ROOT), "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0"}
        done = subprocess.run(
            [sys.executable, *map(str, (*how, script, *argv))],
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            timeout=self.left() + 60,
        )
        if done.returncode:
            raise RuntimeError((done.stdout + done.stderr)[-800:])
        return done.stdout + done.stderr


def _failure(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[-600:]}"


def suite(check: Check) -> dict[str, Any]:
    """Run the tests that need a GPU."""
    text = check.call("pytest", "-q", "tests/gpu/suite", "-p", "no:cacheprovider")
    return {"tests": text.strip().splitlines()[-1]}


def _ours() -> Any:
    from models import build_model

    return build_model("yolov5s", nc=80)


def _stock() -> Any:
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    stock = DetectionModel("yolov5s.yaml", nc=80, verbose=False)
    stock.args = get_cfg()
    return stock


def loop(check: Check) -> dict[str, Any]:
    """Time the batch loop alone: forward, loss, backward, step, on one batch that stays on the device."""
    return check.pieces({"ours": lambda: _steps(check, _ours()), "ultralytics": lambda: _steps(check, _stock())})


def _steps(check: Check, model: Any) -> dict[str, float]:
    device = check.device
    dtype = choose("auto", device).dtype
    draw = torch.Generator().manual_seed(0)
    targets = 8 * check.batch
    batch = {
        "img": torch.rand(check.batch, 3, check.size, check.size, generator=draw),
        "batch_idx": torch.arange(check.batch).repeat_interleave(8).float(),
        "cls": torch.randint(0, 80, (targets, 1), generator=draw).float(),
        "bboxes": torch.rand(targets, 4, generator=draw) * 0.4 + 0.1,
    }
    batch = {name: value.to(device) for name, value in batch.items()}
    batch["img"] = batch["img"].contiguous(memory_format=memory_format(device))
    model = model.to(device).to(memory_format=memory_format(device)).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, nesterov=True)

    def step() -> None:
        with torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            loss, _ = model(batch)
        loss.sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        optimizer.zero_grad()

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = _seconds(step, device, 3 if check.options.quick else 20)
    memory = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0
    return {"images a second": check.batch / seconds, "GiB": memory}


def _seconds(run: Callable[[], Any], device: torch.device, times: int) -> float:
    """Return the mean time of a call, after three that are not counted."""
    for _ in range(3):
        run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(times):
        run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / times


def mechanisms(check: Check) -> dict[str, Any]:
    """Time every mechanism, forward and backward, on maps of 256 channels."""
    device, side = check.device, 8 if check.options.quick else 40
    dtype = choose("auto", device).dtype
    images = 2 if check.options.quick else 16
    x = torch.rand(images, 256, side, side, device=device).contiguous(memory_format=memory_format(device))
    x.requires_grad_()

    def milliseconds(name: str) -> float:
        module = build_attention(name, 256).to(device).train()

        def run() -> None:
            with torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None):
                y = module(x)
            y.float().mean().backward()

        return 1000 * _seconds(run, device, 2 if check.options.quick else 10)

    return check.pieces({name: partial(milliseconds, name) for name in ATTENTION.names()})


def detection(check: Check) -> dict[str, Any]:
    """Time detection in a video, start and writing included, beside ultralytics."""
    video = check.folder / "video.mp4"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"mp4v"), 30, (1280, 720))
    draw = np.random.default_rng(0)
    still = cv2.resize(draw.integers(0, 255, (36, 64, 3), np.uint8), (1280, 720))
    for number in range(check.frames):
        writer.write(np.roll(still, 4 * number, 1))
    writer.release()
    weights = ROOT / "weights" / "yolov5n-digits.pt"
    ours = ["detect.py", "--weights", weights, "--source", video, "--imgsz", check.size, "--project", check.folder]
    stock = check.folder / "predict.py"
    stock.write_text(
        "import sys; from ultralytics import YOLO; "
        "[None for _ in YOLO('yolov5n.yaml').predict(sys.argv[1], imgsz=int(sys.argv[2]), device=sys.argv[3], "
        "half=sys.argv[3] != 'cpu', stream=True, save=True, verbose=False, project=sys.argv[4])]"
    )
    flags = ["--device", check.options.device, "--backend", "torch", "--batch-size", 8, "--half"]

    def rate(*argv: object) -> float:
        start = time.perf_counter()
        check.call(*argv)
        return check.frames / (time.perf_counter() - start)

    theirs = [stock, video, check.size, check.options.device, check.folder / "stock"]
    return check.pieces({"ours": lambda: rate(*ours, *flags), "ultralytics": lambda: rate(*theirs)})


def _data(check: Check) -> Path:
    """Make images with rectangles, and return their data YAML."""
    folder, draw = check.folder / "rectangles", np.random.default_rng(0)
    for split, count in (("train", check.images), ("val", check.batch)):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image = cv2.resize(draw.integers(0, 255, (20, 20, 3), np.uint8), (check.size, check.size))
            rows = []
            for _ in range(6):
                box = draw.uniform([0.2, 0.2, 0.1, 0.1], [0.8, 0.8, 0.3, 0.3])
                rows.append(f"{draw.integers(4)} {' '.join(f'{value:.4f}' for value in box)}")
            cv2.imwrite(str(folder / "images" / split / f"{number}.jpg"), image)
            (folder / "labels" / split / f"{number}.txt").write_text("\n".join(rows))
    path = folder / "data.yaml"
    path.write_text(f"path: {folder}\ntrain: images/train\nval: images/val\nnames: [a, b, c, d]\n")
    return path


def _rate(check: Check, table: Path) -> float:
    """Return images a second of training with validation, from the epochs after the first."""
    with table.open() as file:
        times = [float({k.strip(): v for k, v in row.items()}["time"]) for row in csv.DictReader(file)]
    return check.images * (len(times) - 1) / (times[-1] - times[0])


def training(check: Check) -> dict[str, Any]:
    """Time whole epochs of training with images in memory, beside ultralytics."""
    data, device = _data(check), check.options.device
    common = ["--imgsz", check.size, "--batch-size", check.batch, "--epochs", check.epochs, "--device", device]
    ours = ["train.py", "--cfg", "yolov5s", "--weights", "", "--data", data, "--cache", "ram", "--noplots", *common]
    stock = check.folder / "train.py"
    stock.write_text(
        "import sys; from ultralytics import YOLO; YOLO('yolov5s.yaml').train(data=sys.argv[1], "
        "imgsz=int(sys.argv[2]), batch=int(sys.argv[3]), epochs=int(sys.argv[4]), device=sys.argv[5], cache=True, "
        "plots=False, pretrained=False, amp=sys.argv[6] if sys.argv[6] else False, project=sys.argv[7], name='stock')"
    )
    # On a CPU it takes no other precision than its own.
    amp = "" if device == "cpu" else {"bf16": "bf16", "fp16": "fp16", "fp32": ""}[choose("auto", check.device).name]

    def run_ours() -> float:
        check.call(*ours, "--project", check.folder, "--name", "ours")
        return _rate(check, check.folder / "ours" / "results.csv")

    def run_stock() -> float:
        check.call(stock, data, check.size, check.batch, check.epochs, device, amp, check.folder)
        return _rate(check, next(check.folder.rglob("stock/results.csv")))

    return check.pieces({"ours": run_ours, "ultralytics": run_stock})


def original(check: Check) -> dict[str, Any]:
    """Time the original YOLOv5's training of the same data."""
    checkout = Path(check.options.yolov5)
    flags = ["--img", check.size, "--batch", check.batch, "--epochs", check.epochs, "--device", check.options.device]
    files = ["--data", check.folder / "rectangles" / "data.yaml", "--cfg", "yolov5s.yaml", "--weights", ""]
    rest = ["--cache", "--noplots", "--project", check.folder, "--name", "original"]
    text = check.call("train.py", *flags, *files, *rest, cwd=checkout)
    hours = re.search(r"epochs completed in ([\d.]+) hours", text)
    return {"original YOLOv5": check.images * check.epochs / (float(hours[1]) * 3600) if hours else "no time found"}


def page(result: dict[str, Any]) -> str:
    """Return the page: tables of what was measured, and what was skipped or failed."""
    lines = ["# On a GPU", "", "```", "python scripts/gpu_check.py --device 0", "```", ""]
    lines += [f"{result['device']}, PyTorch {result['torch']}.", ""]
    if result["skipped"]:
        lines += [f"No time was left for: {', '.join(result['skipped'])}.", ""]
    titles = {
        "suite": "Tests of tests/gpu/suite",
        "training": "Training yolov5s, 640 px, batch 64, images cached, images/s",
        "original": "The original YOLOv5, the same data, start and first epoch included, images/s",
        "loop": "The batch loop alone",
        "detection": "A video of 1280×720 px, start and writing included, frames/s",
        "mechanisms": "Every mechanism, 16 × 256 × 40 × 40, forward and backward, ms",
    }
    for name, title in titles.items():
        if name in result:
            lines += [f"## {title}", "", "| | |", "|---|---|"]
            lines += [f"| {key} | {_cell(value)} |" for key, value in result[name].items()]
            lines.append("")
    return "\n".join(lines)


def _failed(part: dict[str, Any]) -> bool:
    """Tell whether a part or a piece of it failed."""
    return "error" in part or any(isinstance(piece, dict) and "error" in piece for piece in part.values())


def _cell(value: Any) -> str:
    if isinstance(value, dict) and "error" in value:
        return _cell(value["error"].strip().splitlines()[-1])  # of a traceback, what was raised; the JSON has all
    if isinstance(value, dict):
        return ", ".join(f"{_cell(inner)} {key}" for key, inner in value.items())
    return f"{value:.3g}" if isinstance(value, float) else " ".join(str(value).split()).replace("|", "/")


def main() -> int:
    """Run the parts and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="0")
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--only", nargs="*", choices=list(SECONDS), default=None)
    parser.add_argument("--yolov5", default=None, metavar="CHECKOUT", help="of the original YOLOv5")
    parser.add_argument("--json", type=Path, default=Path("gpu_check.json"))
    parser.add_argument("--markdown", type=Path, default=PAGE)
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the script itself; writes no page")
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        options.markdown.write_text(NOT_RUN, encoding="utf-8")
        print(f"there is no GPU that PyTorch can use; {options.markdown} says so")
        return 2
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        check = Check(options, Path(folder))
        for run in (loop, training, detection, mechanisms):
            check.part(run.__name__, run)
        if options.yolov5:
            check.part("original", original)
        if check.device.type == "cuda":
            check.part("suite", suite)
    failed = [name for name, value in check.result.items() if isinstance(value, dict) and _failed(value)]
    if not options.quick:
        options.markdown.write_text(page(check.result), encoding="utf-8")
    print(json.dumps(check.result, indent=1, default=str))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
