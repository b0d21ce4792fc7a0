"""Flags of export.py. No heavy imports."""

import argparse
from typing import Any

from engine.cli.older_flags import EXPORT_V5, EXPORT_V7
from engine.cli.parser import (
    DEVICE_HELP,
    Parser,
    add_attention_flags,
    add_model_flags,
    any_case,
    fraction,
    positive_float,
    positive_int,
)

# Formats, and what ultralytics' exporter calls them.
FORMATS = {
    "onnx": "onnx",
    "torchscript": "torchscript",
    "openvino": "openvino",
    "tensorrt": "engine",
    "coreml": "coreml",
    "ncnn": "ncnn",
    "tflite": "litert",
}
HUGGINGFACE = "huggingface"  # a folder of the checkpoint, not of another runtime


class _OneNumber(argparse.Action):
    """Take height and width that are the same, as YOLOv5 writes them, for the one number that they are."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Set the option: a number, or the numbers where they differ."""
        setattr(namespace, self.dest, values[0] if len(set(values)) == 1 else values)


def export_parser() -> Parser:
    """Return the parser of export.py."""
    parser = Parser(
        prog="export.py",
        description="Write the deploy form of a checkpoint, or files for other runtimes.",
        replaced=EXPORT_V5,
        replaced_v7=EXPORT_V7,
    )
    add_model_flags(parser, "checkpoint")
    add_attention_flags(parser)
    parser.add_argument("--reparameterize", action="store_true", help="training form → deploy form, as FILE-deploy.pt")
    parser.add_argument(
        "--tolerance", type=positive_float, default=2e-3, help="what a logit of the deploy form may differ by"
    )
    parser.add_argument(
        "--include",
        nargs="+",
        action="extend",
        type=any_case(*FORMATS, HUGGINGFACE),
        choices=[*FORMATS, HUGGINGFACE],
        default=[],
        help="formats to write",
    )
    parser.add_argument(
        "--study", default=None, metavar="DIR", help="for huggingface: study whose verdicts the model card tells"
    )
    size = "pixels of a side; by default as the checkpoint was trained"
    parser.add_argument(
        "--imgsz", "--img", "--img-size", nargs="+", type=positive_int, action=_OneNumber, default=None, help=size
    )
    parser.add_argument(
        "--batch-size", "--batch", type=positive_int, default=1, help="images that the file takes at a time"
    )
    parser.add_argument("--dynamic", action="store_true", help="let batch and size vary")
    parser.add_argument(
        "--opset", type=positive_int, default=None, help="ONNX operator set, 7 to 20; not given: as fits PyTorch"
    )
    parser.add_argument("--simplify", action="store_true", help="simplify the ONNX graph; needs onnxslim")
    parser.add_argument("--nms", action="store_true", help="let the file suppress overlapping boxes itself")
    parser.add_argument("--half", action="store_true", help="16-bit numbers, where the format has them")
    parser.add_argument("--int8", action="store_true", help="8-bit numbers: onnx, openvino (needs nncf), tensorrt")
    parser.add_argument("--data", default=None, metavar="YAML", help="for --int8: calibrated on train, measured on val")
    parser.add_argument("--data-root", default=None, metavar="DIR", help="where it lies, if not where its YAML says")
    parser.add_argument(
        "--max-drop", type=fraction, default=0.05, metavar="AP", help="for --int8: mAP50-95 that it may cost"
    )
    parser.add_argument("--device", default="", help=DEVICE_HELP)
    parser.add_argument("--output", default=None, metavar="DIR", help="folder of the results; that of FILE by default")
    return parser
