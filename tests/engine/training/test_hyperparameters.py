"""Hyperparameter files."""

from argparse import Namespace
from itertools import pairwise
from types import SimpleNamespace

import pytest

from engine.errors import UsageError
from engine.training.hyperparameters import FOLDER, UNUSED_KEYS, chosen, find, read, scaled_loss
from models.errors import SpecError
from models.upstream.training import get_cfg

LOSS = {"box", "cls", "cls_pw", "obj", "obj_pw", "anchor_t", "fl_gamma"}
# YOLOv5 v7.0 data/hyps: the values in which the three files differ.
DIFFERENT = {
    "low": {"lrf": 0.01, "cls": 0.5, "obj": 1.0, "scale": 0.5, "mixup": 0.0, "copy_paste": 0.0},
    "med": {"lrf": 0.1, "cls": 0.3, "obj": 0.7, "scale": 0.9, "mixup": 0.1, "copy_paste": 0.0},
    "high": {"lrf": 0.1, "cls": 0.3, "obj": 0.7, "scale": 0.9, "mixup": 0.1, "copy_paste": 0.1},
}
SAME = {"lr0": 0.01, "momentum": 0.937, "weight_decay": 0.0005, "warmup_epochs": 3.0, "warmup_momentum": 0.8}
SAME |= {"warmup_bias_lr": 0.1, "box": 0.05, "cls_pw": 1.0, "obj_pw": 1.0, "anchor_t": 4.0, "fl_gamma": 0.0}
SAME |= {"hsv_h": 0.015, "hsv_s": 0.7, "hsv_v": 0.4, "degrees": 0.0, "translate": 0.1, "shear": 0.0, "fliplr": 0.5}
SAME |= {"perspective": 0.0, "flipud": 0.0, "mosaic": 1.0}


@pytest.mark.parametrize("level", DIFFERENT)
def test_shipped_files_hold_yolov5s_values(level):
    hyp = read(f"v5-{level}", LOSS)
    assert {**hyp.engine, **hyp.loss} == SAME | DIFFERENT[level]


def test_every_shipped_file_is_readable_and_says_command_cost_and_result():
    for path in FOLDER.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert all(word in text for word in ("Command:", "Cost:", "Expected:"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("momentun: 0.9", "unknown key 'momentun'; did you mean 'momentum'?"),
        ("anchors: 3", "'anchors' belongs into the model YAML"),
        ("lr0: fast", "lr0: 'fast' is not a finite number"),
        ("lr0: .inf", "lr0: 'inf' is not a finite number"),
        ("lr0: true", "lr0: 'True' is not a finite number"),
        ("fl_gamma: -1", "fl_gamma: -1 is below 0"),
        ("anchor_t: 0.0", "write a number above 1"),
        ("- 1", "holds a list, expected a mapping"),
        ("", "is empty"),
        ("lr0: [", "not valid YAML"),
        ("lr0: !!python/object/apply:os.system ['true']", "not valid YAML"),
        ("lr0: 1" + "0" * 400, "holds an integer beyond"),
        ("lr0: 1" + "0" * 5000, "not valid YAML"),
        ("lr0: " + "[" * 100_000, "50 levels"),
        (
            "a: &a [1]\n" + "".join(f"{y}: &{y} [*{x}, *{x}]\n" for x, y in pairwise("abcdefghijklmnopqrstuvw")),
            "expanded",
        ),
    ],
)
def test_bad_files(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises((UsageError, SpecError)) as caught:
        read(str(path), LOSS)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_lists_the_shipped_ones():
    with pytest.raises(UsageError, match="v5-high, v5-low, v5-med"):
        find("v5-lwo")


def test_a_name_too_long_for_a_file_is_one_line():
    with pytest.raises(UsageError, match="no such file"):
        find("é" * 200)


def test_keys_that_nobody_reads_are_accepted(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("lr0: 0.02\n" + "".join(f"{key}: 0.2\n" for key in UNUSED_KEYS))
    hyp = read(str(path), LOSS)
    assert hyp.engine == {"lr0": 0.02}
    assert hyp.loss == {}


def test_gains_are_scaled_as_in_yolov5():
    # 4 levels, 20 classes, 320 px: box 3/4; cls 20/80 * 3/4; obj (320/640)^2 * 3/4
    scaled = scaled_loss({"box": 0.05, "cls": 0.5, "obj": 1.0, "anchor_t": 4.0}, 4, 20, 320)
    assert scaled == pytest.approx({"box": 0.0375, "cls": 0.09375, "obj": 0.1875, "anchor_t": 4.0})


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("hyp.scratch-low.yaml", "v5-low"),
        ("data/hyps/hyp.scratch-high.yaml", "v5-high"),
        ("hyp.scratch-med", "v5-med"),
        ("data/hyp.scratch.p5.yaml", "v7-p5"),
        ("hyp.scratch.tiny.yaml", "v7-tiny"),
    ],
)
def test_the_original_names_of_the_files_are_known(name, own):
    assert find(name) == FOLDER / f"{own}.yaml"


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hyp.scratch-low.yaml").write_text("lr0: 0.5\n")
    assert find("hyp.scratch-low.yaml").resolve() == tmp_path / "hyp.scratch-low.yaml"


def test_heads_of_ultralytics_get_the_settings_of_their_authors():
    hyp = read("ultralytics", ())
    assert hyp.loss == {}
    stock = vars(get_cfg())
    assert hyp.engine == {key: stock[key] for key in hyp.engine}
    assert {"box", "cls", "dfl", "lr0", "mosaic", "close_mosaic"} <= set(hyp.engine)


def test_few_images_get_the_settings_of_ultralytics_automatic_adamw_and_a_step_a_batch():
    automatic = {"lr0": round(0.002 * 5 / (4 + 3), 5), "momentum": 0.9, "warmup_bias_lr": 0.0}  # of three classes
    assert read("ultralytics-small", ()).engine == read("ultralytics", ()).engine | automatic | {"nbs": 8}


@pytest.mark.parametrize(
    ("name", "loss_keys", "message"),
    [
        (
            "v5-low",
            (),
            "'cls_pw' belongs to YOLOv5's and YOLOv7's losses, and its 'box' has another scale; for a head of",
        ),
        ("v7-tiny", (), "leave --hyp out, or write --hyp ultralytics or a copy of that file"),
        ("ultralytics", LOSS, "'dfl' belongs to the losses of ultralytics' heads, and its 'box' has another scale"),
    ],
)
def test_a_file_for_another_loss_is_refused(name, loss_keys, message):
    with pytest.raises(UsageError) as caught:
        read(name, loss_keys)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_file_is_chosen_by_the_head():
    for hyp, name in (
        ({}, "ultralytics"),
        ({"label_smoothing": 0.0}, "ultralytics"),
        (dict.fromkeys(LOSS, 1.0), "v5-low"),
    ):
        options = Namespace(hyp=None, label_smoothing=0.0)
        assert chosen(options, SimpleNamespace(hyp=hyp)) == read(name, set(hyp) - {"label_smoothing"})
        assert options.hyp == name
    with pytest.raises(UsageError, match="--label-smoothing"):
        chosen(Namespace(hyp=None, label_smoothing=0.1), SimpleNamespace(hyp={}))


def test_a_momentum_that_adam_cannot_have_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("momentum: 1.0\n")
    model = SimpleNamespace(hyp=dict.fromkeys(LOSS, 1.0))
    options = Namespace(hyp=str(path), label_smoothing=0.0, optimizer="SGD")
    assert chosen(options, model).engine == {"momentum": 1.0}
    options.optimizer = "AdamW"
    with pytest.raises(UsageError, match=r"momentum: 1\.0 is Adam's beta1"):
        chosen(options, model)
