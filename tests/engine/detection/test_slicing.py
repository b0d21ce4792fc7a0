"""Detection in large images window by window."""

import numpy as np
import pytest

from benchmarks.mosaics import mosaic
from data.digits import make_image
from engine import detect
from engine.backends.base import installed
from engine.cli.detect_flags import detect_parser
from engine.detection import predictor
from engine.detection.predictor import Predictor
from engine.errors import UsageError
from metrics.iou import iou_matrix

OBJECT = 10  # pixels of the bright squares that the pretended model finds


class Squares:
    """A model that finds bright squares on black, whatever part of them its window shows, in pixels of the canvas."""

    label, names, stride, size, imgsz, batch, finished, replicas = (
        "squares",
        {0: "square"},
        32,
        None,
        64,
        None,
        False,
        1,
    )

    def __init__(self):
        self.batches = []

    def __call__(self, images):
        import cv2

        self.batches.append(images.shape)
        rows = []
        for image in images:
            _, _, stats, _ = cv2.connectedComponentsWithStats((image[0] > 0.9).astype(np.uint8))
            boxes = stats[1:, :4].astype(np.float32)
            rows.append([(x + w / 2, y + h / 2, w, h, 0.9) for x, y, w, h in boxes])
        longest = max(1, *map(len, rows))
        output = np.zeros((len(images), 5, longest), np.float32)
        for place, found in enumerate(rows):
            if found:
                output[place, :, : len(found)] = np.transpose(found)
        return output


@pytest.fixture
def squares(monkeypatch):
    model = Squares()
    monkeypatch.setattr(predictor, "open_backend", lambda *args: model)
    return model


def opened(source, *flags):
    found = Predictor(detect_parser().parse_args(["--slice", "64", *flags]), None)
    found.open(source)
    return found


def with_squares(places, height=200, width=260):
    image = np.zeros((height, width, 3), np.uint8)
    for x, y in places:
        image[y : y + OBJECT, x : x + OBJECT] = 255
    return image


# Windows of 64 px at a step of 52 end at 64, 116, 168 … and begin at 52, 104, 156 …
ON_SEAMS = [(x - 4, y - 6) for x in (52, 64, 104, 116, 168, 200) for y in (52, 64, 104, 136, 168)]
ON_SEAMS = [(x, y) for x, y in ON_SEAMS if (x // 12 + y // 12) % 2 == 0]  # apart from each other


@pytest.mark.parametrize("batch", ["1", "3", "100"])
def test_an_object_on_every_seam_is_found_once_whatever_the_batch(squares, batch):
    (found,) = opened(with_squares(ON_SEAMS), "--batch-size", batch, "--imgsz", "64").detections()
    assert found.image.shape == (200, 260, 3)
    assert sorted(found.boxes[:, :2].round().astype(int).tolist()) == sorted(map(list, ON_SEAMS))
    np.testing.assert_allclose(found.boxes[:, 2:] - found.boxes[:, :2], OBJECT, atol=1)
    assert all(shape[0] <= int(batch) for shape in squares.batches)


def test_windows_go_to_the_model_in_batches_and_the_whole_by_itself(squares):
    list(opened(with_squares([]), "--batch-size", "8", "--imgsz", "64").detections())
    # 5 columns (0, 52, 104, 156, 196) of 4 rows (0, 52, 104, 136); the whole of 260x200 fits into 64x50, padded to 64.
    assert sorted(shape[0] for shape in squares.batches) == [1, 4, 8, 8]
    assert {shape[2:] for shape in squares.batches} == {(64, 64)}


def test_small_and_large_images_keep_their_order(squares):
    images = [with_squares([(k, k)], *size) for k, size in enumerate([(40, 40), (150, 90), (64, 64), (65, 64)], 8)]
    found = list(opened(images, "--imgsz", "64").detections())
    assert [one.image.shape for one in found] == [image.shape for image in images]
    assert [one.frame.path for one in found] == ["image0", "image1", "image2", "image3"]
    for k, one in enumerate(found, 8):
        np.testing.assert_allclose(one.boxes[0], [k, k, k + OBJECT, k + OBJECT], atol=2)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--slice", "16"], "at least 32"),
        (["--slice-overlap", "0.95"], "from 0 to 0.9"),
        (["--maps", "gates"], "leave out --slice"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(flags, message):
    with pytest.raises(UsageError, match=message):
        opened([with_squares([])], *flags)


def test_digits_on_every_seam_are_found_once(root):
    """Nine test images side by side: with windows, small digits that the whole image loses; each of them once."""
    from data import load_dataset

    records = load_dataset("digits", split="test")["test"].records[:9]
    image, truth, classes = mosaic(records, 3, (320, 320))
    recall, doubles = [], []
    for flags in ({}, {"slice": 300}):
        weights = root / "weights" / "yolov5n-digits.pt"
        (result,) = detect(weights, image, backend="torch", imgsz=320, batch_size=4, **flags)
        boxes, labels = result.boxes.xyxy.numpy(), result.boxes.cls.numpy()
        hits = (iou_matrix(truth, boxes.astype(np.float64)) > 0.5) & (classes[:, None] == labels)
        recall.append(float(hits.any(1).mean()))
        doubles.append(int((hits.sum(1) > 1).sum()))
    assert recall[0] < 0.7
    assert recall[1] > 0.95
    assert doubles[1] == 0


@pytest.mark.skipif(not installed("openvino"), reason="openvino is not installed")
def test_windows_through_openvino_give_the_boxes_of_pytorch(root):
    image = make_image("test", np.random.default_rng(5))[0]
    weights = root / "weights" / "yolov5n-digits.pt"
    found = []
    for backend in ("torch", "openvino"):
        (result,) = detect(weights, image, backend=backend, imgsz=160, slice=160, batch_size=4)
        boxes = result.boxes
        rows = np.column_stack([boxes.xyxy.numpy(), 100 * boxes.conf.numpy(), 1000 * boxes.cls.numpy()])
        found.append(rows[np.lexsort(rows.T)])
    assert len(found[0]) > 3
    np.testing.assert_allclose(found[1], found[0], atol=0.5)  # half a pixel, 0.005 of confidence, the same class
