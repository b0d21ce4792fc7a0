"""`python -m engine.inspection.compare A.pt B.pt --source IMAGES`: what two models find differently, image by image."""

import json
import sys
import warnings
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data.errors import DataError
from data.image_files import image_io
from data.text_drawing import font_for, showable
from data.tool_parser import escape_unwritable
from engine.cli.detect_flags import detect_parser
from engine.cli.parser import DEVICE_HELP, Parser, fraction, positive_int
from engine.cli.run_folder import run_folder
from engine.datasets.splits import check_classes, load_data
from engine.detection.annotate import label
from engine.detection.file_list import is_live
from engine.detection.predictor import Predictor
from engine.detection.result import FrameDetections
from engine.errors import UsageError
from engine.inspection.box_changes import SAME_IOU, UNMOVED_IOU, Boxes, ImageChanges, Tally, compare_boxes
from engine.runtime.log import LOGGER, printable
from engine.runtime.paths import RUNS
from engine.trusted_files import SUFFIXES
from models.errors import CheckpointError, SpecError

LISTED = 20  # skipped inputs that are named

COLOURS = {"same": (150, 150, 150), "lost": (32, 32, 192), "gained": (55, 127, 26), "moved": (0, 160, 230)}  # BGR
SIDE = 640  # pixels of an image on the page at most


def compare_parser() -> Parser:
    """Return the parser of the command."""
    parser = Parser(prog="python -m engine.inspection.compare", description=__doc__ or "")
    parser.add_argument("first", metavar="A", help="checkpoint or exported model")
    parser.add_argument("second", metavar="B", help="another, with the same classes")
    parser.add_argument(
        "--source", nargs="+", action="extend", default=None, help="images, as for detect.py; else those of --data"
    )
    parser.add_argument("--data", default=None, metavar="YAML", help="data set whose boxes are the truth")
    parser.add_argument("--data-root", default=None, metavar="DIR", help="where it lies, if not where its YAML says")
    parser.add_argument("--task", choices=["train", "val", "test"], default="val", help="which split of --data")
    parser.add_argument("--imgsz", "--img", nargs="+", type=positive_int, default=None, help="as for detect.py")
    parser.add_argument("--conf-thres", "--conf", type=fraction, default=0.25, help="confidence threshold")
    parser.add_argument("--iou-thres", "--iou", type=fraction, default=0.45, help="IoU threshold of NMS")
    parser.add_argument("--show", type=positive_int, default=100, help="images on the page, those that changed most")
    parser.add_argument("--device", default="", help=DEVICE_HELP)
    parser.add_argument("--trust", action="store_true", help="load an exported program that was not written here")
    parser.add_argument("--project", default=str(RUNS / "compare"), metavar="DIR", help="folder for runs")
    parser.add_argument("--name", default="exp", help="name of this run's folder")
    parser.add_argument("--exist-ok", action="store_true", help="write into an existing folder of that name")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 2 the input is wrong (one line on standard error)."""
    escape_unwritable()
    warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated")  # TorchScript files are one format
    try:
        compare(compare_parser().parse_args(argv))
    except (UsageError, DataError, SpecError, CheckpointError) as error:
        sys.stderr.write(f"compare: {' '.join(str(error).split())}\n")
        return 2
    return 0


def compare(options: Namespace) -> dict[str, Any]:
    """Compare two models on the same images; write index.html, compare.json and the images.

    Returns:
        What compare.json holds.

    Raises:
        UsageError: if there is nothing to compare, or the models have other classes.
    """
    truths, true_names = _truths(options)
    if options.source is None and not truths:
        raise UsageError("--source is missing: name images, or a data set with --data")
    source = options.source or list(truths)
    _refuse_live(source)
    predictors = [_predictor(options, weights, source) for weights in (options.first, options.second)]
    names = predictors[0].backend.names
    if names != predictors[1].backend.names:
        raise UsageError(
            f"{options.first} and {options.second} have different classes; compare models with the same ones"
        )
    if true_names:
        check_classes(options.first, names, options.data, true_names)
    channels = [getattr(predictor.backend, "channels", 3) for predictor in predictors]
    if channels[0] != channels[1]:
        read = " and ".join(str(number) for number in channels)
        raise UsageError(
            f"{options.first} and {options.second} read {read} channels; compare models of the same images"
        )
    folder = run_folder(options.project, options.name, options.exist_ok)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    tally, entries = Tally(names), []
    for number, (before, after) in enumerate(zip(predictors[0].detections(), predictors[1].detections(), strict=True)):
        first, second = boxes_of(before), boxes_of(after)
        truth = truths.get(str(Path(before.frame.path).resolve()))
        changes = compare_boxes(first, second, truth)
        tally.add(first, second, changes)
        entries.append(_entry(number, before, changes) | ({"truth": truth is not None} if truths else {}))
        _keep_image(folder, entries, options.show, _drawn(before, after, changes))
    _say_skipped(predictors[0], bool(entries))
    known = sum(entry.get("truth", False) for entry in entries)
    if truths and known < len(entries):
        LOGGER.info(f"{known} of {len(entries)} images are among those of --data; of the others no truth is known")
    entries.sort(key=lambda entry: -entry["changes"])
    content = {
        "first": str(options.first),
        "second": str(options.second),
        "conf_thres": options.conf_thres,
        **tally.to_dict(),
        "images": entries,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"  # a name may have bytes that are no UTF-8
    (folder / "compare.json").write_text(text, encoding="utf-8", errors="backslashreplace")
    _write_page(folder, content, [entry for entry in entries if entry["file"]])
    total = tally.total
    LOGGER.info(f"{len(entries)} images: {', '.join(f'{count} {kind}' for kind, count in total.items())}")
    LOGGER.info(f"index.html and compare.json in {folder}")
    return content


def _refuse_live(source: Sequence[str]) -> None:
    """Refuse cameras and streams: each model would see frames of its own, so that no two could be compared.

    Raises:
        UsageError: naming it.
    """
    live = next((name for name in source if is_live(name)), None)
    if live is not None:
        raise UsageError(
            f"--source {live}: is a camera or stream, of which the two models would see different frames; "
            "record it and give the video"
        )


def _say_skipped(predictor: Predictor, used: bool) -> None:
    """Name each input that was skipped.

    Raises:
        UsageError: if nothing was used at all.
    """
    report = predictor.source.report
    if not used:
        raise report.nothing_usable("the source")
    skipped = report.skipped
    for name, reason in skipped[:LISTED]:
        LOGGER.info(printable(f"skipped: {name}: {reason}"))
    if len(skipped) > LISTED:
        LOGGER.info(f"skipped: {len(skipped) - LISTED} more")


def _predictor(options: Namespace, weights: str, source: Any) -> Predictor:
    settings = detect_parser().parse_args([])
    for name in ("imgsz", "conf_thres", "iou_thres", "device", "trust"):
        if getattr(options, name) is not None:
            setattr(settings, name, getattr(options, name))
    settings.backend = "auto" if str(weights).rstrip("/").endswith(SUFFIXES) else "torch"
    predictor = Predictor(settings, weights)
    predictor.open(source[0] if isinstance(source, list) and len(source) == 1 else source)
    return predictor


def _truths(options: Namespace) -> tuple[dict[str, Boxes], dict[int, str]]:
    """Return the objects of --data by the image's path, and class number → name."""
    if options.data is None:
        return {}, {}
    names, splits = load_data(options.data, (options.task,), options.data_root, False)
    truths = {
        str(record.path.resolve()): Boxes(record.boxes_xyxy, record.classes, np.ones(len(record.classes)))
        for record in splits[options.task].records
    }
    return truths, names


def boxes_of(detections: FrameDetections) -> Boxes:
    """Return the boxes of detections as they are compared."""
    return Boxes(detections.boxes.reshape(-1, 4), detections.classes, detections.scores)


def _entry(number: int, detections: FrameDetections, changes: ImageChanges) -> dict[str, Any]:
    """Return what compare.json says of one image."""
    frame = detections.frame
    name = Path(frame.path).name if frame.number is None else f"{Path(frame.path).name} frame {frame.number}"
    return {
        "name": name,
        "path": frame.path,
        "changes": changes.count,
        "gained": changes.after.count("gained"),
        "lost": changes.before.count("lost"),
        "moved": changes.after.count("moved"),
        "file": f"images/{number:06}.jpg" if changes.count else "",
    }


def _keep_image(folder: Path, entries: list[dict[str, Any]], limit: int, drawn: np.ndarray) -> None:
    """Write the newest entry's image if it is among those that changed most, and drop the least of them if need be."""
    if entries[-1]["file"]:
        image_io.write(folder / entries[-1]["file"], drawn)
    kept = [entry for entry in entries if entry["file"]]
    if len(kept) > limit:
        least = min(kept, key=lambda entry: entry["changes"])
        (folder / least["file"]).unlink()
        least["file"] = ""


def draw_changes(
    detections: FrameDetections, kinds: Sequence[str], side: int = SIDE, *, labels: bool = False
) -> np.ndarray:
    """Draw one model's boxes, each in the colour of its change.

    Args:
        detections: image and boxes; the image is not changed.
        kinds: of each box, "same", "moved", "lost" or "gained".
        side: pixels of the image drawn at most.
        labels: write classes and confidences.

    Returns:
        (h, w, 3) uint8 BGR.
    """
    image = np.ascontiguousarray(detections.image).copy()
    scale = min(1.0, side / max(image.shape[:2]))
    if scale < 1:
        size = max(1, round(scale * image.shape[1])), max(1, round(scale * image.shape[0]))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    font = font_for(detections.names) if labels else None
    boxes = zip(detections.boxes, detections.scores, detections.classes, kinds, strict=True)
    for box, score, number, kind in sorted(boxes, key=lambda entry: entry[3] != "same"):
        left, top, right, bottom = (round(float(value) * scale) for value in box)
        cv2.rectangle(image, (left, top), (right, bottom), COLOURS[kind], 1 if kind == "same" else 3, cv2.LINE_AA)
        if labels:
            text = f"{showable(detections.name(number), font)} {score:.2f}"
            label(image, text, font, (left, top), COLOURS[kind], 0.4)
    return image


def _drawn(before: FrameDetections, after: FrameDetections, changes: ImageChanges) -> np.ndarray:
    """Draw both models' boxes side by side, each change in its colour."""
    halves = [draw_changes(before, changes.before), draw_changes(after, changes.after)]
    return np.concatenate((halves[0], np.full((halves[0].shape[0], 8, 3), 255, np.uint8), halves[1]), 1)


def short_names(first: str, second: str) -> tuple[str, str]:
    """Return the names of two models' files, with as many folders as tell them apart: all runs have a best.pt."""
    parts = [Path(path).absolute().parts for path in (first, second)]
    used = next((n for n in range(1, min(map(len, parts))) if parts[0][-n:] != parts[1][-n:]), 1)
    return Path(*parts[0][-used:]).as_posix(), Path(*parts[1][-used:]).as_posix()


def _write_page(folder: Path, content: dict[str, Any], shown: list[dict[str, Any]]) -> None:
    from jinja2 import Environment, FileSystemLoader

    first, second = short_names(content["first"], content["second"])
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
    page = environment.get_template("compare.html.jinja").render(
        first=first,
        second=second,
        conf_thres=content["conf_thres"],
        same=SAME_IOU,
        unmoved=UNMOVED_IOU,
        images=len(content["images"]),
        known=sum(entry.get("truth", False) for entry in content["images"]),
        changed=sum(entry["changes"] > 0 for entry in content["images"]),
        counts=content,
        shown=shown,
    )
    (folder / "index.html").write_text(page, encoding="utf-8", errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
