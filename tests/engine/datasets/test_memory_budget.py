"""Images stay in memory within a budget and never beyond it."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from ultralytics.cfg import get_cfg

from engine.datasets import memory_budget
from engine.datasets.memory_budget import AUTO_BYTES, keeps_images
from engine.datasets.record_dataset import RecordDataset, describe

GIB = 1 << 30


@pytest.fixture
def said(monkeypatch):
    lines = []
    for level in ("info", "warning"):
        monkeypatch.setattr(memory_budget.LOGGER, level, lines.append)
    return lines


@pytest.mark.parametrize(
    ("mode", "needed", "free", "stay"),
    [
        ("auto", 2 * GIB, 8 * GIB, True),  # a quarter of what is free
        ("auto", 2 * GIB + 1, 8 * GIB, False),
        ("auto", AUTO_BYTES, 64 * GIB, True),  # and never more than so much
        ("auto", AUTO_BYTES + 1, 64 * GIB, False),
        ("ram", 8 * GIB, 10 * GIB, True),  # 80 %
        ("ram", 8 * GIB + 1, 10 * GIB, False),
        ("off", 1, 64 * GIB, False),
    ],
)
def test_images_stay_in_memory_within_the_budget_only(monkeypatch, said, mode, needed, free, stay):
    monkeypatch.setattr(memory_budget, "free_memory", lambda: free)
    assert keeps_images(mode, needed, "train: ") is stay
    assert len(said) == (mode != "off")
    assert all(line.startswith("train: ") for line in said)
    if said:
        assert ("stay in memory" in said[0]) is stay


def test_processes_of_one_machine_share_what_is_free(monkeypatch):
    free = SimpleNamespace(available=8 * GIB)
    monkeypatch.setattr(memory_budget.psutil, "virtual_memory", lambda: free)
    assert memory_budget.free_memory() == 8 * GIB
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert memory_budget.free_memory() == 2 * GIB


def test_no_image_takes_more_than_was_counted(tmp_path, monkeypatch):
    records = []
    no, none = np.zeros(0, bool), np.zeros((0, 4))
    for number, (height, width) in enumerate([(37, 91), (91, 37), (13, 7), (64, 64), (100, 99), (1, 50)]):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))
        sizes = {"path": path, "width": width, "height": height}
        records.append(SimpleNamespace(**sizes, classes=no.astype(int), boxes_xyxy=none, crowd=no, difficult=no))
    needed = []
    monkeypatch.setattr("engine.datasets.record_dataset.keeps_images", lambda mode, count, prefix: needed.append(count) or True)
    data, hyp = describe({0: "a"}, {}), get_cfg()
    dataset = RecordDataset(records, cache="auto", data=data, imgsz=64, augment=True, hyp=hyp, batch_size=2)
    taken = sum(image.nbytes for image in dataset.ims)
    assert 0 < taken <= needed[0] < 1.1 * taken
