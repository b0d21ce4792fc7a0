"""YOLOv5's flags, their defaults, and what is said about those that mean nothing here."""

import re

import pytest

from engine.cli.detect_flags import DETECT_REPLACED, detect_parser
from engine.cli.export_flags import export_parser
from engine.cli.train_flags import TRAIN_REPLACED, train_parser
from engine.cli.val_flags import VAL_REPLACED, val_parser
from engine.errors import UsageError

# Defaults of YOLOv5 v7.0 for the flags that are kept.
TRAIN = {"epochs": 100, "batch_size": 16, "imgsz": 640, "rect": False, "resume": False, "nosave": False, "noval": False}
TRAIN |= {
    "noautoanchor": False,
    "noplots": False,
    "cache": None,
    "device": "",
    "multi_scale": False,
    "single_cls": False,
}
TRAIN |= {"optimizer": "SGD", "workers": 8, "name": "exp", "exist_ok": False, "cos_lr": False, "label_smoothing": 0.0}
TRAIN |= {"patience": 100, "freeze": [0], "save_period": -1, "seed": 0, "project": "runs/train"}
VAL = {
    "batch_size": 32,
    "imgsz": None,  # the checkpoint's
    "conf_thres": 0.001,
    "iou_thres": 0.6,
    "max_det": 300,
    "task": "val",
    "workers": 8,
}
VAL |= {"augment": False, "save_txt": False, "save_conf": False, "save_json": False, "half": False, "dnn": False}
DETECT = {"imgsz": None, "conf_thres": 0.25, "iou_thres": 0.45, "max_det": 1000, "view_img": False, "save_txt": False}
DETECT |= {"save_csv": False, "save_conf": False, "save_crop": False, "nosave": False, "classes": None, "vid_stride": 1}
DETECT |= {"agnostic_nms": False, "augment": False, "visualize": False, "line_thickness": 3, "hide_labels": False}
DETECT |= {"hide_conf": False, "half": False, "dnn": False, "project": "runs/detect"}


@pytest.mark.parametrize(("make", "expected"), [(train_parser, TRAIN), (val_parser, VAL), (detect_parser, DETECT)])
def test_defaults_are_yolov5s(make, expected):
    options = vars(make().parse_args([]))
    assert {key: options[key] for key in expected} == expected


@pytest.mark.parametrize("argv", [["--img", "320"], ["--img-size", "320"], ["--imgsz", "320"], ["--imgsz=320"]])
def test_image_size_has_yolov5s_names(argv):
    assert train_parser().parse_args(argv).imgsz == 320


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["--batch", "8"], "batch_size", 8),
        (["--batch-size", "-1"], "batch_size", -1),
        (["--cache"], "cache", "ram"),
        (["--resume"], "resume", True),
        (["--resume", "a.pt"], "resume", "a.pt"),
        (["--freeze", "0", "1", "2"], "freeze", [0, 1, 2]),
        (["--attention", "CBAM@neck.P3", "SE@4"], "attention", ["CBAM@neck.P3", "SE@4"]),
        (["--weights", ""], "weights", ""),
        (["--img", "640", "640"], "imgsz", 640),  # as YOLOv7's own commands write it
    ],
)
def test_values(argv, name, value):
    assert getattr(train_parser().parse_args(argv), name) == value


@pytest.mark.parametrize(
    ("make", "table"), [(train_parser, TRAIN_REPLACED), (val_parser, VAL_REPLACED), (detect_parser, DETECT_REPLACED)]
)
def test_flags_without_a_meaning_name_their_replacement(make, table):
    for flag, instead in table.items():
        with pytest.raises(UsageError) as caught:
            make().parse_args([flag, "1"])
        assert str(caught.value) == f"{flag} is a flag of YOLOv5 that has no meaning here: {instead}"


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--epoch", "3"], "unknown argument '--epoch'; did you mean --epochs?"),
        (["stray"], "unknown argument 'stray'"),
        (["--weights", "a.pt", "b.pt"], "unknown argument 'b.pt': --weights takes one value"),
        (["--rect", "True"], "unknown argument 'True': --rect takes no value: write it alone"),
        (["--single-cls=True"], "--single-cls takes no value: write it alone"),
        (["--img", "640", "480"], "640 480: give one number, the longer side"),
        (["--local-rank=0"], "start by torchrun"),  # as torch.distributed.launch writes it
        (["--cache_images"], "use --cache"),
        (["--epochs", "0"], "'0' is not a whole number of at least 1"),
        (["--seed", str(1 << 31)], "is not a whole number from 0 to 2147483647"),
        (["--epochs", "many"], "'many' is not a whole number of at least 1"),
        (["--batch-size", "0"], "'0' is not a whole number of at least 1, or -1"),
        (["--optimizer", "LION"], "invalid choice: 'LION'"),
        (["--attention-lr", "-1"], "'-1' is not a number above 0"),
    ],
)
def test_wrong_values(argv, text):
    with pytest.raises(UsageError) as caught:
        train_parser().parse_args(argv)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_evaluator_can_be_chosen():
    from metrics.coco import EVALUATORS

    assert [val_parser().parse_args(["--evaluator", name]).evaluator for name in EVALUATORS] == list(EVALUATORS)
    with pytest.raises(UsageError, match="invalid choice: 'coco'"):
        val_parser().parse_args(["--evaluator", "coco"])


def test_help_shows_defaults_that_say_something():
    text = " ".join(train_parser().format_help().split())
    for noise in ("(default: None)", "(default: False)", "(default: )", "(default: [])"):
        assert noise not in text
    assert "-1 fits the memory (default: 16)" in text
    for twice in ("(0.05) (default", "(default: none) (default", "as many as help (default: 8)"):
        assert twice not in text + " ".join(export_parser().format_help().split())
    assert "--epochs EPOCHS passes over the training images; with --resume: more of them (default: 100)" in text


def test_a_hyperparameter_as_a_flag_names_the_file():
    with pytest.raises(UsageError) as caught:
        train_parser().parse_args(["--lr0", "0.001"])
    assert str(caught.value) == (
        "--lr0 is a hyperparameter: copy cfg/hyp/v5-low.yaml, set lr0 there, and give the copy as --hyp FILE"
    )


@pytest.mark.parametrize(
    ("make", "flag", "text"),
    [
        (train_parser, "--adam", "YOLOv5 that has no meaning here: use --optimizer Adam"),
        (train_parser, "--notest", "YOLOv5 that has no meaning here: use --noval"),
        (train_parser, "--v5-metric", "YOLOv7 that has no meaning here: leave it out"),
        (val_parser, "--no-trace", "YOLOv7 that has no meaning here: leave it out"),
        (detect_parser, "--no-trace", "YOLOv7 that has no meaning here: leave it out"),
        (export_parser, "--grid", "YOLOv7 that has no meaning here: leave it out"),
        (export_parser, "--end2end", "YOLOv7 that has no meaning here: use --nms"),
    ],
)
def test_older_flags_name_their_true_replacement(make, flag, text):
    with pytest.raises(UsageError, match=f"^{flag} is a flag of {text}"):
        make().parse_args([flag])


# All flags of YOLOv5 v1.0 to v7.0 (train, test or val, detect, export) and of YOLOv7.
OLDER = {
    train_parser: "weights cfg data hyp epochs batch-size batch img-size img imgsz rect resume nosave notest noval "
    "noautoanchor noplots evolve evolve_population resume_evolve bucket cache-images cache image-weights device "
    "multi-scale single-cls adam optimizer sync-bn local_rank global_rank total-batch-size workers project entity "
    "name exist-ok quad linear-lr cos-lr label-smoothing patience freeze upload_dataset bbox_interval save_period "
    "save-period seed artifact_alias ndjson-console ndjson-file v5-metric logdir log-imgs log-artifacts",
    val_parser: "weights data batch-size batch img-size img imgsz conf-thres iou-thres max-det task device workers "
    "single-cls augment verbose save-txt save-hybrid save-conf save-json save-dir project name exist-ok half dnn "
    "merge no-trace v5-metric",
    detect_parser: "weights source data img-size img imgsz conf-thres iou-thres max-det device view-img save-img "
    "save-txt save-csv save-format save-conf save-crop save-dir output nosave classes agnostic-nms augment visualize "
    "update project name exist-ok line-thickness hide-labels hide-conf half dnn vid-stride no-trace",
    export_parser: "weights data img-size img imgsz batch-size device half inplace keras optimize int8 per-tensor "
    "dynamic cache simplify opset verbose workspace nms agnostic-nms topk-per-class topk-all iou-thres conf-thres "
    "include train grid dynamic-batch end2end max-wh include-nms fp16",
}


@pytest.mark.parametrize("make", OLDER)
def test_every_older_flag_is_taken_or_answered(make):
    parser = make()
    taken = {option for action in parser._actions for option in action.option_strings}
    answered = parser.replaced | parser.replaced_v7
    assert [flag for flag in OLDER[make].split() if f"--{flag}" not in taken | set(answered)] == []
    assert not taken & set(answered)
    for flag, instead in answered.items():
        named = set(re.findall(r"--[\w-]+", instead))
        elsewhere = {option for action in detect_parser()._actions for option in action.option_strings}
        assert named <= taken | (elsewhere if "detect.py" in instead else set()), flag


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["--optimizer", "adam"], "optimizer", "Adam"),
        (["--optimizer", "ADAMW"], "optimizer", "AdamW"),
        (["--optimizer", "sgd"], "optimizer", "SGD"),
        (["--amp", "BF16"], "amp", "bf16"),
        (["--cache", "RAM"], "cache", "ram"),
        (["--train-only", "Attention"], "train_only", "attention"),
    ],
)
def test_names_are_taken_in_any_case(argv, name, value):
    assert getattr(train_parser().parse_args(argv), name) == value


@pytest.mark.parametrize(
    ("make", "argv", "name", "value"),
    [
        (train_parser, "--attention CBAM@4 --attention SE@6 ECA@9", "attention", ["CBAM@4", "SE@6", "ECA@9"]),
        (detect_parser, "--maps cam --maps features", "maps", ["cam", "features"]),
        (detect_parser, "--layer 4 --layer 6", "layer", ["4", "6"]),
        (detect_parser, "--class cat --class dog", "map_classes", ["cat", "dog"]),
        (detect_parser, "--classes 0 --classes 2 3", "classes", [0, 2, 3]),
        (detect_parser, "--source a.jpg --source b.jpg", "source", ["a.jpg", "b.jpg"]),
        (export_parser, "--include onnx --include torchscript", "include", ["onnx", "torchscript"]),
    ],
)
def test_a_list_given_twice_is_one_list(make, argv, name, value):
    """Of two --attention the first would else be dropped without a word."""
    assert getattr(make().parse_args(argv.split()), name) == value
    assert not getattr(make().parse_args([]), name)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("engine", "'engine' of YOLOv5 is not written here: use tensorrt"),
        ("saved_model", "use tflite"),
        ("torchscript,onnx", "separate formats by spaces, torchscript onnx"),
    ],
)
def test_formats_as_yolov5_writes_them(text, answer):
    with pytest.raises(UsageError, match=answer):
        export_parser().parse_args(["--include", text])
