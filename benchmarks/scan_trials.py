"""What benchmarks.scan_methods tries the scan on: planted images and a small detector, or digits and YOLOv5n.

A trial names candidates, a detector to start from, and the images that trainings, scans and measurements see.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.scan_planted import DETECTOR, PLACES, RIGHT, WRONG, images
from data import load_dataset
from data.folders import ROOT
from engine.ops.nms_torch import non_max_suppression
from metrics import Detections, evaluate
from metrics.inputs import Truths
from models import Detector, load_model, read_spec
from study.scan.candidates import Candidate, Place
from study.scan.frozen_detector import FrozenDetector
from study.scan.record import drawing, seed_of
from study.scan.start import read_images

DIGITS_SIZE = 96  # pixels; the weights were trained at 320, so there is something to learn
DIGITS_WEIGHTS = ROOT / "weights" / "yolov5n-digits.pt"

Images = tuple[Tensor, list[Tensor]]


@dataclass(frozen=True)
class Trial:
    """What the methods are tried on.

    Attributes:
        name: of the settings in the kept file; empty for the planted images.
        mechanisms: as --attention writes them before the @.
        places: as a scan writes them.
        classes: of the data.
        detector: from which trainings start, by seed.
        learned: images that trainings see, by seed.
        scanned: images that scans see, by seed.
        fresh: images that effects are measured on, by seed.
        steps: of each training, where --train-steps says nothing else.
        batch: images of a step.
        rate: of Adam.
        own_rate: of the candidate's parameters; its gate starts closed, and a short training has to open it.
        falling: whether the rate falls to zero in a straight line.
    """

    name: str
    mechanisms: Sequence[str]
    places: Sequence[str]
    classes: int
    detector: Callable[[int], Detector]
    learned: Callable[[int], Images]
    scanned: Callable[[int], Images]
    fresh: Callable[[int], Images]
    steps: int
    batch: int
    rate: float
    own_rate: float
    falling: bool


PLANTED = Trial(
    name="",
    mechanisms=(*RIGHT, *WRONG),
    places=PLACES,
    classes=2,
    detector=lambda seed: Detector(read_spec({**DETECTOR}), seed=seed),
    learned=lambda seed: images(128, 2 * seed, null=False),
    scanned=lambda seed: images(64, 2 * seed + 1, null=False),
    fresh=lambda seed: images(200, 2 * seed + 1, null=False),
    steps=150,
    batch=16,
    rate=5e-3,
    own_rate=5e-3,
    falling=False,
)


@cache
def digit_images(split: str) -> Images:
    """Read all images of a split of the embedded digits, and their targets."""
    dataset = load_dataset("digits", split=split)
    return read_images(dataset, split, range(len(dataset[split].records)), DIGITS_SIZE)


def scanned_digits(seed: int) -> Images:
    """Draw 96 images of the train split, as many as a scan looks at by default."""
    pixels, targets = digit_images("train")
    chosen = sorted(np.random.default_rng(seed_of("images", seed)).permutation(len(targets))[:96].tolist())
    return pixels[chosen], [targets[number] for number in chosen]


def fresh_digits(_seed: int) -> Images:
    """Return all images of val and test: no training here chooses by either."""
    val, test = digit_images("val"), digit_images("test")
    return torch.cat((val[0], test[0])), [*val[1], *test[1]]


DIGITS = Trial(
    name="digits",
    mechanisms=("SE", "CBAM", "CoordAtt", "SimAM"),
    places=("backbone.P3", "backbone.P5", "neck.P3", "neck.P5"),
    classes=10,
    detector=lambda _seed: load_model(DIGITS_WEIGHTS),
    learned=lambda _seed: digit_images("train"),
    scanned=scanned_digits,
    fresh=fresh_digits,
    steps=100,
    batch=16,
    rate=1e-3,
    own_rate=2e-2,
    falling=True,
)


def train(
    trial: Trial, seed: int, candidate: Candidate | None, steps: int
) -> tuple[Detector, dict[Place, nn.ModuleList]]:
    """Train a detector, with a candidate from the first step on or without.

    Returns:
        The detector, and the candidate's modules at its place.
    """
    model = trial.detector(seed)
    data = FrozenDetector(model, *trial.learned(seed), batch=trial.batch)
    model.train().requires_grad_(True)
    placed: dict[Place, nn.ModuleList] = {}
    if candidate is not None:
        with drawing("measured", seed, candidate.name):
            placed[candidate.place] = candidate.build(identity=True).train()
    own = [parameter for modules in placed.values() for parameter in modules.parameters()]
    sets = [(list(model.parameters()), trial.rate), *([(own, trial.own_rate)] if own else [])]
    optimizer = torch.optim.Adam([{"params": parameters, "lr": rate} for parameters, rate in sets])
    with drawing("train", seed):
        numbers = [torch.randint(0, len(data.targets), (trial.batch,)).tolist() for _ in range(steps)]
    with data.holding(placed):
        for step, some in enumerate(numbers):
            for group, (_, rate) in zip(optimizer.param_groups, sets, strict=True):
                group["lr"] = rate * (1 - step / steps if trial.falling else 1)
            loss = data.loss(some)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for modules in placed.values():
        modules.eval()
    return model, placed


def average_precision(fresh: FrozenDetector, classes: int) -> float:
    """Return AP of a detector on its images, with whatever stands in it at the moment."""
    size = fresh.images.shape[-1]
    head = fresh.model.model[-1]
    head.training = False
    found = [
        row
        for numbers in fresh.batches(range(len(fresh.images)))
        for row in non_max_suppression(
            fresh.model(fresh.images[numbers])[0], conf_thres=0.001, iou_thres=0.6, nc=classes
        )
    ]
    head.training = True
    rows = torch.cat(found).double().numpy()
    image = np.repeat(np.arange(len(found)), [len(some) for some in found])
    boxes = np.column_stack((rows[:, :2], (rows[:, 2:4] - rows[:, :2]).clip(min=0)))
    truth = torch.cat(fresh.targets).double().numpy()
    true = np.column_stack((truth[:, 1:3] - truth[:, 3:5] / 2, truth[:, 3:5])) * size
    no = np.zeros(len(truth), dtype=bool)
    truths = Truths(
        image_ids=tuple(range(len(found))),
        category_ids=tuple(range(classes)),
        names=tuple(map(str, range(classes))),
        image=np.repeat(np.arange(len(fresh.targets)), [len(rows) for rows in fresh.targets]),
        category=truth[:, 0].astype(np.int64),
        boxes_xywh=true,
        area=true[:, 2] * true[:, 3],
        crowd=no,
        difficult=no,
    )
    return float(evaluate(truths, Detections(image, rows[:, 5].astype(np.int64), boxes, rows[:, 4])).coco["AP"])
