"""Detect objects: detect.py as a function, and `detect` and `load` for Python programs."""

import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.folders import ROOT
from engine.cli.detect_flags import detect_parser
from engine.cli.parser import options_from
from engine.cli.run_folder import DIGITS_WEIGHTS, run_folder
from engine.detection.annotate import draw
from engine.detection.frames import LISTED
from engine.detection.predictor import Predictor
from engine.detection.readers import NO_MEDIUM
from engine.detection.result import FrameDetections
from engine.detection.writers import Outputs, check_display
from engine.errors import RunFailed, UsageError
from engine.runtime.fonts import warn_of_missing
from engine.runtime.log import LOGGER, printable

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from engine.cli.option_types import DetectOptions
    from engine.detection.dataset_writer import DatasetWriter
    from models.upstream.inference import Results

FEW_OTHERS = 2  # files that are no images, named one by one; if there are more, they share a line


def detect(weights: Any, source: Any, **options: "Unpack[DetectOptions]") -> "Iterator[Results]":
    """Detect objects, one image or frame at a time.

        from engine import detect
        for result in detect("weights/yolov5n-digits.pt", "images/"):
            print(result.path, result.boxes.xyxy, result.boxes.cls)

    Args:
        weights: path of a checkpoint (ours, official YOLOv5/YOLOv7) or of an exported model; or a Detector.
        source: path, folder, glob, .txt list, webcam number, address, a list of paths, or images in memory.
        options: detect.py's flags with underscores, for example conf_thres=0.4, imgsz=320, classes=[0].

    Returns:
        An iterator of ultralytics Results; each has `frame` (engine.detection.frames.Frame): its file and number.

    Raises:
        UsageError: if an option is unknown, or the source does not exist; by the iterator, if nothing can be used.
        CheckpointError: if the weights cannot be read.
    """
    predictor = Predictor(options_from(detect_parser(), "detect", options), weights)
    predictor.open(source)
    return predictor.results()


def load(weights: Any, **options: "Unpack[DetectOptions]") -> Predictor:
    """Load a model once, for many calls.

        from engine import load
        predictor = load("best.pt", conf_thres=0.4)
        for image in camera:
            result = next(predictor(image))

    On a CPU a checkpoint is run by ONNX Runtime, for which it is exported once and kept in the cache folder;
    backend="torch" does without.

    Args:
        weights: path of a checkpoint (ours, official YOLOv5/YOLOv7) or of an exported model; or a Detector.
        options: detect.py's flags with underscores, for example conf_thres=0.4, imgsz=320, device="0".

    Returns:
        A predictor: `predictor(source)` gives what `detect` gives.

    Raises:
        UsageError: if an option is unknown, or does not fit the model.
        CheckpointError: if the weights cannot be read.
    """
    predictor = Predictor(options_from(detect_parser(), "load", options), weights)
    predictor.load()
    return predictor


def run_detection(options: Namespace, observe: Callable[[Any, Path], Any] | None = None) -> None:
    """Run detection as detect.py's flags ask.

    Args:
        options: the flags.
        observe: backend and run folder → an observer of every batch (see `Predictor`), with a `close`.

    Raises:
        UsageError: if a flag or the source is wrong, or nothing in the source can be used.
    """
    if options.weights is None:
        options.weights = str(DIGITS_WEIGHTS)
    if options.reduced_decode and not options.nosave:
        raise UsageError("--reduced-decode: boxes are drawn on images at their own size; add --nosave, or leave it out")
    if options.view_img:
        check_display()
    if options.source is None:
        options.source = _demo_source(options)
    elif len(options.source) == 1:
        options.source = options.source[0]
    predictor = Predictor(options, options.weights)
    predictor.open(options.source)
    dataset = _dataset(predictor, options)
    folder = run_folder(options.project, options.name, options.exist_ok)
    outputs = Outputs(
        folder,
        images=not options.nosave,
        txt=options.save_txt,
        conf=options.save_conf,
        table=options.save_csv,
        crops=options.save_crop,
        dataset=dataset,
    )
    try:
        predictor.observer = observe(predictor.backend, folder) if observe else None
        _detect_and_write(predictor, options, outputs)
    finally:
        if predictor.observer is not None:
            predictor.observer.close()  # type: ignore[attr-defined]
        if dataset is not None:
            dataset.discard_if_empty()
        if not any(folder.iterdir()):
            folder.rmdir()


def _dataset(predictor: Predictor, options: Namespace) -> "DatasetWriter | None":
    """Begin the data set that --save-dataset asks for."""
    if options.save_dataset is None:
        return None
    from engine.detection.dataset_writer import DatasetWriter

    dataset = DatasetWriter(Path(options.save_dataset), options.dataset_images == "link")
    dataset.begin(predictor.names, options.conf_thres, getattr(predictor.backend, "channels", 3))
    return dataset


def _demo_source(options: Namespace) -> Any:
    """Return the digits' test images, made on the spot where they are missing, and say so."""
    from engine.datasets.splits import load_split

    split = load_split("digits", "test")
    LOGGER.info(f"No --source: finding digits in the {len(split)} test images of data/digits.yaml")
    return [str(record.path) for record in split.records]


def _detect_and_write(predictor: Predictor, options: Namespace, outputs: Outputs) -> None:
    """Detect, draw, write, and log a summary."""
    start = time.perf_counter()
    seen = 0
    last = None
    draws = not options.nosave or options.view_img
    if draws and not options.hide_labels:
        warn_of_missing(predictor.backend.names)
    style = (options.line_thickness, not options.hide_labels, not options.hide_conf)
    try:
        with closing(predictor.detections()) as results:
            for detections in results:
                frame = detections.frame
                seen += 1
                drawn = None
                if draws:
                    with predictor.watch.measure("draw"):
                        drawn = draw(detections, *style)
                with predictor.watch.measure("write"):
                    outputs.write(detections, drawn)
                if options.view_img and drawn is not None:
                    _show(drawn, frame)
                if frame.kind == "image" or frame.path != last or (frame.number or 0) % 100 == 0:
                    LOGGER.info(_summary_line(detections))
                last = frame.path
    finally:
        outputs.close()
    _report(predictor, outputs, seen, time.perf_counter() - start, options)


def _summary_line(detections: FrameDetections) -> str:
    frame = detections.frame
    where = frame.path if frame.number is None else f"{frame.path} frame {frame.number}/{frame.count or '?'}"
    height, width = detections.size
    return printable(f"{where}: {width}x{height} {detections.summary()}, {detections.speed['inference']:.1f} ms")


def _show(drawn: Any, frame: Any) -> None:
    import cv2

    cv2.imshow(frame.path, drawn)
    if cv2.waitKey(1) & 0xFF == ord("q"):
        raise KeyboardInterrupt


def _report(predictor: Any, outputs: Outputs, seen: int, seconds: float, options: Namespace) -> None:
    """Say what was used, what was skipped and why, and where the results are.

    Raises:
        UsageError: if nothing was used at all.
        RunFailed: if nothing could be written at all.
    """
    report = predictor.source.report
    if not seen:
        raise report.nothing_usable(options.source)
    others = [name for name, reason in report.skipped if reason == NO_MEDIUM]  # labels beside images, say
    if len(others) > FEW_OTHERS:
        LOGGER.info(printable(f"skipped: {others[0]} and {len(others) - 1} more: no images or videos"))
    skipped = [entry for entry in report.skipped if len(others) <= FEW_OTHERS or entry[1] != NO_MEDIUM]
    failed = list(outputs.failed.items())
    for title, entries in (("note", report.notes), ("skipped", skipped), ("not written", failed)):
        lines = [printable(f"{name}: {text}") for name, text in entries]
        for line in lines[:LISTED]:
            LOGGER.info(f"{title}: {line}")
        if len(lines) > LISTED:
            where = _short(outputs.list_inputs(title.replace(" ", "-"), lines))
            LOGGER.info(f"{title}: and {len(lines) - LISTED} more, all of them in {where}")
    if options.profile:
        LOGGER.info(predictor.watch.table(seconds))
    unwritten = f", {len(failed)} of them not written" if failed else ""
    each = "a view" if options.slice else "an image"
    speed = f"{seconds:.1f} s, {seen / seconds:.1f} a second; ms {each}: {predictor.watch.line()}"
    LOGGER.info(f"{report.summary()}{unwritten}; {speed}")
    if outputs.dataset is not None:
        LOGGER.info(f"data set of {outputs.dataset.images} images in {_short(outputs.dataset.folder / 'data.yaml')}")
    if any(outputs.folder.iterdir()):
        labels = f", {outputs.labels} label files in labels/" if options.save_txt else ""
        LOGGER.info(f"results in {_short(outputs.folder)}{labels}")
    if failed and len(failed) == report.images + report.videos:
        raise RunFailed(f"nothing could be written: {failed[0][1]}")


def _short(folder: Path) -> str:
    for base in (Path.cwd(), ROOT):
        if folder.is_relative_to(base):
            return str(folder.relative_to(base))
    return str(folder)
