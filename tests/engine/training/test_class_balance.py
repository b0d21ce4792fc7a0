"""Runs with --oversample and --class-weights: what they say, and that they resume to the bit."""

from pathlib import Path

import pytest
from torch import nn

from data import load_dataset
from engine.errors import UsageError
from engine.training.class_balance import repeat_factors, weigh_classes
from engine.training.run import train
from engine.training.trainer import DetectorTrainer
from tests.digit_images import write_digits
from tests.engine.training.cut_runs import assert_same_end, cut_in_epoch

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four images of digits; one of them alone shows class "two"."""
    path = write_digits(tmp_path / "data", train=4, val=1)
    path.write_text(path.read_text().replace("zero, one", "zero, one, two"))
    label = sorted((tmp_path / "data" / "labels" / "train").iterdir())[1]
    label.write_text("2" + label.read_text()[1:])
    return path


def begun(data: Path, project: Path, **more: object) -> DetectorTrainer:
    flags = {"data": str(data), "cfg": "yolov5n", "weights": "", "imgsz": 64, "batch_size": 4, "workers": 0}
    flags |= {"noplots": True, "device": "cpu", "amp": "off", "noautoanchor": True, "epochs": 2}
    flags |= {"oversample": 1.0, "class_weights": 1.0, "project": str(project)}
    return train(**flags | more)


def test_what_the_flags_come_to(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    records = load_dataset(data, split="train")["train"].records
    info = {"nc": 3, "names": {0: "zero", 1: "one", 2: "two"}}
    factors = repeat_factors(records, info, {"oversample": 1.0})
    # zero is in 2 of 4 images, one and two in 1 each
    assert sorted(factors.tolist()) == pytest.approx([2**0.5, 2**0.5, 2, 2])
    model = nn.Conv2d(1, 1, 1)
    weigh_classes(model, records, info, {"class_weights": 1.0})
    assert model.class_weights.tolist() == pytest.approx([0.6, 1.2, 1.2])  # 1/2, 1, 1 over their mean
    assert caplog.messages == [
        "oversampling: 7 samples an epoch from 4 images; factors: one 2.00; two 2.00; zero 1.41",
        "class weights: one 1.20; two 1.20; zero 0.60",
    ]
    plain = nn.Conv2d(1, 1, 1)
    weigh_classes(plain, records, info, {})
    assert repeat_factors(records, info, {}) is None
    assert not hasattr(plain, "class_weights")


@pytest.mark.slow
def test_a_cut_run_ends_as_one_that_is_not(data: Path, tmp_path: Path) -> None:
    whole = begun(data, tmp_path / "whole")
    assert len(whole.train_loader) == 2  # 7 samples
    assert whole.ema.ema.class_weights.tolist() == pytest.approx([0.6, 1.2, 1.2])
    with cut_in_epoch(2):
        begun(data, tmp_path / "cut")
    resumed = train(resume=str(tmp_path / "cut" / "exp"))
    assert_same_end(Path(whole.last), Path(resumed.last))


def test_rectangular_batches_cannot_be_drawn_anew(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--oversample .* --rect"):
        begun(data, tmp_path, rect=True)
