"""detect.py as a function, and detection from Python in three lines."""

import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.flags import ROOT, detect_parser
from engine.outputs import Outputs, check_display
from engine.places import DIGITS_SIZE, DIGITS_WEIGHTS, run_folder
from engine.sources import is_live, list_files

LISTED = 20  # skipped inputs and notes named one by one in the summary


def detect(weights: Any, source: Any, **options: Any) -> Iterator[Any]:
    """Find objects, one picture or frame at a time.

        from engine import detect
        for result in detect("weights/yolov5n-digits.pt", "pictures/"):
            print(result.path, result.boxes.xyxy, result.boxes.cls)

    Args:
        weights: path of a checkpoint (ours, official YOLOv5/YOLOv7) or of an exported model; or a Detector.
        source: path, folder, glob, .txt list, webcam number, address, a list of paths, or pictures in memory.
        options: detect.py's flags with underscores, for example conf_thres=0.4, imgsz=320, classes=[0].

    Returns:
        An iterator of ultralytics Results; each has `shot` (engine.sources.Shot): its file and frame.

    Raises:
        UsageError: if an option is unknown, or the source does not exist.
        CheckpointError: if the weights cannot be read.
    """
    settings = detect_parser().parse_args([])
    for name, value in options.items():
        if not hasattr(settings, name):
            raise UsageError(f"detect() has no option '{name}'; it takes {', '.join(sorted(vars(settings)))}")
        setattr(settings, name, value)
    from engine.weights import load_weights

    model = load_weights(weights, settings)
    _check_classes(settings.classes, model)
    return _predictor(settings, Path(settings.project).absolute() / settings.name)(source, model=model, stream=True)


def _predictor(options: Namespace, folder: Path) -> Any:
    """Return a predictor with these options."""
    from engine.predictor import Predictor

    imgsz = options.imgsz if isinstance(options.imgsz, int) else list(options.imgsz)
    if isinstance(imgsz, list) and len(imgsz) > 2:
        raise UsageError(f"--imgsz {' '.join(map(str, imgsz))}: give one number, or height and width")
    overrides = {
        "task": "detect",
        "mode": "predict",
        "conf": options.conf_thres,
        "iou": options.iou_thres,
        "max_det": options.max_det,
        "imgsz": imgsz[0] if isinstance(imgsz, list) and len(imgsz) == 1 else imgsz,
        "batch": options.batch_size,
        "device": options.device,
        "classes": options.classes,
        "agnostic_nms": options.agnostic_nms,
        "augment": options.augment,
        "visualize": options.visualize,
        "quantize": 16 if options.half else None,
        "dnn": options.dnn,
        "vid_stride": options.vid_stride,
        "save": False,
        "verbose": False,
        "project": str(folder.parent),
        "name": folder.name,
        "exist_ok": True,
    }
    return Predictor(overrides=overrides)


def _check_classes(classes: list[int] | None, model: Any) -> None:
    names = getattr(model, "names", None) or {}
    unknown = [number for number in classes or [] if names and number not in names]
    if unknown:
        raise UsageError(
            f"--classes {unknown[0]}: the model has classes 0 to {len(names) - 1} ({', '.join(names.values())})"
        )


def run(options: Namespace) -> None:
    """Do what detect.py was asked to.

    Raises:
        UsageError: if a flag or the source is wrong, or nothing in the source can be used.
    """
    from engine.devices import check_device, check_runtime
    from engine.weights import load_weights

    if options.weights is None:
        options.weights = str(DIGITS_WEIGHTS)
    if options.view_img:
        check_display()
    check_device(options.device)
    model = load_weights(options.weights, options)
    check_runtime(model, options.device, options.half, options.dnn)
    _check_classes(options.classes, model)
    if options.source is None:
        options.source = _demo_source(options)
    elif len(options.source) == 1:
        options.source = options.source[0]
    _check_source(options.source)
    folder = run_folder(options.project, options.name, options.exist_ok)
    outputs = Outputs(
        folder,
        images=not options.nosave or options.view_img,
        txt=options.save_txt,
        conf=options.save_conf,
        table=options.save_csv,
        crops=options.save_crop,
        draw={
            "line_width": options.line_thickness,
            "labels": not options.hide_labels,
            "conf": not options.hide_conf,
        },
    )
    _work(_predictor(options, folder), model, options, outputs)


def _check_source(source: Any) -> None:
    """Complain about a source that is not there, before a folder is made.

    Raises:
        UsageError: if it is not.
    """
    for entry in [source] if isinstance(source, str) else source:
        if not is_live(entry):
            list_files(entry)


def _demo_source(options: Namespace) -> Any:
    """Return the digits' test pictures, made on the spot where they are missing, and say so."""
    from engine.data_source import load_split
    from engine.log import LOGGER

    options.imgsz = [DIGITS_SIZE] if options.demo else options.imgsz
    split = load_split("digits", "test")
    LOGGER.info(
        f"No --source: finding digits in the {len(split)} test pictures of data/digits.yaml at {options.imgsz[0]} px"
    )
    return [str(record.path) for record in split.records]


def _work(predictor: Any, model: Any, options: Namespace, outputs: Outputs) -> None:
    """Detect, write and report."""
    from engine.log import LOGGER

    start = time.perf_counter()
    seen = 0
    last = None
    try:
        for result in predictor(options.source, model=model, stream=True):
            shot = result.shot
            seen += 1
            drawn = outputs.write(result, shot)
            if options.view_img and drawn is not None:
                _show(drawn, shot)
            if shot.kind == "image" or shot.path != last or shot.frame % 100 == 0:
                LOGGER.info(_line(result, shot))
            last = shot.path
    finally:
        outputs.close()
    _report(predictor, outputs, seen, time.perf_counter() - start, options)


def _line(result: Any, shot: Any) -> str:
    where = shot.path if shot.frame is None else f"{shot.path} frame {shot.frame}/{shot.frames or '?'}"
    height, width = result.orig_shape
    return f"{where}: {width}x{height} {result.verbose()}{result.speed['inference']:.1f} ms"


def _show(drawn: Any, shot: Any) -> None:
    import cv2

    cv2.imshow(shot.path, drawn)
    if cv2.waitKey(1) & 0xFF == ord("q"):
        raise KeyboardInterrupt


def _report(predictor: Any, outputs: Outputs, seen: int, seconds: float, options: Namespace) -> None:
    """Say what was used, what was skipped and why, and where the results are.

    Raises:
        UsageError: if nothing was used at all.
    """
    from engine.log import LOGGER

    tally = predictor.dataset.tally
    if not seen:
        if not any(outputs.folder.iterdir()):
            outputs.folder.rmdir()
        name, reason = tally.skipped[0] if tally.skipped else (options.source, "nothing in it")
        more = f" (and {len(tally.skipped) - 1} more)" if len(tally.skipped) > 1 else ""
        raise UsageError(f"--source: nothing usable: {name} {reason}{more}")
    for title, entries in (("note", tally.notes), ("skipped", tally.skipped)):
        for name, text in entries[:LISTED]:
            LOGGER.info(f"{title}: {name}: {text}")
        if len(entries) > LISTED:
            LOGGER.info(f"{title}: and {len(entries) - LISTED} more")
    speed = " + ".join(f"{value:.1f} {name}" for name, value in (predictor.speed or {}).items())
    LOGGER.info(f"{tally.summary()}; {seconds:.1f} s, {seen / seconds:.1f} a second; ms an image: {speed}")
    if outputs.folder.is_dir():
        labels = f", {outputs.labels} label files in labels/" if options.save_txt else ""
        LOGGER.info(f"results in {_short(outputs.folder)}{labels}")


def _short(folder: Path) -> str:
    for base in (Path.cwd(), ROOT):
        if folder.is_relative_to(base):
            return str(folder.relative_to(base))
    return str(folder)
