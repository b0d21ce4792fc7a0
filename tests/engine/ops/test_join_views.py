"""Boxes of several windows become those of their image: every object once, neighbours apart."""

import numpy as np
import pytest

from engine.ops.join_views import Views, join_views
from engine.ops.windows import Slicing


def seen(objects: list, windows: np.ndarray, least: float = 0.05, jitter: float = 0.0, seed: int = 0) -> Views:
    """Return what a perfect detector would give: of every object in every window, the part that it shows.

    Args:
        objects: (left, top, right, bottom, score, class) each.
        windows: (v, 4).
        least: part of an object below which it is not noticed.
        jitter: pixels by which a detector misses each side.
        seed: of the misses.
    """
    random = np.random.default_rng(seed)
    rows = []
    for number, window in enumerate(windows):
        for left, top, right, bottom, score, label in objects:
            box = np.clip([left, top, right, bottom], window[[0, 1, 0, 1]], window[[2, 3, 2, 3]])
            shown = max(0, box[2] - box[0]) * max(0, box[3] - box[1]) / ((right - left) * (bottom - top))
            if shown > least:
                miss = random.uniform(-jitter, jitter, 4)
                rows.append([number, *np.clip(box + miss, window[[0, 1, 0, 1]], window[[2, 3, 2, 3]]), score, label])
    table = np.array(rows, np.float64).reshape(-1, 7)
    return Views(
        table[:, 1:5].astype(np.float32), table[:, 5], table[:, 6].astype(int), table[:, 0].astype(int), windows
    )


def apart(random: np.random.Generator, count: int, width: int, height: int, gap: float) -> list:
    """Place boxes at random, of all sizes, so that no two overlap."""
    boxes: list = []
    while len(boxes) < count:
        w, h = random.uniform(12, 220, 2)
        left, top = random.uniform(0, width - w), random.uniform(0, height - h)
        if all(left > b[2] + gap or b[0] > left + w + gap or top > b[3] + gap or b[1] > top + h + gap for b in boxes):
            boxes.append((left, top, left + w, top + h, random.uniform(0.3, 0.9), int(random.integers(2))))
    return boxes


def assert_same(joined: np.ndarray, objects: list, tolerance: float) -> None:
    assert len(joined) == len(objects)
    for *box, _, label in objects:
        off = np.abs(joined[:, :4] - box).max(1) + 1e6 * (joined[:, 5] != label)
        assert off.min() <= tolerance, (box, joined[off.argmin()])


@pytest.mark.parametrize("whole", [True, False], ids=["whole-view", "windows-only"])
@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_every_object_is_found_once(overlap, whole, seed):
    windows = Slicing(160, overlap).windows(500, 700)
    objects = apart(np.random.default_rng(seed), 30, 700, 500, gap=6.0)
    views = seen(objects, windows, least=0.0)
    if not whole:  # what the whole view sees is taken away
        keep = views.view != len(windows) - 1
        views = Views(views.boxes[keep], views.scores[keep], views.classes[keep], views.view[keep], windows)
    assert_same(join_views(views, 0.45, 300), objects, 0.01)


@pytest.mark.parametrize("seed", range(6))
def test_a_detector_that_misses_by_pixels_still_gives_every_object_once(seed):
    windows = Slicing(160, 0.2).windows(500, 700)
    objects = [
        box
        for box in apart(np.random.default_rng(seed), 25, 700, 500, 6.0)
        if min(box[2] - box[0], box[3] - box[1]) > 24
    ]
    views = seen(objects, windows, least=0.25, jitter=1.5, seed=seed)
    assert_same(join_views(views, 0.45, 300), objects, 4.5)


def test_an_object_on_every_seam_is_found_once():
    slicing = Slicing(100, 0.2)
    windows = slicing.windows(340, 340)  # windows begin at 0, 80, 160, 240
    seams = sorted({*windows[:-1, 0].tolist(), *windows[:-1, 2].tolist()} - {0, 340})
    objects = []
    for number, x in enumerate(seams[::2]):  # far enough from each other
        for y in seams[::2]:
            objects.append((x - 14, y - 11, x + 12, y + 15, 0.5 + number / 100, 0))
    assert_same(join_views(seen(objects, windows, least=0.0), 0.45, 300), objects, 0.01)


@pytest.mark.parametrize("overlap", [0.0, 0.2])
def test_neighbours_across_a_seam_stay_apart(overlap):
    # Two rows of long boxes side by side, three pixels apart, each across the seam at 100.
    windows = Slicing(100, overlap).windows(100, 180)
    objects = [(30, 10 + 23 * k, 150, 30 + 23 * k, 0.9 - k / 10, 0) for k in range(4)]
    without_whole = seen(objects, windows)
    keep = without_whole.view < len(windows) - 1
    views = Views(*(getattr(without_whole, name)[keep] for name in ("boxes", "scores", "classes", "view")), windows)
    assert_same(join_views(views, 0.45, 300), objects, 0.01)


def test_boxes_that_overlap_in_one_view_are_not_joined():
    # The view's own suppression has let both pass; another window sees the same two.
    windows = np.array([[0, 0, 100, 100], [80, 0, 180, 100], [0, 0, 180, 100]])
    objects = [(10, 10, 50, 50, 0.9, 0), (28, 10, 68, 50, 0.8, 0)]  # IoU 0.38
    assert_same(join_views(seen(objects, windows), 0.45, 300), objects, 0.01)


def test_two_fragments_of_one_view_are_never_united():
    # Two objects reach the seam at 100; the next window shows one, of which the rest agrees with both by chance.
    windows = np.array([[0, 0, 100, 100], [100, 0, 200, 100], [0, 0, 200, 100]])
    boxes = np.array([[50, 10, 100, 50], [50, 26, 100, 66], [100, 16, 150, 56]], np.float32)
    views = Views(boxes, np.array([0.9, 0.8, 0.7]), np.zeros(3, int), np.array([0, 0, 1]), windows)
    assert join_views(views, 0.45, 300)[:, :4].tolist() == [[50, 10, 150, 56], [50, 26, 100, 66]]


def test_classes_are_joined_apart_unless_asked():
    windows = np.array([[0, 0, 100, 100], [50, 0, 150, 100], [0, 0, 150, 100]])
    boxes = np.array([[60, 10, 90, 40]] * 2, np.float32)
    views = Views(boxes, np.array([0.9, 0.8]), np.array([0, 1]), np.array([0, 1]), windows)
    assert len(join_views(views, 0.45, 300)) == 2
    assert join_views(views, 0.45, 300, agnostic=True)[:, 5].tolist() == [0]


def test_a_fragment_is_dropped_where_a_neighbour_sees_all_of_it_as_nothing_of_the_kind():
    # The right end of an object of class 0 looks like one of class 1 in the first window, which cuts it.
    windows = np.array([[0, 0, 100, 100], [50, 0, 150, 100], [0, 0, 150, 100]])
    boxes = np.array([[92, 10, 100, 40], [92, 10, 130, 40]], np.float32)
    views = Views(boxes, np.array([0.9, 0.8]), np.array([1, 0]), np.array([0, 1]), windows)
    assert join_views(views, 0.45, 300)[:, 5].tolist() == [0]


def test_the_best_are_kept_and_come_first():
    windows = Slicing(100, 0.2).windows(100, 1000)
    objects = [(20 + 80 * k, 10, 40 + 80 * k, 30, 0.1 + 0.05 * k, 0) for k in range(12)]
    joined = join_views(seen(objects, windows), 0.45, 5)
    assert joined[:, 4].tolist() == pytest.approx([0.65, 0.6, 0.55, 0.5, 0.45])


def test_nothing_in_nothing_out():
    windows = Slicing(100, 0.2).windows(300, 300)
    empty = Views(np.zeros((0, 4), np.float32), np.zeros(0), np.zeros(0, int), np.zeros(0, int), windows)
    assert join_views(empty, 0.45, 300).shape == (0, 6)
