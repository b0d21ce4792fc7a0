"""Flags of detect.py: YOLOv5's names and defaults, and our own. No heavy imports."""

from engine.cli.older_flags import DETECT_V5, DETECT_V7
from engine.cli.parser import (
    Parser,
    add_attention_flags,
    add_image_size_flag,
    add_model_flags,
    add_reduced_flag,
    add_run_flags,
    add_slice_flags,
    add_stretch_flag,
    any_case,
    fraction,
    non_negative_int,
    positive_int,
)

TRACKERS = ("bytetrack", "botsort")
DETECT_REPLACED = DETECT_V5 | {
    "--update": "checkpoints of ours need no update; leave it out",
    "--save-format": "labels are written as x y w h (normalised); --save-csv has pixel corners",
}


def detect_parser() -> Parser:
    """Return the parser of detect.py."""
    parser = Parser(
        prog="detect.py",
        description="Find objects in images, videos and streams. Without any argument: digits in test images.",
        replaced=DETECT_REPLACED,
        replaced_v7=DETECT_V7,
    )
    add_model_flags(parser, "checkpoint or exported model", exported=True)
    add_attention_flags(parser)
    group = parser.add_argument_group("input")
    group.add_argument(
        "--source",
        nargs="+",
        action="extend",
        default=None,
        help="image, video, folder, glob, .txt list, webcam number, or rtsp/http address",
    )
    group.add_argument(
        "--data", default=None, metavar="YAML", help="data set whose class names are shown instead of the model's"
    )
    group.add_argument(
        "--data-root", default=None, metavar="DIR", help="where that data set lies, if not where its YAML says"
    )
    group.add_argument("--vid-stride", type=positive_int, default=1, help="every N-th frame of a video")
    add_stretch_flag(group)
    add_reduced_flag(group)
    group = parser.add_argument_group("detection")
    add_image_size_flag(group, None, "longer side, or height and width; by default as the checkpoint was trained")
    group.add_argument("--conf-thres", "--conf", type=fraction, default=0.25, help="confidence threshold")
    group.add_argument("--iou-thres", "--iou", type=fraction, default=0.45, help="IoU threshold of NMS")
    group.add_argument("--max-det", type=positive_int, default=1000, help="boxes per image")
    group.add_argument("--batch-size", "--batch", type=positive_int, default=1, help="images at once")
    add_slice_flags(group, "looked at, their boxes joined")
    group.add_argument(
        "--classes", nargs="+", action="extend", type=non_negative_int, default=None, help="only these class numbers"
    )
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
    group.add_argument(
        "--track",
        type=any_case(*TRACKERS),
        choices=TRACKERS,
        default=None,
        help="number objects from frame to frame of a video; needs lap",
    )
    group = parser.add_argument_group("output")
    group.add_argument("--view-img", action="store_true", help="show the results in a window")
    group.add_argument("--save-txt", action="store_true", help="write boxes as YOLO text")
    group.add_argument("--save-csv", action="store_true", help="write all boxes into one table, predictions.csv")
    group.add_argument("--save-conf", action="store_true", help="with --save-txt: the confidence as sixth column")
    group.add_argument("--save-crop", action="store_true", help="write every box as an image of its own")
    group.add_argument(
        "--save-dataset", default=None, metavar="DIR", help="write a data set for train.py: images, labels, data.yaml"
    )
    group.add_argument("--dataset-images", choices=["copy", "link"], default="copy", help="of that data set")
    group.add_argument("--nosave", action="store_true", help="write no images or videos")
    group.add_argument("--line-thickness", type=positive_int, default=3, help="pixels")
    group.add_argument("--hide-labels", action="store_true", help="draw boxes without classes")
    group.add_argument("--hide-conf", action="store_true", help="draw boxes without confidences")
    group = parser.add_argument_group("maps of what the model does inside")
    group.add_argument(
        "--maps",
        nargs="+",
        action="extend",
        choices=["gates", "cam", "features"],
        default=[],
        help="gate values of attention; what speaks for the boxes (needs grad-cam); features",
    )
    group.add_argument(
        "--layer",
        nargs="+",
        action="extend",
        default=[],
        metavar="SELECTOR",
        help="of which layers: CBAM, neck.P3, a row; all attention, or what the head reads, if not given",
    )
    group.add_argument(
        "--class",
        dest="map_classes",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="with cam: of which classes' boxes",
    )
    group.add_argument("--pdf", action="store_true", help="write the maps of images as PDF too")
    group.add_argument("--visualize", action="store_true", help="as in YOLOv5: the same as --maps features")
    add_run_flags(parser, "detect")
    return parser
