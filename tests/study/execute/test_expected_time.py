"""The expected time against sums by hand, and against processes that take a known time."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from study.execute import expected_time
from study.execute.expected_time import (
    Probe,
    images_composed,
    look_seconds,
    probe,
    probe_start,
    read_seconds,
    run_seconds,
)

SIZES = {"train": 100, "val": 20, "test": 30}


def test_a_run_is_the_sum_of_its_parts() -> None:
    once = Probe(start=8.0, read=0.005)
    # start 8; three epochs of 7 + mosaics 4·100·0.005 + val 20·(0.01 + 0.005); val once more and test twice,
    # 20 + 60 images of 0.02 + 0.01 + 0.005.
    assert run_seconds(once, 3, 7.0, 0.02, SIZES, "test") == pytest.approx(8 + 3 * (7 + 2 + 0.3) + 80 * 0.035)
    busy = Probe(start=8.0, read=0.005, slowdown=2.5)
    assert run_seconds(busy, 3, 7.0, 0.02, SIZES, "test") == pytest.approx(2.5 * (8 + 27.9 + 2.8))
    assert run_seconds(once, 3, 7.0, 0.02, SIZES, "test", composed=0) == pytest.approx(8 + 3 * 7.3 + 2.8)


def test_starting_a_process_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expected_time, "STARTED", "import time; time.sleep(1)")
    computed, passed = probe_start()
    assert passed >= 1 > computed
    monkeypatch.setattr(expected_time, "probe_start", lambda: (4.0, 10.0))
    assert probe([]) == Probe(4.0, 0.0, 2.5)
    monkeypatch.setattr(expected_time, "probe_start", lambda: (4.0, 4.4))
    assert probe([]) == Probe(4.0)  # nothing to speak of beside it


def test_reading_is_timed_on_the_files(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8))
    assert read_seconds([*paths, tmp_path / "missing.png"]) > 0
    assert read_seconds([]) == 0


def test_a_look_is_a_third_of_a_step() -> None:
    assert look_seconds(6.4, SIZES) == pytest.approx(0.02)  # (3 · 100 + 20) · 0.02


def test_images_read_for_one() -> None:
    assert images_composed({}, {"mosaic": 1.0}) == 4
    assert images_composed({"rect": True}, {"mosaic": 1.0}) == 1
    assert images_composed({}, {"mosaic": 0.0}) == 1
    assert images_composed({"cache": "ram"}, {"mosaic": 1.0}) == 0
