"""Flags of val.py: YOLOv5's names and defaults, and our own. No heavy imports."""

from engine.cli.older_flags import VAL_V5, VAL_V7
from engine.cli.parser import (
    OneNumber,
    Parser,
    add_attention_flags,
    add_data_flags,
    add_image_size_flag,
    add_model_flags,
    add_run_flags,
    add_slice_flags,
    fraction,
    non_negative_int,
    positive_int,
)

VAL_REPLACED = VAL_V5 | {
    "--save-hybrid": "use --save-txt --save-conf",
}


def val_parser() -> Parser:
    """Return the parser of val.py."""
    parser = Parser(
        prog="val.py",
        description="Measure a detector on a data set. Without any argument: the digits weights on the digits.",
        replaced=VAL_REPLACED,
        replaced_v7=VAL_V7,
    )
    add_model_flags(parser, "checkpoint or exported model", exported=True)
    add_attention_flags(parser)
    add_data_flags(parser)
    group = parser.add_argument_group("measurement")
    group.add_argument("--batch-size", "--batch", type=positive_int, default=32, help="images at once")
    add_image_size_flag(group, None, "pixels of the longer side; by default as the checkpoint was trained", OneNumber)
    group.add_argument(
        "--conf-thres", "--conf", type=fraction, default=0.001, help="boxes below this confidence do not count"
    )
    group.add_argument("--iou-thres", "--iou", type=fraction, default=0.6, help="IoU threshold of NMS")
    group.add_argument("--max-det", type=positive_int, default=300, help="boxes per image")
    add_slice_flags(group, "looked at, their boxes joined")
    group.add_argument("--square", action="store_true", help="pad to squares, as exported models of one size need")
    group.add_argument(
        "--task", choices=["train", "val", "test", "speed"], default="val", help="which split; speed: times only"
    )
    group.add_argument("--workers", type=non_negative_int, default=8, help="loader processes at most")
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
    group.add_argument("--pdf", action="store_true", help="write curves and the confusion matrix as PDF too")
    add_run_flags(parser, "val")
    return parser
