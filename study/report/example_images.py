"""Draw images side by side: truth, baseline and variant, where the two differ most, in either direction."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data.image_files.image_io import read as read_image
from data.text_drawing import font_for, showable
from engine.datasets.splits import load_split
from engine.detection.annotate import label
from metrics import MatchTable
from metrics.matching import RIGHT, WRONG
from study.analysis.results import Results, RunResult
from study.plan.variants import BASELINE, CONTROL

CONF_THRES = 0.25
WIDTH = 300  # pixels of each image on the page
QUALITY = 80
TEXT_SCALE = 0.33  # font scale of names on boxes
# BGR, Okabe & Ito.
TRUTH_COLOUR, RIGHT_COLOUR, WRONG_COLOUR = (115, 158, 0), (178, 114, 0), (0, 94, 213)


@dataclass(frozen=True)
class Trio:
    """One row of images.

    Attributes:
        name: of the image's file.
        caption: what differs.
        images: data: addresses of truth, baseline, variant.
    """

    name: str
    caption: str
    images: tuple[str, str, str]


def tallies(table: MatchTable, conf_thres: float = CONF_THRES) -> np.ndarray:
    """Count each image's detections above a confidence threshold, at IoU 0.5: (2, I), right and wrong ones."""
    sure = table.score >= conf_thres
    state = table.state[0, 0]
    size = len(table.image_ids)
    return np.stack([np.bincount(table.image[sure & (state == code)], minlength=size) for code in (RIGHT, WRONG)])


def trios(results: Results, variant: str, number: int, which: str = "last") -> list[Trio]:
    """Choose and draw the images of one variant.

    The seed is the first that both have. Half of the images are the variant's best against the baseline, half its
    worst, so that the choice says nothing about who is better.

    Args:
        results: of the study.
        variant: name.
        number: of rows.
        which: "last" or "best".
    """
    runs, bases = results.by_variant.get(variant, {}), results.by_variant.get(BASELINE, {})
    seed = next((seed for seed in bases if seed in runs), None)
    if seed is None or number == 0:
        return []
    pair = (bases[seed], runs[seed])
    counts = np.stack([tallies(run.matches(which)) for run in pair])  # (2 runs, right and wrong, images)
    difference = np.diff(counts[:, 0] - counts[:, 1], axis=0)[0]
    plan = results.plan
    split = load_split(plan.data, plan.split, plan.spec.data_root if plan.data == plan.spec.data else None)
    with np.load(bases[seed].run.folder / which / "boxes.npz", allow_pickle=False) as boxes:
        position = boxes["position"]
    return [
        _trio(split.records[position[index]], index, _caption(variant, counts[:, :, index]), pair, plan.names, which)
        for index in extremes(difference, number)
    ]


def _caption(variant: str, counts: np.ndarray) -> str:
    (right, wrong), (other_right, other_wrong) = counts.tolist()
    return f"baseline {right} right, {wrong} wrong; {variant} {other_right} right, {other_wrong} wrong"


def extremes(difference: np.ndarray, number: int) -> list[int]:
    """Return the positions of the largest and the smallest values, in turn; zeros are left out."""
    order = np.argsort(-difference, kind="stable")
    best = [int(i) for i in order if difference[i] > 0]
    worst = [int(i) for i in order[::-1] if difference[i] < 0]
    picked: list[int] = []
    for rank in range(max(len(best), len(worst))):
        picked += [*best[rank : rank + 1], *worst[rank : rank + 1]]
    return picked[:number]


def variants_to_show(results: Results) -> list[str]:
    """Return the variants that get images: all but baseline and controls."""
    return [name for name in results.by_variant if name != BASELINE and not name.endswith(CONTROL)]


def _trio(
    record: Any, index: int, caption: str, runs: tuple[RunResult, RunResult], names: dict[int, str], which: str
) -> Trio:
    image = read_image(str(record.path))
    if image is None:
        raise OSError(f"{record.path}: cannot be read any more")
    scale = WIDTH / image.shape[1]
    image = cv2.resize(image, (WIDTH, max(1, round(image.shape[0] * scale))), interpolation=cv2.INTER_AREA)
    shown = [_draw(image, record.boxes_xyxy * scale, record.classes, [], names, [TRUTH_COLOUR] * len(record))]
    for run in runs:
        shown.append(_draw_detections(image, run.run.folder / which, index, scale, names, run.matches(which)))
    return Trio(record.path.name, caption, (_address(shown[0]), _address(shown[1]), _address(shown[2])))


def _draw_detections(
    image: np.ndarray, folder: Path, index: int, scale: float, names: dict[int, str], table: MatchTable
) -> np.ndarray:
    """Draw a run's sure boxes on one image, right and wrong ones in different colours."""
    with np.load(folder / "boxes.npz", allow_pickle=False) as boxes:
        mine = (boxes["image"] == index) & (boxes["score"] >= CONF_THRES)
        xywh, classes, confidence = boxes["boxes_xywh"][mine], boxes["category"][mine], boxes["score"][mine]
    right_scores = table.score[(table.image == index) & (table.state[0, 0] == RIGHT)]
    corners = np.concatenate((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), 1) * scale
    colours = [
        RIGHT_COLOUR if np.isclose(right_scores, score, rtol=0, atol=1e-12).any() else WRONG_COLOUR
        for score in confidence
    ]
    return _draw(image, corners, classes, confidence, names, colours)


def _draw(
    image: np.ndarray,
    boxes_xyxy: np.ndarray,
    classes: np.ndarray,
    confidences: Sequence[float] | np.ndarray,
    names: dict[int, str],
    colours: Sequence[tuple[int, int, int]],
) -> np.ndarray:
    canvas, font = image.copy(), font_for(names)
    for number, (box, cls) in enumerate(zip(boxes_xyxy, classes, strict=True)):
        x1, y1, x2, y2 = (round(float(value)) for value in box)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colours[number], 2)
        name = showable(names[int(cls)], font)
        text = name if len(confidences) == 0 else f"{name} {confidences[number]:.2f}"
        label(canvas, text, font, (x1, y1), colours[number], TEXT_SCALE)
    return canvas


def _address(image: np.ndarray) -> str:
    """Return an image as a data: address."""
    good, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not good:
        raise OSError("OpenCV cannot encode a JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(content.tobytes()).decode()
