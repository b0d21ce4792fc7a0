"""ultralytics' trainer with YOLOv5's recipe, our models, data and checkpoints; runs can be continued exactly."""

import random
import time
import warnings
from copy import copy
from typing import Any

import numpy as np

from engine import compat  # noqa: F401 - before any other part of ultralytics

# isort: split
import torch
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.torch_utils import unwrap_model

from engine.dataset import RecordDataset
from engine.loader import EpochSampler, make_loader
from engine.log import LOGGER
from engine.modelinfo import training_line
from engine.parts import frozen_names, frozen_rows, parameter_groups
from engine.precision import choose
from engine.state import restore, training_content, weights_content
from engine.validator import Validator

LEAST_WARMUP = 100  # batches, as in YOLOv5
RETRY_STRIDE = 7919  # between the seeds of attempts at one epoch after a divergence


class DetectorTrainer(DetectionTrainer):
    """Trains a Detector.

    Everything random is a function of (seed, epoch, picture), gradients are never carried from one epoch to the next,
    and last.pt holds all the rest: a run that is continued goes on exactly as it would have.

    Args:
        model: the Detector to train.
        info: data dictionary from `engine.dataset.describe`.
        options: train.py's flags as a dictionary.
        overrides: ultralytics' settings.
        resume_from: content of a last.pt, or None.
        data_label: name of the data set, for the records.
        data_fingerprints: split → `engine.state.fingerprint`.
    """

    def __init__(
        self,
        model: Any,
        info: dict[str, Any],
        options: dict[str, Any],
        overrides: dict[str, Any],
        resume_from: dict[str, Any] | None = None,
        data_label: str = "",
        data_fingerprints: dict[str, str] | None = None,
    ) -> None:
        self.info, self.options, self.resume_from = info, options, resume_from
        self.data_label, self.data_fingerprints = data_label, data_fingerprints or {}
        self.accumulate: float = 1
        self.rows: list[dict[str, float]] = []  # results.csv
        self.frozen: set[str] = set()
        super().__init__(overrides=overrides)
        self.model = model
        self.precision = choose(options["amp"], self.device)
        self.loader_workers = _worker_count(options["workers"], self.device)
        LOGGER.info(f"arithmetic: {self.precision.name} ({self.precision.reason})")
        LOGGER.info(f"threads: {torch.get_num_threads()}, loader processes: {self.loader_workers}")

    # ---- setup -------------------------------------------------------------------------------------------------------

    def get_dataset(self) -> dict[str, Any]:
        """Return the data dictionary, read before."""
        return self.info

    def setup_model(self) -> dict[str, Any] | None:
        """Return the state to continue from; the model is there already."""
        return self.resume_from

    def set_model_attributes(self) -> None:
        """Give the model its classes and settings, and weights the memory order that convolutions like."""
        super().set_model_attributes()
        self.model.to(memory_format=torch.channels_last)

    def build_dataset(self, img_path: Any, mode: str = "train", batch: int | None = None) -> RecordDataset:
        """Build the data set of one split.

        Args:
            img_path: its `data.formats.records.Split`.
            mode: "train" augments.
            batch: pictures a batch, for rectangular batches.
        """
        train = mode == "train"
        return RecordDataset(
            img_path.records,
            cache=self.options["cache"] or "auto",
            data=self.data,
            imgsz=self.args.imgsz,
            augment=train,
            hyp=self.args,
            rect=self.args.rect if train else True,
            batch_size=batch,
            stride=max(int(unwrap_model(self.model).stride.max()), 32),
            pad=0.0 if train else 0.5,
            single_cls=bool(self.args.single_cls),
            prefix=f"{mode}: ",
            task="detect",
        )

    def get_dataloader(self, dataset_path: Any, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Build the loader of one split."""
        dataset = self.build_dataset(dataset_path, mode, batch_size)
        if mode != "train":
            return make_loader(dataset, batch_size, self.loader_workers, None, self.device)
        sampler = EpochSampler(
            len(dataset), self.args.seed, shuffle=not dataset.rect, mosaic_until=self.epochs - self.args.close_mosaic
        )
        return make_loader(dataset, batch_size, self.loader_workers, sampler, self.device)

    def get_validator(self) -> Validator:
        """Return the validator used after each epoch and at the end."""
        validator = Validator(
            self.test_loader, save_dir=self.save_dir, args=copy(self.args), _callbacks=self.callbacks, info=self.info
        )
        validator.workers = self.loader_workers
        return validator

    def _build_train_pipeline(self) -> None:
        """Freeze, build loaders and optimizer, and take the accumulation of gradients into our own hands."""
        model = unwrap_model(self.model)
        rows = frozen_rows(self.options["freeze"])
        self.frozen = frozen_names(model, rows, self.options["train_only"] == "attention")
        for name, parameter in model.named_parameters():
            parameter.requires_grad = name not in self.frozen
        if self.frozen:
            LOGGER.info(training_line(model))
        super()._build_train_pipeline()
        # Stock's counter of batches since the last step is local to its loop and lost when a run is continued. With 1
        # it calls optimizer_step after every batch, and the counting is done there.
        self.nominal_accumulate = int(self.accumulate)
        self.accumulate = 1
        self.options["batch_size"] = self.batch_size  # what -1 came to, for a run that is continued
        self.amp = self.precision.half
        self.args.amp = "bf16" if self.precision.name == "bf16" and self.device.type == "cuda" else self.amp
        scaling = self.precision.name == "fp16"
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=scaling)

    def build_optimizer(
        self,
        model: torch.nn.Module,
        name: str = "SGD",
        lr: float = 0.01,
        momentum: float = 0.937,
        decay: float = 5e-4,
        iterations: float = 1e5,
    ) -> torch.optim.Optimizer:
        """Build one of YOLOv5's optimizers over our parameter groups.

        Args:
            model: the detector.
            name: SGD, Adam or AdamW.
            lr: learning rate.
            momentum: of SGD; Adam's beta1.
            decay: weight decay.
            iterations: kept for the signature.
        """
        groups = parameter_groups(unwrap_model(model), lr, decay, self.options["attention_lr"])
        if name == "SGD":
            optimizer: torch.optim.Optimizer = torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=True)
        else:
            optimizer = getattr(torch.optim, name)(groups, lr=lr, betas=(momentum, 0.999))
        sizes = ", ".join(f"{len(g['params'])} {g['part']} {g['param_group']}" for g in groups)
        LOGGER.info(
            f"optimizer: {name}, lr {lr:g}, momentum {momentum:g}, decay of weights {decay:g}; tensors: {sizes}"
        )
        return optimizer

    def _get_warmup_iterations(self, num_batches: int) -> int:
        """Return YOLOv5's warm-up, at least 100 batches, but never more than half the run.

        A file that asks for less than one epoch means it: the least number is for whole epochs of small data sets.
        """
        epochs = self.args.warmup_epochs
        least = LEAST_WARMUP if epochs >= 1 else 0
        return min(max(round(epochs * num_batches), least), num_batches * self.epochs // 2)

    # ---- one epoch ---------------------------------------------------------------------------------------------------

    def _model_train(self) -> None:
        """Begin an epoch: reset what must not depend on earlier ones."""
        self.model.train()
        model = unwrap_model(self.model)
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.BatchNorm2d) and f"{name}.weight" in self.frozen:
                module.training = False  # not eval(), which would reach attention inside it
        seed = self.args.seed + RETRY_STRIDE * self.nan_recovery_attempts
        torch.manual_seed(seed * 1_000_003 + self.epoch)
        self.train_loader.sampler.seed = seed
        self.train_loader.sampler.set_epoch(self.epoch)
        self._batch = self._pending = 0

    def run_callbacks(self, event: str) -> None:
        """Run the callbacks of an event; TensorBoard's first one traces the model in a way that torch warns of."""
        with warnings.catch_warnings():
            if event == "on_train_start":
                warnings.simplefilter("ignore")
            super().run_callbacks(event)

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Move a batch to the device, as 0–1, at a size of its own with --multi-scale."""
        if self.args.multi_scale:
            random.seed(int(np.random.SeedSequence((self.args.seed, self.epoch, self._batch)).generate_state(1)[0]))
        batch = super().preprocess_batch(batch)
        batch["img"] = batch["img"].contiguous(memory_format=torch.channels_last)
        return batch

    def optimizer_step(self) -> None:
        """Step when enough batches have been accumulated, and at the end of the epoch."""
        batches = len(self.train_loader)
        number = self.epoch * batches + self._batch
        warmup = self._get_warmup_iterations(batches)
        self._batch += 1
        self._pending += 1
        due: float = self.nominal_accumulate
        if warmup and number <= warmup:
            due = max(1, round(float(np.interp(number, [0, warmup], [1, self.nominal_accumulate]))))
        if self._pending >= due or self._batch == batches:
            super().optimizer_step()
            self._pending = 0

    # ---- records -----------------------------------------------------------------------------------------------------

    def save_metrics(self, metrics: dict[str, float]) -> None:
        """Write results.csv anew from the rows so far, so that a continued run leaves no gap and no repetition."""
        seconds = self.resumed_time + time.time() - self.train_time_start
        row = {"epoch": self.epoch + 1, "time": seconds, **metrics}
        self.rows.append({key: float(value) for key, value in row.items()})
        keys = list(self.rows[0])
        lines = [",".join(keys), *(",".join(f"{row.get(key, 0):.6g}" for key in keys) for row in self.rows)]
        self.csv.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @property
    def resumed_time(self) -> float:
        """Seconds that the run had taken before it was continued."""
        results = (self.resume_from or {}).get("training", {}).get("results") or [{}]
        return float(results[-1].get("time", 0.0))

    def save_model(self) -> bool:
        """Write best.pt when this epoch is the best, a copy every --save-period epochs, and last.pt.

        last.pt comes last: it says that the epoch is done, so a kill in between repeats the epoch and writes all again.
        """
        from models.weights.checkpoint import save_checkpoint

        self.wdir.mkdir(parents=True, exist_ok=True)
        whole = {**weights_content(self, half=False), "training": training_content(self)}
        if self.best_fitness == self.fitness:
            save_checkpoint(self.best, weights_content(self, half=True))
        if self.save_period > 0 and (self.epoch + 1) % self.save_period == 0:
            save_checkpoint(self.wdir / f"epoch{self.epoch + 1}.pt", whole)
        save_checkpoint(self.last, whole)
        return True

    def resume_training(self, ckpt: dict[str, Any] | None) -> None:
        """Continue after the last finished epoch of a checkpoint."""
        if ckpt is None:
            return
        restore(self, ckpt)
        self.start_epoch = ckpt["training"]["epoch"] + 1
        LOGGER.info(f"continuing at epoch {self.start_epoch + 1} of {self.epochs}")

    def _load_checkpoint_state(self, ckpt: dict[str, Any]) -> None:
        """After a divergence: put everything back as it was when last.pt was written."""
        from models.weights.checkpoint import read_checkpoint

        restore(self, read_checkpoint(self.last))

    def final_eval(self) -> None:
        """Validate the best weights and say where everything is."""
        best = self.best if self.best.exists() else self.last
        if not best.exists():
            return
        from models import load_model

        LOGGER.info(f"\nvalidating {best}")
        self.validator.args.plots = self.args.plots
        self.validator.keep_boxes = True
        self.metrics = self.validator(model=load_model(best))
        self.metrics.pop("fitness", None)
        self.run_callbacks("on_fit_epoch_end")


def _worker_count(wanted: int, device: torch.device) -> int:
    """Return how many loader processes help: on CPUs they would only take the cores from the model."""
    from engine.env import usable_cores

    cores = usable_cores()
    if device.type == "cpu":
        return min(wanted, max(0, cores // 4))
    return min(wanted, cores)
