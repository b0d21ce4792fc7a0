"""Flags of export.py. No heavy imports."""

import argparse

from engine.cli.older_flags import EXPORT_V5, EXPORT_V7
from engine.cli.parser import (
    DEVICES,
    OneNumberOrSeveral,
    Parser,
    add_attention_flags,
    add_image_size_flag,
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


V5_FORMATS = {"engine": "tensorrt", **dict.fromkeys(("saved_model", "pb", "edgetpu", "tfjs"), "tflite")}


def _format(text: str) -> str:
    """Return the format that a text names, whatever its case; others are left to the check of choices.

    Raises:
        ArgumentTypeError: for several in one word, and for those of YOLOv5 that have another name or nearest form.
    """
    if "," in text:
        raise argparse.ArgumentTypeError(f"'{text}': separate formats by spaces, {text.replace(',', ' ')}")
    if text.lower() in V5_FORMATS:
        raise argparse.ArgumentTypeError(f"'{text}' of YOLOv5 is not written here: use {V5_FORMATS[text.lower()]}")
    return any_case(*FORMATS, HUGGINGFACE)(text)


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
        type=_format,
        choices=[*FORMATS, HUGGINGFACE],
        default=[],
        help="formats to write",
    )
    parser.add_argument(
        "--study", default=None, metavar="DIR", help="for huggingface: study whose verdicts the model card tells"
    )
    add_image_size_flag(parser, None, "pixels of a side; by default as the checkpoint was trained", OneNumberOrSeveral)
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
    parser.add_argument("--device", default="", help=f"{DEVICES}; not given: the CPU, for tensorrt the first GPU")
    parser.add_argument("--output", default=None, metavar="DIR", help="folder of the results; that of FILE by default")
    return parser
