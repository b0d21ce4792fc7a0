"""Train a detector: train.py as a function, and `train` for Python programs."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from engine.cli.parser import options_from
from engine.cli.run_folder import DIGITS_SIZE, DIGITS_WEIGHTS, run_folder
from engine.cli.train_flags import train_parser
from engine.datasets.record_dataset import box_sizes, describe
from engine.datasets.splits import data_name, load_data
from engine.errors import UsageError
from engine.model_loading import load_plugins, read_start, start_model
from engine.ops.windows import Slicing, samples_of
from engine.runtime import distributed
from engine.runtime.devices import check_device, check_processes
from engine.runtime.figures import saved_as_pdf_too
from engine.runtime.fonts import plot_settings_kept, prepare_plots
from engine.runtime.gpu_advice import without_unusable_gpu
from engine.runtime.image_size import check_reduced_decode, rounded
from engine.runtime.log import LOGGER
from engine.runtime.signals import terminating_as_interrupt
from engine.training import hyperparameters
from engine.training.class_balance import check_oversampling
from engine.training.end_report import how_to_go_on, report_end
from engine.training.model_summary import model_line
from engine.training.parameter_groups import check_frozen, frozen_rows
from engine.training.resume import check_unchanged, continue_run, fingerprint, resume_after_restart
from engine.training.run_state import data_fingerprint
from engine.training.start_notes import identity_warning, missing_loggers
from engine.training.trainer import DetectorTrainer
from models.upstream.training import get_cfg

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from engine.cli.option_types import TrainOptions

DEMO = {"epochs": 3, "imgsz": DIGITS_SIZE, "hyp": "digits-finetune"}  # about a minute on two cores
SPLITS = ("train", "val")


def train(**options: "Unpack[TrainOptions]") -> DetectorTrainer:
    """Train a detector from Python.

        from engine import train
        trainer = train(data="my-data.yaml", weights="yolov5n.pt", attention=["CBAM@neck.P3"], identity=True, epochs=20)
        print(trainer.best, trainer.metrics)

    Args:
        options: train.py's flags with underscores. Without any: a minute on the embedded digits.

    Returns:
        The trainer after training; `save_dir`, `metrics` and `best` say the outcome.

    Raises:
        UsageError, SpecError, CheckpointError, DataError: if the input is wrong.
    """
    settings = options_from(train_parser(), "train", options)
    settings.demo = not options
    settings.epochs_given, settings.workers_given = "epochs" in options, "workers" in options
    with plot_settings_kept():
        return run_training(settings)


def run_training(options: Namespace) -> DetectorTrainer:
    """Train a detector as train.py's flags ask, as one process or as one of several that torchrun started.

    Raises:
        UsageError, SpecError, CheckpointError, DataError: if the input is wrong.
    """
    vars(options).update({key: str(given) for key, given in vars(options).items() if isinstance(given, Path)})
    load_plugins(options)
    options.device = without_unusable_gpu(options.device)
    here = distributed.process_rank()
    device = distributed.own_device(options.device, here)
    check_device(device, several=True)
    with distributed.joined(here, device):
        return _run_in_process(options, here, device)


def _run_in_process(options: Namespace, here: distributed.ProcessRank, device: str) -> DetectorTrainer:
    options, resume_from, folder = _completed(options)
    if here.world == 1:
        device = options.device  # perhaps that of the run to continue; several processes are connected by now
        check_device(device)
    _check_options(options, here, device)
    slicing = Slicing.of(options)
    with distributed.in_turn(here):
        start = read_start(options) if resume_from is None else None
        if start is not None:  # what takes no time to find out, before the data are read
            hyperparameters.find(options.hyp or hyperparameters.ANCHORS)
            check_frozen(start.spec, frozen_rows(options.freeze), options.train_only == "attention")
        place = options.data_root, options.download, options.single_cls
        names, splits = load_data(options.data, SPLITS, *place, stretch=getattr(options, "stretch", False))
        info = describe(names, splits, options.single_cls)
        model = start_model(options, info, start) if resume_from is None else _continued(resume_from, info)
    options.imgsz = rounded(options.imgsz, int(max(model.stride)))
    hyp = hyperparameters.chosen(options, model)
    fingerprints = _fingerprints(options, info, splits, hyp)
    if resume_from is not None:
        check_unchanged(resume_from, fingerprints, options)
    loss = hyperparameters.scaled_loss(hyp.loss, len(model.stride), info["nc"], options.imgsz)
    model.hyp = {**model.hyp, **loss, "label_smoothing": options.label_smoothing}
    overrides = _overrides(options, hyp)
    folder = folder or distributed.from_first(lambda: run_folder(options.project, options.name, options.exist_ok))
    overrides |= {"project": str(folder.parent), "name": folder.name, "device": device}
    with distributed.in_turn(here):  # ultralytics removes an old table too, but stumbles if another process did
        (folder / "results.csv").unlink(missing_ok=True)
    trainer = DetectorTrainer(
        model,
        info,
        vars(options),
        overrides,
        resume_from=resume_from,
        data_label=data_name(options.data),
        fingerprints=fingerprints,
    )
    if here.rank == 0:
        if not options.noplots:
            prepare_plots(info["names"])
        distributed.remember_folder(str(folder))
        _record(folder, options, hyp, trainer.precision.name)
    _check_anchors(trainer, options, slicing)
    LOGGER.info(model_line(model, trainer.args.imgsz))
    for line in filter(None, [identity_warning(model) if resume_from is None else "", *missing_loggers()]):
        LOGGER.warning(line)
    with _stopping_cleanly(trainer), saved_as_pdf_too(getattr(options, "pdf", False)):  # unknown to older runs
        trainer.train()
    report_end(trainer)
    return trainer


def _completed(options: Namespace) -> tuple[Namespace, dict[str, Any] | None, Path | None]:
    """Return all options, and the last.pt and folder of the run to continue; two None where a new one begins."""
    epochs = options.epochs if vars(options).pop("epochs_given", False) else None
    resume_after_restart(options, epochs)
    if not options.resume:
        _fill_in(options)
        return options, None, None
    workers_given = getattr(options, "workers_given", False)
    options, resume_from, folder = continue_run(options, epochs)
    options.workers_given = workers_given or getattr(options, "workers_given", False)
    return options, resume_from, folder


def _check_options(options: Namespace, here: distributed.ProcessRank, device: str) -> None:
    """Refuse options that do not go together.

    Raises:
        UsageError: naming the flag.
    """
    check_processes(here, device, options.batch_size, options.sync_bn)
    check_oversampling(options)
    check_reduced_decode(options)
    for flag in ("compile", "slice"):
        if getattr(options, flag) and here.world > 1:
            raise UsageError(f"--{flag}: works in one process; leave it out with torchrun")


def _fill_in(options: Namespace) -> None:
    """Choose weights and data where none were given, and say so."""
    if options.weights is None and not options.cfg:
        if options.data is None or data_name(options.data) == "digits":
            options.weights = str(DIGITS_WEIGHTS)
            LOGGER.info(f"no --weights and no --cfg: starting from {DIGITS_WEIGHTS.name}")
        else:
            options.weights = "yolov5s.pt"
            LOGGER.info("no --weights and no --cfg: starting from yolov5s.pt, as YOLOv5 does")
    if options.weights is None:
        LOGGER.warning(
            f"no --weights: training {options.cfg} from scratch, which takes far longer; add --weights yolov5n.pt, "
            "or --weights '' if scratch is meant"
        )
    if options.data is None:
        options.data = "digits"
        LOGGER.info("no --data: training on data/digits.yaml")
    if options.demo:
        vars(options).update(DEMO)
        flags = " ".join(f"--{name} {value}" for name, value in DEMO.items())
        LOGGER.info(f"no flags at all: as with {flags}; `python train.py --help` lists the flags")
    if not options.weights and not options.cfg:
        raise UsageError("--weights '' starts from scratch and needs a model: add --cfg yolov5n, say")


def _continued(content: dict[str, Any], info: dict[str, Any]) -> Any:
    """Return the model of a run to continue; the trainer loads its tensors."""
    from models import build_model
    from models.weights.checkpoint import description_in

    return build_model(description_in(content), nc=info["nc"], names=info["names"])


def _fingerprints(
    options: Namespace, info: dict[str, Any], splits: dict[str, Any], hyp: hyperparameters.Hyp
) -> dict[str, str]:
    """Return hashes of what must be the same when the run is continued, and in all processes.

    Raises:
        UsageError: if processes on other machines have something else.
        SpecError: if the model YAML cannot be read.
    """
    from models import read_spec

    fingerprints = {split: data_fingerprint(splits[split].records) for split in SPLITS}
    fingerprints["hyp"] = fingerprint([hyp.engine, hyp.loss])
    if options.cfg:
        identity = True if options.identity else None
        fingerprints["cfg"] = fingerprint(
            read_spec(options.cfg, options.attention, nc=info["nc"], identity=identity).yaml
        )
    for rank, other in enumerate(distributed.from_all(fingerprints)):
        changed = [name for name in fingerprints if other.get(name) != fingerprints[name]]
        if changed:
            raise UsageError(
                f"process {rank} has another {', '.join(changed)} than process {distributed.process_rank().rank}; "
                "give all machines the same data and files"
            )
    return fingerprints


def _overrides(options: Namespace, hyp: hyperparameters.Hyp) -> dict[str, Any]:
    """Return the run's settings under ultralytics' names, all but its folder.

    Raises:
        UsageError: if a value is out of the range that ultralytics allows.
    """
    settings = {
        "task": "detect",
        "mode": "train",
        "model": options.cfg or str(options.weights),
        "data": str(options.data),
        "epochs": options.epochs,
        "patience": options.patience,
        "batch": options.batch_size,
        "imgsz": options.imgsz,
        "save": not options.nosave,
        "save_period": options.save_period,
        "device": options.device,
        "workers": 0,  # ours are counted apart
        "exist_ok": True,
        "optimizer": options.optimizer,
        "seed": options.seed,
        "single_cls": options.single_cls,
        "rect": options.rect,
        "cos_lr": options.cos_lr,
        "multi_scale": 0.5 if options.multi_scale else 0.0,
        "amp": False,  # decided by engine/training/precision.py; stock's check would fetch a model
        "val": not options.noval,
        "plots": not options.noplots,
        "compile": options.compile,
        "iou": 0.6,  # of NMS in validation, as YOLOv5
        "close_mosaic": 0,  # YOLOv5 never closes it; a hyperparameter file may
        "cls_pw": 0.0,  # means something else there; the loss's own stands in Detector.hyp
    }
    integers = {key: int(value) for key, value in hyp.engine.items() if key in ("close_mosaic", "nbs")}
    settings |= hyp.engine | integers
    try:
        get_cfg(overrides=settings)
    except (TypeError, ValueError) as error:
        raise UsageError(f"--hyp {options.hyp}: {error}") from None
    return settings


def _record(folder: Path, options: Namespace, hyp: hyperparameters.Hyp, precision: str) -> None:
    """Write the flags and hyperparameters beside the results, as YOLOv5 does; args.yaml gets the precision in use."""
    arguments = folder / "args.yaml"  # ultralytics wrote it before the precision was chosen
    if arguments.is_file():
        content = {**yaml.safe_load(arguments.read_text(encoding="utf-8")), "amp": precision}
        arguments.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    for name, content in (("opt.yaml", vars(options)), ("hyp.yaml", {**hyp.engine, **hyp.loss})):
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        (folder / name).write_text(text, encoding="utf-8")


def _check_anchors(trainer: DetectorTrainer, options: Namespace, slicing: Slicing | None) -> None:
    """Replace anchors that fit the data badly, before training begins."""
    if options.noautoanchor or trainer.resume_from is not None or not hasattr(trainer.model.model[-1], "anchor_wh"):
        return
    from models.autoanchor import check_anchors

    sizes = box_sizes(samples_of(trainer.info["train"].records, slicing), options.imgsz)
    LOGGER.info(check_anchors(trainer.model, sizes, trainer.model.hyp["anchor_t"], options.seed))


@contextmanager
def _stopping_cleanly(trainer: DetectorTrainer) -> Iterator[None]:
    """Turn SIGTERM and Ctrl-C into an end that says how to continue."""

    try:
        with terminating_as_interrupt():
            yield
    except KeyboardInterrupt:
        if trainer.last.exists():
            LOGGER.info(f"\nstopped; {how_to_go_on(trainer)}")
        raise
