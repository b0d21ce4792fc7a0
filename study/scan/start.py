"""Make ready what is scanned: the data, the detector, trained first where the spec asks for it, and the images."""

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data import Dataset, load_dataset
from data.files import file_hash
from engine.datasets.record_dataset import RecordDataset, describe
from engine.errors import RunFailed
from engine.runtime.image_size import STRIDE, rounded
from models import build_model, load_model
from models.network.detector import Detector
from models.upstream.training import get_cfg
from models.weights.download import resolve_weights
from study.execute.local import WAIT, command, failure, status
from study.execute.worker import BUSY
from study.plan.code_fingerprint import MEASURING_CODE, TRAINING_CODE, code_hash
from study.plan.data_fingerprint import split_fingerprint
from study.plan.plan import NEUTRAL
from study.plan.run import DEFAULTS, Run, content_hash, hyp_content, read_json, train_argv, train_options, write_json
from study.scan.frozen_detector import FrozenDetector
from study.scan.record import seed_of
from study.scan.scan_spec import ScanSpec

Say = Callable[[str], None]


@dataclass(frozen=True)
class Start:
    """What is scanned.

    Attributes:
        frozen: the detector, and the images that it is looked at with.
        key: hash of the detector, the images and their labels.
        ap: AP of the detector on val, None where it was not trained here.
        names: class number → name.
        weights: checkpoint of the detector that is scanned.
    """

    frozen: FrozenDetector
    key: str
    ap: float | None
    names: dict[int, str]
    weights: str


def make_start(
    spec: ScanSpec,
    folder: Path,
    device: str,
    download: bool,
    plugins: Sequence[Path],
    say: Say,
    trained: bool = True,
) -> Start:
    """Train the detector where that is asked for and not done yet, and read the images.

    Args:
        spec: of the scan.
        folder: of the scan.
        device: of the training, as for --device.
        download: allow fetching official weights or data sets.
        plugins: Python files of mechanisms, loaded already.
        say: takes progress.
        trained: whether it is trained at all; else it stands as it is before, which shows what can be placed where.

    Raises:
        UsageError, SpecError, CheckpointError, DataError: if the input is wrong.
        RunFailed: if the training fails.
    """
    weights = str(resolve_weights(spec.weights, download).absolute()) if spec.weights else ""
    dataset = load_dataset(spec.data, split="train", data_root=spec.data_root, download=download)
    ap = None
    if spec.epochs:
        load_dataset(spec.data, split="val", data_root=spec.data_root, download=download)
    if spec.epochs and trained:
        weights, ap = _trained(spec, folder, device, dataset, weights, plugins, say)
        model = load_model(weights)
    else:
        like: Any = {"nc": len(dataset.names), "ch": dataset.channels, "names": dataset.names}
        model = build_model(spec.cfg or weights, weights=weights or None, **like)
    images, targets = _images(spec, dataset, model)
    fast: Any = {"memory_format": torch.channels_last}  # a third less time for a step on CPUs
    frozen = FrozenDetector(model.to(**fast), images.to(**fast), targets)
    key = content_hash([_state_hash(model), dict(model.yaml), content_hash(_plain(images, targets))])
    return Start(frozen, key, ap, dict(dataset.names), weights)


def _trained(
    spec: ScanSpec, folder: Path, device: str, dataset: Dataset, weights: str, plugins: Sequence[Path], say: Say
) -> tuple[str, float]:
    """Train the detector as a study trains its baseline, or go on, and return its last epoch and the AP of that."""
    options = {k: v for k, v in train_options(spec.train, spec.file).items() if k not in NEUTRAL}
    code = code_hash(TRAINING_CODE)
    recipe = {
        "cfg": Path(spec.cfg).read_text(encoding="utf-8") if Path(spec.cfg).is_file() else spec.cfg,
        "options": {**options, "epochs": spec.epochs},
        "hyp": hyp_content(train_options(spec.train, spec.file)["hyp"]),
        "seed": spec.seed,
        "data": split_fingerprint(dataset["train"].records),
        "weights": file_hash(Path(weights)) if weights else None,
        "code": code,
    }
    key = content_hash(recipe)
    argv = ["--weights", weights, "--data", spec.data, "--epochs", str(spec.epochs), "--seed", str(spec.seed)]
    argv += ["--cfg", spec.cfg] if spec.cfg else []
    argv += ["--data-root", spec.data_root] if spec.data_root else []
    argv += [part for plugin in plugins for part in ("--plugin", str(plugin))]
    home = folder / "start" / key[:10]
    argv += [*train_argv({**DEFAULTS, **spec.train}), "--project", str(home), "--name", "train", "--exist-ok"]
    run = Run(
        "start",
        spec.seed,
        key,
        content_hash([key, code_hash(MEASURING_CODE)]),
        home,
        tuple(argv),
        spec.epochs,
        (),
        code,
    )
    done = read_json(home / "done.json")
    if done is None or done.get("eval_key") != run.eval_key:
        say(f"training the detector first: {spec.epochs} epochs; log: {home / 'log.txt'}")
        _train(spec, run, device, plugins, say)
    ap = float((read_json(home / "last" / "metrics.json") or {})["coco"]["AP"])
    return str(home / "train" / "weights" / "last.pt"), ap


def _train(spec: ScanSpec, run: Run, device: str, plugins: Sequence[Path], say: Say) -> None:
    options = train_options(spec.train, spec.file)
    content = {
        **{"key": run.key, "eval_key": run.eval_key, "argv": list(run.argv), "mechanisms": [], "code": run.code},
        **{"plugins": list(map(str, plugins)), "data": spec.data, "split": "val", "threads": torch.get_num_threads()},
        "options": {
            **{"imgsz": _size(spec, STRIDE), "single_cls": options["single_cls"], "data_root": spec.data_root},
            **{name: True for name in ("stretch", "reduced_decode") if options[name]},
        },
    }
    before = read_json(run.folder / "run.json")
    if before is not None and status(run) == "begun":  # sums in another order would not be the same run
        content["threads"] = before["threads"]
    write_json(run.folder / "run.json", json.loads(json.dumps(content)))
    code = _finished_code(run, device)
    if code == BUSY:
        say("another process is at this training; waiting for it")
        while code == BUSY:
            time.sleep(WAIT)
            code = _finished_code(run, device)
    if code:
        ended = f"it was ended by signal {-code} (out of memory?)" if code < 0 else f"it ended with exit code {code}"
        reason = failure(run) if (run.folder / "failed.json").exists() else ended
        raise RunFailed(f"the training before the scan failed: {reason}; log: {run.folder / 'log.txt'}")


def _finished_code(run: Run, device: str) -> int:
    """Run the process of a run to its end, and return its exit code."""
    argv, environment = command(run, device)
    with (run.folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(argv, env=environment, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


def _size(spec: ScanSpec, stride: int) -> int:
    return rounded(train_options(spec.train, spec.file)["imgsz"], stride, f"{spec.file}: imgsz")


def _images(spec: ScanSpec, dataset: Dataset, model: Detector) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return images of the train split, those with objects first, and their targets."""
    options = train_options(spec.train, spec.file)
    records = dataset["train"].records
    order = np.random.default_rng(seed_of("images", spec.seed)).permutation(len(records))
    chosen = sorted(order, key=lambda number: not len(records[number]))[: spec.images]
    stride = max(int(model.stride.max()), STRIDE)
    reading = {name: options[name] for name in ("stretch", "reduced_decode", "single_cls")}
    return read_images(dataset, "train", sorted(chosen), _size(spec, stride), stride, **reading)


def read_images(
    dataset: Dataset,
    split: str,
    numbers: Sequence[int],
    size: int,
    stride: int = STRIDE,
    *,
    stretch: bool = False,
    reduced_decode: bool = False,
    single_cls: bool = False,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Read images of a split, letterboxed, not augmented, and their targets.

    Args:
        dataset: with that split.
        split: of it.
        numbers: of the images within the split.
        size: of the square that they are put in, pixels.
        stride: of the detector.
        stretch: spread the values of 16-bit images over 8 bits, as --stretch does.
        reduced_decode: decode large JPEGs at a part of their size.
        single_cls: let all classes be one.

    Returns:
        (n, 3, size, size) float in 0–1, and of each image rows (class, x, y, w, h), centre form in 0–1.
    """
    records = dataset[split].records
    served = RecordDataset(
        [records[number] for number in numbers],
        stretch=stretch,
        reduced_decode=reduced_decode,
        data=describe(dataset.names, dataset.splits, single_cls),
        imgsz=size,
        augment=False,
        hyp=get_cfg(),
        rect=False,
        batch_size=1,
        stride=stride,
        pad=0.0,
        single_cls=single_cls,
        task="detect",
    )
    samples = [served[number] for number in range(len(served))]
    images = torch.stack([sample["img"] for sample in samples]).float() / 255
    return images, [torch.cat((s["cls"].view(-1, 1).float(), s["bboxes"].view(-1, 4).float()), 1) for s in samples]


def _plain(images: torch.Tensor, targets: Sequence[torch.Tensor]) -> list[Any]:
    return [_tensor_hash(images), *(target.tolist() for target in targets)]


def _state_hash(model: Detector) -> str:
    return content_hash({name: _tensor_hash(tensor) for name, tensor in model.state_dict().items()})


def _tensor_hash(tensor: torch.Tensor) -> str:
    return hashlib.sha256(np.ascontiguousarray(tensor.numpy()).tobytes()).hexdigest()
