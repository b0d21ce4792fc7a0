"""Time simOTA's loss, and of a training step with it, at ordinary and at crowded images.

    python -m benchmarks.ota --original ../yolov7      # beside the original's loss, in the same run
    python -m benchmarks.ota                           # ours alone

`--original` is a checkout of WongKinYiu/yolov7; its utils/loss.py is imported and needs its requirements. Prints
Markdown. The original takes minutes at 300 targets.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from benchmarks.machine import machine
from models import build_model
from models.losses.yolov7 import V7Loss

Loss = Callable[[list[Tensor], Tensor], Tensor]


def original_loss(folder: Path, detector: Any) -> Loss:
    """Return the original's loss for the same head."""
    import numpy

    numpy.int = int  # type: ignore[attr-defined]  # the original uses this name, which NumPy 2 dropped
    sys.path.append(str(folder))
    head = detector.model[-1]
    stand_in = SimpleNamespace(
        hyp=dict(detector.hyp),
        gr=1.0,
        parameters=detector.parameters,
        model=[
            SimpleNamespace(nc=head.nc, na=head.na, nl=head.nl, anchors=head.anchor_wh, stride=head.stride),
        ],
    )
    compute = import_module("utils.loss").ComputeLossOTA(stand_in)
    return lambda raw, targets: compute(raw, targets, images_like(raw))[0]


def images_like(raw: list[Tensor]) -> Tensor:
    """Return images of the size that the maps come from; the original reads their height."""
    return torch.zeros(raw[0].shape[0], 3, raw[0].shape[2] * 8, raw[0].shape[3] * 8)


def our_loss(detector: Any) -> Loss:
    """Return our loss."""
    compute = V7Loss(detector)

    def run(raw: list[Tensor], targets: Tensor) -> Tensor:
        return compute(raw, {"batch_idx": targets[:, 0], "cls": targets[:, 1], "bboxes": targets[:, 2:]})[0]

    return run


def make_targets(images: int, each: int, classes: int) -> Tensor:
    """Return (images · each, 6) random targets; many are small, as in crowded images."""
    generator = torch.Generator().manual_seed(each)
    n = images * each
    image = torch.arange(images).repeat_interleave(each).float()[:, None]
    cls = torch.randint(0, classes, (n, 1), generator=generator).float()
    centre = 0.02 + 0.96 * torch.rand((n, 2), generator=generator)
    size = 0.02 + 0.3 * torch.rand((n, 2), generator=generator) ** 2
    return torch.cat((image, cls, centre, size), 1)


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Return the shortest processor time of a call; the first also warms up, so give two repeats or more."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def loss_step(loss: Loss, raw: list[Tensor], targets: Tensor) -> None:
    """Run the loss forwards and backwards."""
    leaves = [level.detach().requires_grad_() for level in raw]
    loss(leaves, targets).backward()


def training_step(detector: Any, images: Tensor, loss: Loss, targets: Tensor) -> None:
    """Run model and loss forwards and backwards."""
    loss(detector(images), targets).backward()
    detector.zero_grad()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--original", type=Path, help="checkout of WongKinYiu/yolov7")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()

    torch.set_num_threads(1)
    detector = build_model("yolov7-tiny").train()
    images = torch.rand(options.batch, 3, options.imgsz, options.imgsz)
    with torch.no_grad():
        raw = detector(images)
    losses = {"ours": our_loss(detector)}
    if options.original:
        losses["original"] = original_loss(options.original, detector)

    print(f"{machine()}; one thread, processor time, least of {options.repeats} runs\n")
    print(f"yolov7-tiny, batch {options.batch}, {options.imgsz} px, loss and assignment, forwards and backwards:\n")
    print("| targets an image | whose | loss, s | a step, s | loss ÷ ours | step ÷ ours | value |")
    print("|---:|---|---:|---:|---:|---:|---:|")
    for each in (7, 300):
        targets = make_targets(options.batch, each, detector.nc)
        alone, whole = {}, {}
        for name, loss in losses.items():
            alone[name] = seconds(partial(loss_step, loss, raw, targets), options.repeats)
            whole[name] = seconds(partial(training_step, detector, images, loss, targets), options.repeats)
            value = float(loss(raw, targets).detach())
            print(
                f"| {each} | {name} | {alone[name]:.3f} | {whole[name]:.2f} | {alone[name] / alone['ours']:.1f} "
                f"| {whole[name] / whole['ours']:.2f} | {value:.5f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
