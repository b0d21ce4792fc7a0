"""Training on windows of large images, cut on the fly."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engine.datasets.loader import EpochSampler
from engine.datasets.record_dataset import Draw, describe
from engine.datasets.sliced_dataset import SlicedDataset, sliced
from engine.datasets.splits import load_data
from engine.errors import UsageError
from engine.ops.windows import Slicing
from engine.training.run import train
from models.upstream.training import get_cfg
from tests.engine.training.cut_runs import assert_same_end, cut_in_epoch

WIDTH, HEIGHT, WINDOW = 160, 112, 64


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images with bright squares, one of them across the seam at 64."""
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    for number in range(2):
        image = rng.integers(0, 50, (HEIGHT, WIDTH, 3), np.uint8)
        lines = []
        for x, y in ((10, 10 + number), (56, 40), (120, 80)):
            image[y : y + 20, x : x + 20] = 220
            lines.append(f"0 {(x + 10) / WIDTH} {(y + 10) / HEIGHT} {20 / WIDTH} {20 / HEIGHT}\n")
        cv2.imwrite(str(folder / "images" / f"{number}.png"), image)
        (folder / "labels" / f"{number}.txt").write_text("".join(lines))
    path = folder / "data.yaml"
    path.write_text("train: images\nval: images\nnames: [square]\n")
    return path


def dataset(data: Path, *, augment: bool, **more: object) -> SlicedDataset:
    names, splits = load_data(str(data), ("train",))
    made = sliced(
        Slicing(WINDOW, 0.25),
        splits["train"].records,
        data=describe(names, splits),
        imgsz=WINDOW,
        augment=augment,
        hyp=get_cfg(overrides={"task": "detect"}),
        rect=False,
        batch_size=4,
        stride=32,
        task="detect",
        **more,
    )
    assert isinstance(made, SlicedDataset)
    return made


def test_every_window_is_a_sample_with_its_own_pixels_and_boxes(data: Path) -> None:
    # Windows at a step of 48: x 0, 48, 96 and y 0, 48; and the whole image.
    views = dataset(data, augment=False)
    assert len(views) == 2 * 7
    image = cv2.imread(str(data.parent / "images" / "1.png"))
    for number in range(7, 13):
        left, top, right, bottom = views.windows[number]
        pixels, size, _ = views.load_image(number)
        np.testing.assert_array_equal(pixels, image[top:bottom, left:right])
        assert size == (WINDOW, WINDOW)
    corners = views.records[7 + 1].boxes_xyxy + views.windows[7 + 1][[0, 1, 0, 1]]
    assert corners.round().tolist() == [
        [56, 40, 76, 60]
    ]  # x from 48, y to 64: the square in the middle alone, all of it
    assert views.records[7].boxes_xyxy.round().tolist() == [[10, 11, 30, 31], [56, 40, 64, 60]]  # 40 % of it
    assert views.load_image(13)[1] == (HEIGHT, WIDTH)


@pytest.mark.parametrize("cache", ["off", "ram"])
def test_a_sample_depends_on_seed_epoch_and_view_alone(data: Path, cache: str) -> None:
    views, again = dataset(data, augment=True, cache=cache), dataset(data, augment=True)
    draws = list(EpochSampler(len(views), seed=3, shuffle=True, mosaic_until=5))
    samples = {draw: views[draw] for draw in draws[:6]}
    for draw in reversed(draws[:6]):
        for key in ("img", "bboxes", "cls"):
            assert torch.equal(samples[draw][key], again[draw][key])
    other = views[Draw(3, 1, draws[0].image, True)]
    assert not torch.equal(other["img"], samples[draws[0]]["img"])


def test_rectangular_batches_fit_their_views(data: Path) -> None:
    views = dataset(data, augment=False)
    views.rect, views.pad, views.batch_size = True, 0.0, 7
    views.set_rectangle()
    assert views.batch_shapes.tolist() == [[64, 64]] * 2  # windows are squares
    views.batch_size = 1
    views.set_rectangle()
    assert views.batch_shapes[6].tolist() == [64, 64]  # 112 of 160 px: 45 of 64, on the grid of 32


FLAGS = {"cfg": "yolov5n", "weights": "", "imgsz": 32, "batch_size": 7, "workers": 0, "noplots": True, "device": "cpu"}
FLAGS |= {"amp": "off", "slice": WINDOW, "slice_overlap": 0.25}


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_is_cut_ends_as_one_that_is_not(data: Path, tmp_path: Path) -> None:
    whole = train(**FLAGS, data=str(data), epochs=2, project=str(tmp_path), name="whole")
    assert len(whole.train_loader.dataset) == 14
    assert len(whole.test_loader.dataset) == 14
    with cut_in_epoch(2):
        train(**FLAGS, data=str(data), epochs=2, project=str(tmp_path), name="cut")
    cut = train(resume=str(tmp_path / "cut"))
    assert_same_end(Path(whole.last), Path(cut.last))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_rectangular_training_runs(data: Path, tmp_path: Path) -> None:
    trainer = train(**FLAGS, data=str(data), epochs=1, project=str(tmp_path), rect=True, noautoanchor=True)
    assert trainer.validator.seen == 2  # images, not windows


def test_several_processes_and_small_windows_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--slice 16: a window's side"):
        train(**{**FLAGS, "slice": 16}, data=str(data), project=str(tmp_path))
    assert not list(tmp_path.iterdir())
