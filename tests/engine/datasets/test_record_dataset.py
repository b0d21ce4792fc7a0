"""Records as ultralytics' labels, and samples that depend on their key alone."""

import random
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from ultralytics.cfg import get_cfg

from engine.datasets.record_dataset import Draw, RecordDataset, _all_transforms, box_sizes, describe, to_labels
from engine.errors import UsageError
from models.upstream.data import BaseMixTransform


def record(path, width, height, boxes, classes=None, crowd=None, difficult=None):
    boxes = np.array(boxes, float).reshape(-1, 4)
    n = len(boxes)
    return SimpleNamespace(
        path=path,
        width=width,
        height=height,
        classes=np.array(classes if classes is not None else [0] * n, np.int64),
        boxes_xyxy=boxes,
        crowd=np.array(crowd if crowd is not None else [False] * n, bool),
        difficult=np.array(difficult if difficult is not None else [False] * n, bool),
        area=(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]),
    )


@pytest.fixture
def records(tmp_path):
    made = []
    for number in range(6):
        width, height = (80, 40) if number % 2 else (40, 80)
        image = np.random.default_rng(number).integers(0, 255, (height, width, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
        made.append(record(tmp_path / f"{number}.png", width, height, [[10, 10, 30, 30], [0, 0, 8, 8]], [0, 1]))
    return made


def dataset(records, **kwargs):
    options = {"data": describe({0: "a", 1: "b"}, {}), "imgsz": 64, "augment": True, "hyp": get_cfg(), "batch_size": 2}
    return RecordDataset(records, **(options | kwargs))


def test_boxes_become_normalised_centres():
    labels = to_labels([record("x.jpg", 200, 100, [[20, 10, 60, 50]], [3])])
    # centre (40, 30) of 200×100, size 40×40
    assert labels[0]["bboxes"].tolist() == [pytest.approx([0.2, 0.3, 0.2, 0.4])]
    assert labels[0]["cls"].tolist() == [[3.0]]
    assert labels[0]["shape"] == (100, 200)


def test_crowds_and_difficult_objects_are_left_out():
    boxes = [[0, 0, 10, 10], [1, 1, 10, 10], [2, 2, 10, 10]]
    labels = to_labels([record("x.jpg", 20, 20, boxes, [0, 1, 2], crowd=[1, 0, 0], difficult=[0, 1, 0])])
    assert labels[0]["cls"].tolist() == [[2.0]]


def test_a_image_without_objects():
    labels = to_labels([record("x.jpg", 20, 20, [])])
    assert labels[0]["bboxes"].shape == (0, 4)
    assert labels[0]["cls"].shape == (0, 1)


@pytest.mark.parametrize(
    ("names", "single", "expected"),
    [({0: "a", 1: "b"}, False, 2), ({0: "a", 1: "b"}, True, 1), ({0: "a"}, True, 1)],
)
def test_single_class(names, single, expected):
    info = describe(names, {}, single)
    assert info["nc"] == len(info["names"]) == expected
    assert info["names"][0] == ("item" if single and len(names) > 1 else "a")


def test_an_empty_split_is_refused():
    with pytest.raises(UsageError, match="no usable image"):
        dataset([])


def test_a_sample_depends_on_its_key_alone(records):
    first, second = dataset(records, cache="ram"), dataset(records, cache="off")
    key = Draw(seed=3, epoch=2, image=1, mosaic=True)
    expected = first[key]
    random.seed(99)
    np.random.seed(99)
    for other in (Draw(3, 0, 0, True), Draw(3, 2, 4, True)):
        second[other]  # what was drawn before must not matter
    again = second[key]
    assert np.array_equal(expected["img"], again["img"])
    assert np.array_equal(expected["bboxes"], again["bboxes"])
    for different in (Draw(4, 2, 1, True), Draw(3, 3, 1, True)):
        assert not np.array_equal(expected["img"], first[different]["img"])


def test_a_repeated_image_is_another_sample_and_its_first_occurrence_the_usual_one(records):
    samples = dataset(records)
    first, again = (samples[Draw(3, 2, 1, True, repeat)]["img"] for repeat in (0, 1))
    assert np.array_equal(first, samples[Draw(3, 2, 1, True)]["img"])
    assert not np.array_equal(first, again)


def test_partners_of_a_mosaic_are_drawn_as_often_as_images_are_repeated(records):
    factors = np.array([1.0, 1, 1, 1, 1, 3])
    samples = dataset(records, factors=factors)
    random.seed(0)
    mosaics = [t for t in _all_transforms(samples.transforms) if isinstance(t, BaseMixTransform)]
    drawn = [image for _ in range(2000) for t in mosaics for image in np.atleast_1d(t.get_indexes())]
    assert len(mosaics) >= 3  # mosaic, mixup, copy-paste
    parts = np.bincount(drawn, minlength=6) / len(drawn)
    assert parts == pytest.approx(factors / 8, abs=4.5 * np.sqrt(0.25 / len(drawn)))


def test_without_mosaic_a_sample_shows_one_image(records):
    samples = dataset(records)
    counts = {len(samples[Draw(0, epoch, 0, False)]["cls"]) for epoch in range(4)}
    assert counts <= {1, 2}  # its own two boxes at most; augmentation may move one out
    combined = max(len(samples[Draw(0, epoch, 0, True)]["cls"]) for epoch in range(8))
    assert combined > 2


def test_images_have_their_longer_side_at_training_size(records):
    plain = dataset(records, augment=False)
    shapes = [plain.load_image(number)[2] for number in range(2)]
    assert shapes == [(64, 32), (32, 64)]


def test_a_jpeg_decoded_at_half_its_size_is_nearly_the_same_sample(tmp_path):
    noise = np.random.default_rng(3).integers(0, 256, (12, 16, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.jpg"), cv2.resize(noise, (161, 121), interpolation=cv2.INTER_CUBIC))
    given = [record(tmp_path / "a.jpg", 161, 121, [[20, 30, 100, 90]])]
    whole, reduced = (dataset(given, augment=False, reduced_decode=flag, rect=True, pad=0.5) for flag in (False, True))
    assert reduced._read(0)[0].shape == (61, 81, 3)
    one, other = whole[0], reduced[0]
    assert one["ori_shape"] == other["ori_shape"] == (121, 161)
    assert torch.equal(one["bboxes"], other["bboxes"])
    assert one["img"].shape == other["img"].shape
    assert (one["img"].float() - other["img"].float()).abs().mean() < 4


def test_nothing_is_written_beside_the_images(records, tmp_path):
    before = sorted(tmp_path.iterdir())
    samples = dataset(records, cache="ram")
    samples[Draw(0, 0, 0, True)]
    assert sorted(tmp_path.iterdir()) == before


def test_an_array_file_beside_a_image_is_not_read(records, tmp_path):
    np.save(tmp_path / "0.npy", np.zeros((80, 40, 3), np.uint8))
    assert dataset(records, augment=False).load_image(0)[0].max() > 0


def test_a_image_that_vanished_is_named(records):
    samples = dataset(records, cache="off")
    records[0].path.unlink()
    with pytest.raises(UsageError, match=r"0\.png: was there at the start, .*run it again \(train.py goes on"):
        samples.load_image(0)


def test_rectangular_batches_keep_records_and_labels_together(records):
    ordered = dataset(records, augment=False, rect=True, pad=0.5, stride=32)
    assert [str(r.path) for r in ordered.records] == [label["im_file"] for label in ordered.labels] == ordered.im_files


def test_box_sizes_are_those_at_training_size():
    # longer side 200 → 640: factor 3.2
    assert box_sizes([record("x.jpg", 200, 100, [[0, 0, 10, 20]])], 640).tolist() == [[32.0, 64.0]]


@pytest.mark.parametrize("channels", [1, 4, 5])
def test_images_of_other_channels_are_combined_and_their_colours_left_alone(tmp_path, channels):
    made = []
    values = np.arange(1, channels + 1, dtype=np.uint8) * 30
    for number in range(4):
        image = np.broadcast_to(values, (40, 60, channels))
        np.save(tmp_path / f"{number}.npy", image)
        made.append(record(tmp_path / f"{number}.npy", 60, 40, [[5, 5, 50, 35]]))
    split = SimpleNamespace(channels=channels)
    samples = dataset(made, data=describe({0: "a"}, {"train": split}), cache="ram")
    for mosaic in (True, False):
        image = samples[Draw(0, 0, 1, mosaic)]["img"]
        assert image.shape == (channels, 64, 64)
        assert image.dtype == torch.uint8
        for channel, value in enumerate(values.tolist()):
            inside = image[channel][(image[channel] != 114)].float()
            assert inside.median() == value  # padding is grey, and its border a mixture
    plain = dataset(made, data=describe({0: "a"}, {"train": split}), augment=False)
    assert plain.load_image(0)[0].shape == (43, 64, channels)
    np.save(tmp_path / "0.npy", np.zeros((40, 60, 2), np.uint8))
    with pytest.raises(UsageError, match=r"0\.npy: has 2 channels"):
        plain.load_image(0)
