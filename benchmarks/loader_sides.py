"""Make augmented training images by one loader, and say what each cost; started by `benchmarks.loader`, once a side.

python loader_sides.py SIDE FOLDER SIZE HYP.yaml, with data.yaml, images/ and labels/ in the folder: each line read from
standard input is a number of images to make, each line written the processor's seconds and the peak memory in MB. It
runs in another checkout too, where that is the working folder.
"""

import contextlib
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path.cwd()))  # of the side to measure, which may be another checkout
BATCH = 16
STRENGTHS = "degrees translate scale shear perspective flipud fliplr mosaic mixup copy_paste hsv_h hsv_s hsv_v".split()


def _ours(folder: Path, size: int, hyp: dict[str, float], stock: bool = False) -> Iterator[Any]:
    """Yield batches of this program."""
    import torch
    from ultralytics.cfg import get_cfg

    from data import load_dataset
    from engine.datasets.loader import EpochSampler, make_loader
    from engine.datasets.record_dataset import RecordDataset, describe

    read = load_dataset(str(folder / "data.yaml"), split="train")
    info = describe(read.names, {})
    options = {"imgsz": size, "augment": True, "hyp": get_cfg(overrides=hyp), "batch_size": BATCH}
    dataset = RecordDataset(read["train"].records, cache="ram", data=info, **options)
    if stock:
        dataset.one_pass = None
    sampler = EpochSampler(len(dataset), 0, True, 10**9)
    loader = make_loader(dataset, BATCH, 0, sampler, torch.device("cpu"))
    for epoch in range(10**9):
        sampler.set_epoch(epoch)
        yield from torch.utils.data.DataLoader.__iter__(loader)


def _ultralytics(folder: Path, size: int, hyp: dict[str, float]) -> Iterator[Any]:
    """Yield batches of ultralytics as it is."""
    from torch.utils.data import DataLoader
    from ultralytics.cfg import get_cfg
    from ultralytics.data.dataset import YOLODataset

    names = {n: str(n) for n in range(100)}
    dataset = YOLODataset(
        img_path=str(folder / "images"), data={"names": names, "channels": 3}, imgsz=size, augment=True, cache="ram",
        hyp=get_cfg(overrides={**hyp, "deterministic": False}), batch_size=BATCH,
    )  # fmt: skip
    while True:
        yield from DataLoader(dataset, BATCH, shuffle=True, collate_fn=dataset.collate_fn)


def _original(folder: Path, size: int, hyp: dict[str, float]) -> Iterator[Any]:
    """Yield batches of the original YOLOv5; the working folder is its checkout."""
    from torch.utils.data import DataLoader
    from utils.dataloaders import LoadImagesAndLabels

    dataset = LoadImagesAndLabels(str(folder / "images"), size, BATCH, augment=True, hyp=hyp, cache_images="ram")
    while True:
        yield from DataLoader(dataset, BATCH, shuffle=True, collate_fn=dataset.collate_fn)


SIDES: dict[str, Callable[..., Iterator[Any]]] = {
    "ours": _ours,
    "ours, stock path": lambda folder, size, hyp: _ours(folder, size, hyp, stock=True),
    "before": _ours,
    "ultralytics": _ultralytics,
    "YOLOv5": _original,
}


def main() -> None:
    """Make as many images as asked for, again and again."""
    side, folder, size, recipe = sys.argv[1:]
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        import cv2
        import torch
        import yaml

        hyp = yaml.safe_load(Path(recipe).read_text())
        batches = SIDES[side](Path(folder), int(size), {key: hyp[key] for key in STRENGTHS})
        next(batches)
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        random.seed(0)
        for line in sys.stdin:
            start = time.process_time()
            for _ in range(int(line) // BATCH):
                next(batches)
            seconds = time.process_time() - start
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(seconds, peak, file=answers, flush=True)


if __name__ == "__main__":
    main()
