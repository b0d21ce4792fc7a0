"""Flags of train.py, val.py and detect.py: YOLOv5's names and defaults, and our own. No heavy imports."""

import argparse
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from engine.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]
RUNS = Path("runs")  # below the folder that the command is run from, as YOLOv5 does

# Flags of YOLOv5 that mean nothing here, and what does the job instead.
TRAIN_REPLACED = {
    "--evolve": "compare hyperparameter files with study.py",
    "--evolve_population": "compare hyperparameter files with study.py",
    "--resume_evolve": "compare hyperparameter files with study.py",
    "--bucket": "copy runs/ with your own tool; nothing is uploaded from here",
    "--image-weights": "balance classes with cls_pw in a --hyp file, or repeat pictures in the data set",
    "--quad": "use a larger --imgsz or --batch-size",
    "--entity": "set WANDB_ENTITY, and YOLO_ATTENTION_LOGGERS=wandb to log there",
    "--upload_dataset": "nothing is uploaded from here; leave it out",
    "--bbox_interval": "set YOLO_ATTENTION_LOGGERS=wandb to log there",
    "--artifact_alias": "set YOLO_ATTENTION_LOGGERS=wandb to log there",
    "--local_rank": "torchrun sets LOCAL_RANK by itself; leave it out",
    "--ndjson-console": "read results.csv in the run folder",
    "--ndjson-file": "read results.csv in the run folder",
}
VAL_REPLACED = {
    "--save-hybrid": "use --save-txt --save-conf",
}
DETECT_REPLACED = {
    "--update": "checkpoints of ours need no update; leave it out",
    "--save-format": "labels are written as x y w h (normalised); --save-csv has pixel corners",
}


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are UsageErrors of one line, and that knows what became of YOLOv5's other flags."""

    def __init__(self, prog: str, description: str, replaced: dict[str, str] | None = None) -> None:
        shows_defaults = argparse.ArgumentDefaultsHelpFormatter
        super().__init__(prog, description=description, allow_abbrev=False, formatter_class=shows_defaults)
        self.replaced = replaced or {}

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        raise UsageError(f"{message}; `{self.prog} --help` lists the flags")

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse, and say for each unknown flag what to write instead.

        Raises:
            UsageError: for anything that cannot be parsed.
        """
        options, rest = self.parse_known_args(args, namespace)
        for word in rest:
            flag = word.split("=")[0]
            if flag in self.replaced:
                raise UsageError(f"{flag} is a flag of YOLOv5 that has no meaning here: {self.replaced[flag]}")
            known = [name for action in self._actions for name in action.option_strings]
            near = get_close_matches(flag, known, n=1)
            hint = f"; did you mean {near[0]}?" if near and flag.startswith("-") else ""
            raise UsageError(f"unknown argument '{word}'{hint} (`{self.prog} --help` lists the flags)")
        return options


def _number(kind: Callable[[str], Any], fits: Callable[[Any], bool], expected: str) -> Callable[[str], Any]:
    """Return an argparse type whose complaint names what it expected."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"'{text}' is not {expected}")
        return value

    return parse


_positive = _number(int, lambda value: value >= 1, "a whole number of at least 1")
_count = _number(int, lambda value: value >= 0, "a whole number of at least 0")
_integer = _number(int, lambda value: True, "a whole number")
_batch = _number(int, lambda value: value >= 1 or value == -1, "a whole number of at least 1, or -1 to fit the memory")
_fraction = _number(float, lambda value: 0 <= value <= 1, "a number between 0 and 1")
_factor = _number(float, lambda value: 0 < value < float("inf"), "a number above 0")


def _add_model(parser: Parser, weights_help: str, exported: bool = False) -> None:
    group = parser.add_argument_group("model")
    group.add_argument("--weights", default=None, metavar="FILE", help=weights_help)
    group.add_argument(
        "--download", action="store_true", help="allow fetching official weights or data sets that are not on disk"
    )
    if exported:
        group.add_argument(
            "--trust", action="store_true", help="load --weights even if it is a program (.torchscript, .engine)"
        )


def _add_attention(parser: Parser) -> Any:
    group = parser.add_argument_group("attention")
    group.add_argument("--cfg", default="", metavar="YAML", help="model YAML or name; wins over the checkpoint's own")
    group.add_argument(
        "--attention",
        nargs="+",
        default=[],
        metavar="NAME@PLACE",
        help="for example CBAM@neck.P3,neck.P4 SE@backbone.C3",
    )
    group.add_argument("--identity", action="store_true", help="start every mechanism as the identity (x + 0 * change)")
    group.add_argument(
        "--plugin", action="append", default=[], metavar="FILE", help="a Python file of your own mechanisms; it is run"
    )
    return group


def _add_data(parser: Parser) -> None:
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data", default=None, metavar="YAML", help="data set: a YAML, a folder, or the name of one in data/"
    )
    group.add_argument(
        "--data-root", default=None, metavar="DIR", help="where the data set lies, if not where its YAML says"
    )
    group.add_argument("--single-cls", action="store_true", help="treat all classes as one")


def _add_run(parser: Parser, task: str) -> None:
    group = parser.add_argument_group("run")
    group.add_argument("--device", default="", help="cpu, or a GPU's number; empty takes the first GPU if there is one")
    group.add_argument("--project", default=str(RUNS / task), metavar="DIR", help="folder for runs")
    group.add_argument("--name", default="exp", help="name of this run's folder")
    group.add_argument("--exist-ok", action="store_true", help="write into an existing folder of that name")


def train_parser() -> Parser:
    """Return the parser of train.py."""
    parser = Parser(
        prog="train.py",
        description="Train a detector. Without any argument: fine-tune yolov5n on the digits for a few epochs.",
        replaced=TRAIN_REPLACED,
    )
    _add_model(parser, "start from this checkpoint (ours, or an official YOLOv5/YOLOv7 .pt); '' starts from scratch")
    _add_data(parser)
    group = _add_attention(parser)
    group.add_argument("--train-only", choices=["attention"], default=None, help="freeze everything else")
    group.add_argument(
        "--attention-lr", type=_factor, default=1.0, metavar="FACTOR", help="learning rate of attention, relative"
    )
    group.add_argument(
        "--strict-transfer", action="store_true", help="stop unless every unchanged tensor is taken over"
    )
    group.add_argument(
        "--transfer-report", default=None, metavar="FILE", help="write what became of every tensor, as JSON"
    )
    group = parser.add_argument_group("training")
    group.add_argument("--hyp", default="v5-low", metavar="YAML", help="hyperparameters: a file, or a name in cfg/hyp/")
    group.add_argument("--epochs", type=_positive, default=100)
    group.add_argument("--batch-size", "--batch", type=_batch, default=16, help="-1 fits the memory")
    group.add_argument("--imgsz", "--img", "--img-size", type=_positive, default=640, help="pixels of the longer side")
    group.add_argument("--rect", action="store_true", help="rectangular batches: less padding, no mosaic, no shuffling")
    group.add_argument(
        "--resume", nargs="?", const=True, default=False, metavar="FILE", help="continue the latest run, or FILE"
    )
    group.add_argument(
        "--cache",
        nargs="?",
        const="ram",
        choices=["auto", "ram", "off"],
        default=None,
        help="ram keeps pictures in memory, off never does, auto (the default) where they fit easily",
    )
    group.add_argument("--multi-scale", action="store_true", help="vary the size of each batch by 50 %%")
    group.add_argument("--optimizer", choices=["SGD", "Adam", "AdamW"], default="SGD")
    group.add_argument("--cos-lr", action="store_true", help="cosine learning rate instead of linear")
    group.add_argument("--label-smoothing", type=_fraction, default=0.0)
    group.add_argument(
        "--patience", type=_count, default=100, help="epochs without a better result before stopping; 0 never stops"
    )
    group.add_argument(
        "--freeze", nargs="+", type=_count, default=[0], help="first N rows of the base, or several rows by number"
    )
    group.add_argument("--save-period", type=_integer, default=-1, help="keep a checkpoint every N epochs")
    group.add_argument("--seed", type=_count, default=0)
    group.add_argument("--workers", type=_count, default=8, help="loader processes at most")
    group.add_argument("--amp", choices=["auto", "off", "bf16", "fp16"], default="auto", help="arithmetic of training")
    group.add_argument(
        "--sync-bn", action="store_true", help="with torchrun on GPUs: batch statistics over all processes"
    )
    group.add_argument("--noautoanchor", action="store_true", help="keep the anchors of the model")
    group.add_argument("--noval", action="store_true", help="validate the last epoch only")
    group.add_argument("--nosave", action="store_true", help="write the last epoch's checkpoint only")
    group.add_argument("--noplots", action="store_true", help="draw nothing")
    _add_run(parser, "train")
    return parser


def val_parser() -> Parser:
    """Return the parser of val.py."""
    parser = Parser(
        prog="val.py",
        description="Measure a detector on a data set. Without any argument: the digits weights on the digits.",
        replaced=VAL_REPLACED,
    )
    _add_model(parser, "checkpoint or exported model", exported=True)
    _add_attention(parser)
    _add_data(parser)
    group = parser.add_argument_group("measurement")
    group.add_argument("--batch-size", "--batch", type=_positive, default=32)
    group.add_argument("--imgsz", "--img", "--img-size", type=_positive, default=640, help="pixels of the longer side")
    group.add_argument(
        "--conf-thres", "--conf", type=_fraction, default=0.001, help="boxes below this confidence do not count"
    )
    group.add_argument("--iou-thres", "--iou", type=_fraction, default=0.6, help="overlap at which NMS drops a box")
    group.add_argument("--max-det", type=_positive, default=300, help="boxes per picture")
    group.add_argument("--square", action="store_true", help="pad to squares, as exported models of one size need")
    group.add_argument(
        "--task", choices=["train", "val", "test", "speed"], default="val", help="which split; speed: times only"
    )
    group.add_argument("--workers", type=_count, default=8, help="loader processes at most")
    group.add_argument("--augment", action="store_true", help="test-time augmentation")
    group.add_argument("--per-class", "--verbose", action="store_true", help="a row for every class, however many")
    group.add_argument(
        "--voc07", action="store_true", help="show VOC2007's 11-point AP in the table, not the area form"
    )
    group.add_argument(
        "--evaluator",
        choices=["table", "faster-coco-eval", "pycocotools"],
        default="table",
        help="who computes COCO's numbers: our table of matches, or a library for a second opinion",
    )
    group.add_argument("--half", action="store_true", help="fp16 (GPUs)")
    group.add_argument("--dnn", action="store_true", help="OpenCV DNN for ONNX files")
    group = parser.add_argument_group("output")
    group.add_argument("--save-txt", action="store_true", help="write boxes as YOLO text")
    group.add_argument("--save-conf", action="store_true", help="with --save-txt: the confidence as sixth column")
    group.add_argument("--save-json", action="store_true", help="write boxes as COCO JSON")
    group.add_argument("--noplots", action="store_true", help="draw nothing")
    _add_run(parser, "val")
    return parser


def detect_parser() -> Parser:
    """Return the parser of detect.py."""
    parser = Parser(
        prog="detect.py",
        description="Find objects in pictures, videos and streams. Without any argument: digits in test pictures.",
        replaced=DETECT_REPLACED,
    )
    _add_model(parser, "checkpoint or exported model", exported=True)
    _add_attention(parser)
    group = parser.add_argument_group("input")
    group.add_argument(
        "--source",
        nargs="+",
        default=None,
        help="picture, video, folder, glob, .txt list, webcam number, or rtsp/http address",
    )
    group.add_argument(
        "--data", default=None, metavar="YAML", help="data set whose class names an exported model without names takes"
    )
    group.add_argument(
        "--data-root", default=None, metavar="DIR", help="where that data set lies, if not where its YAML says"
    )
    group.add_argument("--vid-stride", type=_positive, default=1, help="every N-th frame of a video")
    group = parser.add_argument_group("detection")
    group.add_argument(
        "--imgsz",
        "--img",
        "--img-size",
        nargs="+",
        type=_positive,
        default=[640],
        help="longer side, or height and width",
    )
    group.add_argument("--conf-thres", "--conf", type=_fraction, default=0.25, help="least confidence")
    group.add_argument("--iou-thres", "--iou", type=_fraction, default=0.45, help="overlap at which NMS drops a box")
    group.add_argument("--max-det", type=_positive, default=1000, help="boxes per picture")
    group.add_argument("--batch-size", "--batch", type=_positive, default=1, help="pictures at once")
    group.add_argument("--classes", nargs="+", type=_count, default=None, help="only these class numbers")
    group.add_argument("--agnostic-nms", action="store_true", help="boxes of different classes suppress each other")
    group.add_argument("--augment", action="store_true", help="test-time augmentation")
    group.add_argument("--half", action="store_true", help="fp16 on GPUs, bfloat16 in OpenVINO")
    group.add_argument(
        "--backend",
        choices=["auto", "torch", "onnx", "openvino", "tensorrt"],
        default="auto",
        help="what runs the model; auto: the fastest that is installed and computes the same",
    )
    group.add_argument("--dnn", action="store_true", help="OpenCV DNN for ONNX files")
    group.add_argument("--profile", action="store_true", help="show the time by stage")
    group = parser.add_argument_group("output")
    group.add_argument("--view-img", action="store_true", help="show the results in a window")
    group.add_argument("--save-txt", action="store_true", help="write boxes as YOLO text")
    group.add_argument("--save-csv", action="store_true", help="write all boxes into one table, predictions.csv")
    group.add_argument("--save-conf", action="store_true", help="with --save-txt: the confidence as sixth column")
    group.add_argument("--save-crop", action="store_true", help="write every box as a picture of its own")
    group.add_argument("--nosave", action="store_true", help="write no pictures or videos")
    group.add_argument("--line-thickness", type=_positive, default=3, help="pixels")
    group.add_argument("--hide-labels", action="store_true")
    group.add_argument("--hide-conf", action="store_true")
    group.add_argument("--visualize", action="store_true", help="write heat maps of what the model looks at")
    _add_run(parser, "detect")
    return parser
