"""Samples made in one pass: pixels as of a canvas warped at once, boxes on their pixels, the recipe's statistics."""

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from ultralytics.cfg import get_cfg

from engine.datasets.augmentation.boxes import move_boxes
from engine.datasets.augmentation.draws import Recipe, draw, transformation
from engine.datasets.augmentation.layout import Layout, Rectangle, Tile, lay_out
from engine.datasets.augmentation.pixels import BORDER, render
from engine.datasets.loader import EpochSampler, make_loader
from engine.datasets.record_dataset import Draw, RecordDataset, describe

SIZE = 96
STILL = Recipe(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
LOW = {"mosaic": 1.0, "degrees": 0.0, "translate": 0.1, "scale": 0.5, "hsv_h": 0.015, "hsv_s": 0.7, "hsv_v": 0.4}
TURNING = {"degrees": 12.0, "shear": 4.0, "flipud": 0.5}
TILTING = {"degrees": 10.0, "shear": 2.0, "perspective": 5e-4, "flipud": 0.5}


def smooth_image(number, height, width):
    noise = np.random.default_rng(number).integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def record(path, width, height, boxes):
    boxes = np.array(boxes, float).reshape(-1, 4)
    no = np.zeros(len(boxes), bool)
    classes = np.zeros(len(boxes), np.int64)
    return SimpleNamespace(
        path=path, width=width, height=height, classes=classes, boxes_xyxy=boxes, crowd=no, difficult=no
    )


def make_dataset(folder, images, boxes, cache="ram", **hyp):
    records = []
    for number, (image, own) in enumerate(zip(images, boxes, strict=True)):
        cv2.imwrite(str(folder / f"{number}.png"), image)
        records.append(record(folder / f"{number}.png", image.shape[1], image.shape[0], own))
    options = {"mosaic": 0.0, "degrees": 0.0, "translate": 0.0, "scale": 0.0, "hsv_h": 0, "hsv_s": 0, "hsv_v": 0}
    return RecordDataset(
        records,
        cache=cache,
        data=describe({0: "a"}, {}),
        imgsz=SIZE,
        augment=True,
        hyp=get_cfg(overrides=options | {"fliplr": 0.0} | hyp),
        batch_size=4,
    )


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Eight images of two shapes, with random boxes."""
    random = np.random.default_rng(7)
    images, boxes = [], []
    for number in range(8):
        height, width = ((72, SIZE), (SIZE, 60))[number % 2]
        images.append(smooth_image(number, height, width))
        low = random.uniform(0, 0.7, (4, 2))
        sides = random.uniform(0.1, 0.3, (4, 2))
        boxes.append(np.concatenate((low, low + sides), axis=1) * [width, height, width, height])
    return tmp_path_factory.mktemp("photographs"), images, boxes


def test_an_image_that_nothing_changes_lies_in_the_middle_as_it_is():
    image = smooth_image(0, 40, 64)
    draws = draw(STILL, (0,), 1)
    layout = lay_out(draws, [(40, 64)], 64, (64, 64))
    out = np.empty((64, 64, 3), np.uint8)
    render(draws, layout, [image], out)
    assert np.array_equal(out[12:52], image[..., ::-1])
    assert (out[:12] == BORDER).all()
    assert (out[52:] == BORDER).all()
    boxes, kept = move_boxes(draws, layout, [np.array([[0, 0, 10, 20.0]])])
    assert boxes.tolist() == [[0, 12, 10, 32]]
    assert kept.tolist() == [0]


def test_the_four_tiles_of_a_mosaic_meet_without_gap_or_overlap():
    recipe = replace(STILL, mosaic=1.0, scale=0.9, translate=0.2)
    for number in range(40):
        draws = draw(recipe, (number,), 9)
        layout = lay_out(draws, [(64, 64)] * 4, 64, (64, 64))  # square sources cover the middle of the canvas
        covered = np.zeros((64, 64), int)
        for tile in layout.tiles:
            if tile.target is not None:
                covered[tile.target.y1 : tile.target.y2, tile.target.x1 : tile.target.x2] += 1
        assert covered.max() == 1
        rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
        assert covered[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def canvas_of(draws, images, size):
    """Return the mosaic's canvas as YOLOv5 fills it."""
    canvas = np.full((2 * size, 2 * size, 3), BORDER, np.uint8)
    x, y = (int(size / 2 + part * size) for part in draws.centre)
    for number, image in enumerate(images):
        height, width = image.shape[:2]
        left, top = x - width * (number in (0, 2)), y - height * (number in (0, 1))
        x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + width, 2 * size), min(top + height, 2 * size)
        canvas[y1:y2, x1:x2] = image[y1 - top : y2 - top, x1 - left : x2 - left]
    return canvas


@pytest.mark.parametrize(
    "strengths",
    [{}, {"degrees": 20.0}, {"shear": 8.0, "flipud": 0.5}, {"perspective": 5e-4, "degrees": 5.0}],
    ids=["scaled", "rotated", "sheared", "tilted"],
)
def test_pixels_are_those_of_a_canvas_warped_at_once(strengths):
    recipe = replace(STILL, mosaic=1.0, scale=0.5, translate=0.1, fliplr=0.5, **strengths)
    images = [smooth_image(n, *shape) for n, shape in enumerate([(72, 96), (96, 60), (96, 96), (50, 96)])]
    for number in range(12):
        draws = draw(recipe, (3, number), 4)
        layout = lay_out(draws, [image.shape[:2] for image in images], SIZE, (SIZE, SIZE))
        out = np.empty((SIZE, SIZE, 3), np.uint8)
        render(draws, layout, images, out)
        half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
        matrix = np.linalg.inv(half) @ transformation(draws, (2 * SIZE,) * 2, (SIZE,) * 2) @ half
        value = (BORDER,) * 3
        expected = cv2.warpPerspective(canvas_of(draws, images, SIZE), matrix, (SIZE, SIZE), borderValue=value)
        expected = expected[:: -1 if draws.upside_down else 1, :: -1 if draws.mirrored else 1, ::-1]
        difference = np.abs(out.astype(int) - expected.astype(int)).mean(2)
        # tiles end at whole pixels and begin up to half a pixel beside the drawn place; seams are not blended
        assert np.median(difference) < 4
        assert (difference > 40).mean() < 0.05


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
@pytest.mark.parametrize(
    "strengths", [{}, TURNING, TURNING | {"perspective": 3e-4}], ids=["scaled", "turned", "tilted"]
)
def test_boxes_sit_on_their_pixels(tmp_path, mosaic, strengths):
    images, boxes = [], []
    for number in range(5):
        height, width = ((72, SIZE), (SIZE, 64))[number % 2]
        x1, y1 = 20 + number, 18 + 2 * number
        image = np.zeros((height, width, 3), np.uint8)
        image[y1 : y1 + 30, x1 : x1 + 24] = 255
        images.append(image)
        boxes.append([[x1, y1, x1 + 24, y1 + 30]])
    hyp = LOW | {"mosaic": mosaic, "hsv_v": 0.15, "fliplr": 0.5, "scale": 0.4} | strengths
    samples = make_dataset(tmp_path, images, boxes, **hyp)
    checked = 0
    for epoch in range(12):
        for index in range(5):
            sample = samples[Draw(0, epoch, index, True)]
            bright = sample["img"].numpy().max(0) > 170
            for x, y, width, height in sample["bboxes"].numpy() * SIZE:
                x1, y1, x2, y2 = x - width / 2, y - height / 2, x + width / 2, y + height / 2
                if strengths and (min(x1, y1) < 0.01 or max(x2, y2) > SIZE - 0.01):
                    continue  # the box of a turned object is that of its corners, those outside too, as in YOLOv5
                top, left = max(0, int(y1) - 4), max(0, int(x1) - 4)
                rows, columns = np.nonzero(bright[top : int(y2) + 5, left : int(x2) + 5])
                edges = columns.min() + left, rows.min() + top, columns.max() + left + 1, rows.max() + top + 1
                assert np.abs(np.subtract(edges, (x1, y1, x2, y2))).max() <= 1
                checked += 1
    assert checked > 30


def test_boxes_by_hand():
    # zoom 2 about nothing, shifted by (10, 5): x → 2x + 10, y → 2y + 5, into 100 × 80
    matrix = np.array([[2.0, 0, 10], [0, 2, 5], [0, 0, 1]])
    tile = Tile(Rectangle(0, 0, 60, 60), matrix)
    given = np.array([[10, 10, 20, 20], [40, 10, 58, 20], [44.5, 10, 80, 20], [0, 0, 0.9, 20]], float)
    draws = replace(draw(STILL, (0,), 1), zoom=2.0)
    boxes, kept = move_boxes(draws, Layout([tile], (100, 80), True), [given])
    # the 2nd is cut at x = 100; the 3rd, cut at the crop's 60, keeps 1 of 31 px: too little; the 4th is under 2 px wide
    assert boxes.tolist() == [[30, 25, 50, 45], [90, 25, 100, 45]]
    assert kept.tolist() == [0, 1]
    mirrored, _ = move_boxes(replace(draws, mirrored=True), Layout([tile], (100, 80), True), [given])
    assert mirrored.tolist() == [[50, 25, 70, 45], [0, 25, 10, 45]]


def statistics_of(samples, count):
    """Return per sample: boxes, their mean place and size, mean and spread of colours, share of grey; (count, 14)."""
    rows = []
    for number in range(count):
        sample = samples[Draw(5, number // len(samples), number % len(samples), True)]
        image, boxes = sample["img"].numpy(), sample["bboxes"].numpy()
        border = np.ptp(image.astype(int), axis=0) == 0
        means = boxes.mean(0) if len(boxes) else np.full(4, np.nan)
        spread = image.std((1, 2))
        areas = np.sqrt(boxes[:, 2] * boxes[:, 3])
        largest = areas.max() if len(boxes) else np.nan
        rows.append([len(boxes), *means, largest, *image.mean((1, 2)), *spread, border.mean(), np.ptp(image)])
    return np.array(rows)


def check_statistics(photographs, count, hyp):
    folder, images, boxes = photographs
    ours = make_dataset(folder, images, boxes, **hyp)
    stock = make_dataset(folder, images, boxes, **hyp)
    stock.one_pass = None
    mine, theirs = statistics_of(ours, count), statistics_of(stock, count)
    difference = np.nanmean(mine, 0) - np.nanmean(theirs, 0)
    error = np.sqrt((np.nanvar(mine, 0) + np.nanvar(theirs, 0)) / count)
    return difference / error


def test_statistics_agree_with_ultralytics_transforms(photographs):
    scores = check_statistics(photographs, 400, LOW | {"fliplr": 0.5})
    assert np.abs(scores).max() < 4, scores.round(1)


@pytest.mark.slow
@pytest.mark.parametrize("strengths", [{}, TURNING, TILTING], ids=["scaled", "turned", "tilted"])
def test_statistics_of_ten_thousand_samples(photographs, strengths):
    scores = check_statistics(photographs, 10_000, LOW | {"fliplr": 0.5} | strengths)
    assert np.abs(scores).max() < 4, scores.round(1)


@pytest.mark.parametrize("workers", [1, 2])
def test_loader_processes_make_the_same_batches(photographs, workers):
    samples = make_dataset(*photographs, **LOW | TURNING)

    def batches(count):
        loader = make_loader(samples, 3, count, EpochSampler(8, 0, True, 9), torch.device("cpu"))
        made = list(loader)
        loader.close()
        return made

    here, there = batches(0), batches(workers)
    assert [sorted(batch) for batch in here] == [sorted(batch) for batch in there]
    for mine, theirs in zip(here, there, strict=True):
        for key in ("img", "cls", "bboxes", "batch_idx"):
            assert torch.equal(mine[key], theirs[key])
        assert mine["img"].is_contiguous(memory_format=torch.channels_last)


def test_a_batch_holds_its_samples(photographs):
    samples = make_dataset(*photographs, **LOW)
    keys = [Draw(1, 2, index, True) for index in (4, 0, 5)]
    batch = samples.collate_fn(samples.__getitems__(keys))
    for number, key in enumerate(keys):
        alone = samples[key]
        own = batch["batch_idx"] == number
        assert torch.equal(batch["img"][number], alone["img"])
        assert torch.equal(batch["bboxes"][own], alone["bboxes"])
        assert torch.equal(batch["cls"][own], alone["cls"])
        assert batch["im_file"][number] == alone["im_file"]
        assert batch["ori_shape"][number] == alone["ori_shape"]


def test_partners_are_drawn_in_the_proportion_asked_for():
    recipe = replace(STILL, mosaic=1.0)
    shares = np.cumsum([0.1, 0.0, 0.9])
    partners = [p for n in range(500) for p in draw(recipe, (n,), 3, shares).partners]
    counts = np.bincount(partners, minlength=3) / len(partners)
    assert counts[1] == 0
    assert abs(counts[0] - 0.1) < 4 * np.sqrt(0.09 / len(partners))


@pytest.mark.parametrize("strength", ["mixup", "cutmix"])
def test_what_one_pass_cannot_do_is_left_to_ultralytics(photographs, strength):
    samples = make_dataset(*photographs, **LOW, **{strength: 0.5})
    assert samples.one_pass is None
    batch = samples.collate_fn(samples.__getitems__([Draw(0, 0, n, True) for n in (0, 1)]))
    assert batch["img"].shape == (2, 3, SIZE, SIZE)
