"""A finished run goes on beyond its plan, and such a run is itself exactly resumable."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from engine.cli.train_flags import train_parser
from engine.errors import UsageError
from engine.training import resume
from engine.training.run import train
from models.weights.checkpoint import read_checkpoint
from tests.engine.training.cut_runs import assert_same_end, cut_in_epoch


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four images with a bright square, for training and validation alike."""
    rng = np.random.default_rng(0)
    for number in range(4):
        image = rng.integers(0, 50, (64, 64, 3), np.uint8)
        image[16:48, 16:48] = 220
        for kind in ("images", "labels"):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "data" / "images" / f"{number}.png"), image)
        (tmp_path / "data" / "labels" / f"{number}.txt").write_text("0 .5 .5 .5 .5\n")
    path = tmp_path / "data" / "data.yaml"
    path.write_text("train: images\nval: images\nnames: [square]\n")
    return path


def begun(data: Path, project: Path, epochs: int) -> Path:
    """Train a run of so many epochs; return its last.pt."""
    flags = {"data": str(data), "cfg": "yolov5n", "weights": "", "imgsz": 32, "batch_size": 2, "workers": 0}
    flags |= {"noplots": True, "device": "cpu", "amp": "off", "noautoanchor": True}
    return Path(train(**flags, project=str(project), epochs=epochs).last)


@pytest.mark.filterwarnings("ignore")
def test_a_longer_run_that_is_cut_ends_as_one_that_is_not(data: Path, tmp_path: Path) -> None:
    whole, cut = (begun(data, tmp_path / name, 1) for name in ("whole", "cut"))
    with pytest.raises(
        UsageError, match=r"finished \(1 of 1 epochs\); to train it further add --epochs N with N above 1"
    ):
        train(resume=str(cut))
    train(resume=str(whole), epochs=3)
    with cut_in_epoch(3):
        train(resume=str(cut.parents[1]), epochs=3)
    train(resume=str(cut))
    assert_same_end(whole, cut)
    training = [read_checkpoint(path)["training"] for path in (whole, cut)]
    assert [run["epochs"] for run in training] == [3, 3]
    assert [row["epoch"] for row in training[0]["results"]] == [1, 2, 3]


def content(epoch: int, epochs: int, stopped: bool = False) -> dict:
    return {"training": {"epoch": epoch - 1, "epochs": epochs, "stopped": stopped, "options": {"epochs": epochs}}}


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Let a last.pt hold some state."""

    def store(**state: object) -> Namespace:
        file = tmp_path / "run" / "weights" / "last.pt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        monkeypatch.setattr("models.weights.checkpoint.read_checkpoint", lambda path: content(**state))
        options = train_parser().parse_args(["--resume", str(tmp_path / "run")])
        options.demo = False
        return options

    return store


@pytest.mark.parametrize(
    ("state", "asked", "epochs"),
    [
        ({"epoch": 3, "epochs": 5}, None, 5),
        ({"epoch": 3, "epochs": 5}, 9, 9),
        ({"epoch": 3, "epochs": 5}, 4, 5),  # fewer than planned: ignored, and said
        ({"epoch": 5, "epochs": 5}, 100, 100),  # the default, but given
    ],
)
def test_the_epochs_of_a_run_that_goes_on(stored, state: dict, asked: int | None, epochs: int) -> None:
    options = stored(**state)
    options.epochs = asked or 100
    assert resume.continue_run(options, asked)[0].epochs == epochs


@pytest.mark.parametrize(
    ("state", "asked", "text"),
    [
        ({"epoch": 5, "epochs": 5, "stopped": True}, None, "add --epochs N with N above 5"),
        ({"epoch": 5, "epochs": 5, "stopped": True}, 5, "add --epochs N with N above 5"),
        ({"epoch": 3, "epochs": 5, "stopped": True}, 9, "its --patience ended it"),
    ],
)
def test_a_run_that_cannot_go_on(stored, state: dict, asked: int | None, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        resume.continue_run(stored(**state), asked)


def test_data_that_have_moved_are_named_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: Any, data: Path
) -> None:
    """Where they are is no part of the run; that they are the same is checked when they have been read."""
    options = stored(epoch=3, epochs=5)
    state = content(3, 5)
    state["training"]["options"] |= {"data": "gone/mine.yaml", "workers": 2}
    monkeypatch.setattr("models.weights.checkpoint.read_checkpoint", lambda path: state)
    with pytest.raises(UsageError, match=r"gone/mine\.yaml: no such data YAML.*; if they lie elsewhere now"):
        resume.continue_run(options)
    options.data = str(data)
    assert resume.continue_run(options)[0].data == str(data)
    state["training"]["options"]["data"] = "digits"
    assert resume.continue_run(options)[0].data == "digits"  # they are where they were
    options.workers_given, options.workers = True, 8  # the usual number, but given
    assert resume.continue_run(options)[0].workers == 8


def test_a_run_holds_what_files_said_that_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: Any
) -> None:
    """The checkpoint has the model, and hyp.yaml beside it the hyperparameters: the files may be on another machine."""
    options = stored(epoch=3, epochs=5)
    state = content(3, 5)
    gone = {"cfg": str(tmp_path / "mine.yaml"), "hyp": str(tmp_path / "hyp-mine.yaml")}
    state["training"] |= {"fingerprints": {"cfg": "a", "hyp": "b", "train": "c"}}
    state["training"]["options"] |= gone
    monkeypatch.setattr("models.weights.checkpoint.read_checkpoint", lambda path: state)
    own = tmp_path / "run" / "hyp.yaml"
    own.write_text("lr0: 0.02\n")
    saved, again, _ = resume.continue_run(options)
    assert (saved.cfg, saved.hyp) == ("", str(own))
    assert again["training"]["fingerprints"] == {"hyp": "b", "train": "c"}  # these are compared as always
    state["training"]["fingerprints"]["cfg"] = "a"
    for name in gone.values():
        Path(name).write_text("base: yolov5n\n")
    saved, again, _ = resume.continue_run(options)
    assert (saved.cfg, saved.hyp) == tuple(gone.values())  # they are there, and must be what they were
    assert again["training"]["fingerprints"]["cfg"] == "a"
