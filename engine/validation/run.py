"""Validate a detector: val.py as a function, and `validate` for Python programs."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.backends.select import exported_size
from engine.cli.parser import options_from
from engine.cli.run_folder import DIGITS_WEIGHTS, run_folder
from engine.cli.val_flags import val_parser
from engine.datasets.record_dataset import describe
from engine.datasets.splits import check_classes, data_name, load_data
from engine.model_loading import load_weights
from engine.ops.windows import Slicing
from engine.runtime.devices import check_device, check_runtime
from engine.runtime.figures import saved_as_pdf_too
from engine.runtime.fonts import plot_settings_kept, prepare_plots
from engine.runtime.gpu_advice import without_unusable_gpu
from engine.runtime.image_size import check_reduced_decode, size_of
from engine.runtime.log import LOGGER
from engine.validation.validator import Validator, check_channels

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from engine.cli.option_types import ValidateOptions

FEW_CLASSES = 25  # so many get a row each without --per-class


def validate(weights: Any, data: Any, **options: "Unpack[ValidateOptions]") -> dict[str, Any]:
    """Validate a detector from Python.

        from engine import validate
        print(validate("best.pt", "my-data.yaml", task="test")["coco"]["AP"])

    Args:
        weights: checkpoint, exported model, or a Detector.
        data: data set, as for --data.
        options: val.py's flags with underscores, for example imgsz=320, task="test".

    Returns:
        What metrics.json holds, all shares in 0–1; for task="speed" milliseconds an image alone.

    Raises:
        UsageError, SpecError, CheckpointError, DataError: if the input is wrong.
    """
    settings = options_from(val_parser(), "validate", {"weights": weights, "data": data, **options})
    with plot_settings_kept():
        return run_validation(settings)


def run_validation(options: Namespace) -> dict[str, Any]:
    """Validate a detector as val.py's flags ask.

    Raises:
        UsageError, SpecError, CheckpointError, DataError: if the input is wrong.
    """
    from data import read_config
    from metrics import plot_tide

    _fill_in(options)
    if options.task == "speed":  # at the thresholds of detection, as in YOLOv5
        options.conf_thres, options.iou_thres, options.noplots = 0.25, 0.45, True
    options.device = without_unusable_gpu(options.device)
    check_device(options.device)
    check_reduced_decode(options)
    split = "val" if options.task == "speed" else options.task
    model = load_weights(options.weights, options)
    check_runtime(model, options.device, options.half, options.dnn)
    options.imgsz = exported_size(model, options.imgsz) if isinstance(model, str) else size_of(model, options.imgsz)
    place = options.data_root, options.download, options.single_cls
    names, splits = load_data(options.data, (split,), *place, stretch=options.stretch)
    if not options.single_cls:
        check_classes(options.weights, getattr(model, "names", None), options.data, names)
    info = describe(names, splits, options.single_cls)
    if not isinstance(model, str):
        check_channels(model.yaml.get("channels", 3), info["channels"])
    folder = run_folder(options.project, options.name, options.exist_ok)
    validator = Validator(
        save_dir=folder,
        args=_overrides(options, split, folder),
        info=info,
        keep_boxes=True,
    )
    if not options.noplots:
        prepare_plots(names, getattr(model, "names", {}))
    validator.stretch, validator.reduced_decode = options.stretch, options.reduced_decode
    validator.slicing = Slicing.of(options)
    validator.workers = options.workers if _on_gpu() else 0
    if isinstance(model, str) and not options.single_cls:  # whose names are known when it has been opened
        validator.add_callback("on_val_batch_start", lambda opened: _check_exported(opened.names, names, options))
    with saved_as_pdf_too(options.pdf):
        validator(model=model)
    if options.task == "speed":
        return {"milliseconds an image": dict(validator.speed)}
    report = validator.report(options.evaluator)
    per_class = options.per_class or 1 < len(names) <= FEW_CLASSES
    voc07 = options.voc07 or data_name(options.data).upper().startswith("VOC")
    LOGGER.info("\n" + report.table(per_class, voc07))
    report.save_json(folder / "metrics.json")
    if not options.noplots:
        with saved_as_pdf_too(options.pdf):
            plot_tide({folder.name: report.to_dict()["tide"]}, folder / "errors.png")
    if options.save_json:
        ids = _category_ids(read_config(options.data, options.data_root), split)
        count = validator.write_json(folder / "predictions.json", ids)
        LOGGER.info(f"{count} boxes in {folder / 'predictions.json'}")
    LOGGER.info(f"metrics.json{'' if options.noplots else ' and plots'} in {folder}")
    return report.to_dict()


def _fill_in(options: Namespace) -> None:
    """Choose weights and data where none were given, and say so."""
    if options.weights is None:
        options.weights = str(DIGITS_WEIGHTS)
        LOGGER.info(f"no --weights: measuring {DIGITS_WEIGHTS.name}")
    if options.data is None:
        options.data = "digits"
        LOGGER.info("no --data: measuring on data/digits.yaml")


def _on_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _check_exported(known: dict[int, str], names: dict[int, str], options: Namespace) -> None:
    """Refuse to measure an exported model on classes that it does not know, unless its file does not name its classes.

    Raises:
        UsageError: if the numbers of classes differ.
    """
    says_nothing = known.get(0) == "class0"  # as ultralytics calls the classes of such a file
    check_classes(options.weights, None if says_nothing else known, options.data, names)


def _category_ids(config: Any, split: str) -> dict[int, int]:
    from data import load_dataset

    return dict(load_dataset(config, split=split).category_ids)


def _overrides(options: Namespace, split: str, folder: Path) -> dict[str, Any]:
    """Return the settings under ultralytics' names."""
    return {
        "task": "detect",
        "mode": "val",
        "data": data_name(options.data),
        "split": split,
        "batch": options.batch_size,
        "imgsz": options.imgsz,
        "conf": options.conf_thres,
        "iou": options.iou_thres,
        "max_det": options.max_det,
        "device": options.device,
        "augment": options.augment,
        "single_cls": options.single_cls,
        "quantize": 16 if options.half else None,
        "dnn": options.dnn,
        "save_txt": options.save_txt,
        "save_conf": options.save_conf,
        "plots": not options.noplots,
        "verbose": False,  # the table of metrics says more
        "rect": not options.square,
        "project": str(folder.parent),
        "name": folder.name,
        "exist_ok": True,
    }
