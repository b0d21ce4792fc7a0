"""Train by ultralytics' trainer with YOLOv5's recipe, our models, data and checkpoints; runs resume exactly."""

import shlex
import time
import warnings
from collections.abc import Callable
from copy import copy
from typing import Any

import torch

from attention.older_torch import buffers_left_alone
from engine.datasets.loader import EpochSampler, make_loader
from engine.datasets.loader_processes import first_count
from engine.datasets.record_dataset import RecordDataset
from engine.datasets.sliced_dataset import sliced
from engine.errors import RunFailed
from engine.ops.windows import Slicing, samples_of
from engine.runtime import distributed
from engine.runtime.devices import memory_format
from engine.runtime.image_size import check_last_batch
from engine.runtime.log import LOGGER
from engine.training.class_balance import repeat_factors, weigh_classes
from engine.training.dense_gradients import keep_gradients_dense
from engine.training.epoch_loop import EpochTrainer
from engine.training.model_summary import device_line, training_line
from engine.training.parameter_groups import frozen_names, frozen_rows, make_optimizer, parameter_groups
from engine.training.precision import choose
from engine.training.resume import take_over_threads
from engine.training.run_state import restore, write_checkpoints, write_table
from engine.training.sync_batchnorm import synchronize_batchnorms
from engine.validation.distributed_validator import SharedValidator
from models.errors import CheckpointError
from models.upstream.training import unwrap_model

FIRST_SCALE = 1024.0  # of fp16's gradients; PyTorch's own, 65536, wastes a run's first steps: they overflow


class DetectorTrainer(EpochTrainer):
    """Train a Detector.

    Everything random is a function of (seed, epoch, image), gradients are never carried from one epoch to the next,
    and last.pt holds all the rest: a run that is continued goes on exactly as it would have.

    Args:
        model: the Detector to train.
        info: data dictionary from `engine.datasets.record_dataset.describe`.
        options: train.py's flags as a dictionary.
        overrides: ultralytics' settings.
        resume_from: content of a last.pt, or None.
        data_label: name of the data set, for the records.
        fingerprints: hashes of what must not change when the run is continued.
    """

    def __init__(
        self,
        model: Any,
        info: dict[str, Any],
        options: dict[str, Any],
        overrides: dict[str, Any],
        resume_from: dict[str, Any] | None = None,
        data_label: str = "",
        fingerprints: dict[str, str] | None = None,
    ) -> None:
        self.info, self.options, self.resume_from = info, options, resume_from
        self.data_label, self.fingerprints = data_label, fingerprints or {}
        self.process = distributed.process_rank()
        self.accumulate: float = 1
        self.rows: list[dict[str, float]] = []  # results.csv
        self.frozen, self.trained = set(), False
        self.seconds_before = 0.0  # that the run took before it was continued
        super().__init__(overrides=overrides)
        self.model = model
        self.precision = choose(options["amp"], self.device)
        self.workers_given = options.get("workers_given", False)
        self.loader_workers = options["workers"] if self.workers_given else first_count(options["workers"], self.device)
        if resume_from is not None:
            take_over_threads(resume_from, self.device, self.precision.name)
        LOGGER.info(device_line(self.device))
        LOGGER.info(f"arithmetic: {self.precision.name} ({self.precision.reason})")
        asked = ", as --workers says" if self.workers_given else ""
        LOGGER.info(f"threads: {torch.get_num_threads()}, loader processes: {self.loader_workers}{asked}")
        if self.process.world > 1:
            LOGGER.info(f"processes: {self.process.world}, {self.process.local_world} of them on this machine")

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
        self.model.to(memory_format=memory_format(self.device))
        if self.device.type == "cpu":
            keep_gradients_dense(self.model)

    def build_dataset(self, img_path: Any, mode: str = "train", batch: int | None = None) -> RecordDataset:
        """Build the data set of one split.

        Args:
            img_path: its `data.records.Split`.
            mode: "train" augments.
            batch: images a batch, for rectangular batches.
        """
        train, slicing = mode == "train", Slicing.of(self.options)
        samples = samples_of(img_path.records, slicing)
        return sliced(
            slicing,
            img_path.records,
            cache=self.options["cache"] or "auto",
            **{name: self.options.get(name, False) for name in ("stretch", "reduced_decode")},
            factors=repeat_factors(samples, self.info, self.options) if train else None,
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
        here = self.process
        # Training batches of all processes together have one shape; validation batches are whole ones of each process.
        dataset = self.build_dataset(dataset_path, mode, batch_size * (here.world if mode == "train" else 1))
        if mode != "train":
            return make_loader(dataset, batch_size, self.loader_workers, None, self.device, here.rank, here.world)
        sampler = EpochSampler(
            len(dataset),
            self.args.seed,
            shuffle=not dataset.rect,
            mosaic_until=self.epochs - self.args.close_mosaic,
            rank=here.rank,
            world=here.world,
            factors=dataset.factors,
        )
        if not self.options["train_only"]:  # else the statistics of normalisations stay as they are
            check_last_batch(len(sampler), batch_size, self.args.imgsz, dataset.stride, bool(self.args.multi_scale))
        return make_loader(dataset, batch_size, self.loader_workers, sampler, self.device)

    def set_class_weights(self) -> None:
        """Give the model the weights of classes that --class-weights asks for."""
        weigh_classes(unwrap_model(self.model), self.info["train"].records, self.info, self.options)

    def get_validator(self) -> SharedValidator:
        """Return the validator used after each epoch and at the end."""
        validator = SharedValidator(
            self.test_loader, save_dir=self.save_dir, args=copy(self.args), _callbacks=self.callbacks, info=self.info
        )
        validator.workers = self.loader_workers
        validator.dtype = None if self.device.type == "cpu" else self.precision.dtype
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
        if self.process.world > 1:
            self._connect(model)
        super()._build_train_pipeline()
        # Stock's counter of batches since the last step is local to its loop and lost when a run is continued. With 1
        # it calls optimizer_step after every batch, and the counting is done there.
        self.nominal_accumulate = int(self.accumulate)
        self.accumulate = 1
        self.options["batch_size"] = self.batch_size  # what -1 came to, for a run that is continued
        self._use_precision()
        self.scaler = torch.amp.GradScaler(
            self.device.type, init_scale=FIRST_SCALE, enabled=self.precision.name == "fp16"
        )

    def _connect(self, model: torch.nn.Module) -> None:
        """Let the processes average their gradients; from here on stock's loop knows how many there are."""
        self.world_size = self.process.world
        if self.options["sync_bn"]:
            synchronize_batchnorms(model)
        settings: dict[str, Any] = {"find_unused_parameters": True}
        settings |= buffers_left_alone()  # _agree copies them, once an epoch
        if self.device.type != "cpu":
            settings["device_ids"] = [self.device.index]
        self.model = torch.nn.parallel.DistributedDataParallel(model, **settings)

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
        optimizer = make_optimizer(groups, name, lr, momentum, self.device, scaled=self.precision.name == "fp16")
        sizes = ", ".join(f"{len(g['params'])} {g['part']} {g['param_group']}" for g in groups)
        LOGGER.info(
            f"optimizer: {name}, lr {lr:g}, momentum {momentum:g}, decay of weights {decay:g}; tensors: {sizes}"
        )
        return optimizer

    def run_callbacks(self, event: str) -> None:
        """Run the callbacks of an event; TensorBoard's first one traces the model in a way that torch warns of."""
        with warnings.catch_warnings():
            if event == "on_train_start":
                warnings.simplefilter("ignore")
            super().run_callbacks(event)

    # ---- records -----------------------------------------------------------------------------------------------------

    def save_metrics(self, metrics: dict[str, float]) -> None:
        """Write results.csv anew from the rows so far, so that a continued run leaves no gap and no repetition."""
        row = {"epoch": self.epoch + 1, "time": self.seconds_before + time.monotonic() - self._started, **metrics}
        self.rows.append({key: float(value) for key, value in row.items()})
        self._write(lambda: write_table(self.csv, self.rows))

    def save_model(self) -> bool:
        """Write best.pt when this epoch is the best, a copy every --save-period epochs, and last.pt."""
        self._write(lambda: write_checkpoints(self))
        return True

    def _write(self, write: Callable[[], None]) -> None:
        """Write files of the run; again where its folder, which `write` makes, is deleted at that moment.

        Raises:
            RunFailed: if they cannot be written, saying how to continue.
        """
        for again in (True, True, False):
            try:
                write()
                return
            except CheckpointError as error:
                if not again or not isinstance(error.__cause__, FileNotFoundError):
                    run = shlex.quote(str(self.last))
                    then = f"; then continue with: python train.py --resume {run}" if self.last.exists() else ""
                    raise RunFailed(f"{error}{then}") from None

    def resume_training(self, ckpt: dict[str, Any] | None) -> None:
        """Continue after the last finished epoch of a checkpoint; begin a new run with one, for whatever may happen."""
        self._started = time.monotonic()
        if ckpt is None:
            self.epoch = -1
            if self.args.save and self.process.rank == 0:
                self.save_model()
            return
        restore(self, ckpt)
        self.seconds_before = self.rows[-1]["time"] if self.rows else 0.0
        self.start_epoch = ckpt["training"]["epoch"] + 1
        LOGGER.info(f"continuing at epoch {self.start_epoch + 1} of {self.epochs}")

    def _load_checkpoint_state(self, ckpt: dict[str, Any]) -> None:
        """Put everything back, after a divergence, as it was when last.pt was written."""
        from models.weights.checkpoint import read_checkpoint

        restore(self, read_checkpoint(self.last))

    def final_eval(self) -> None:
        """Validate the best weights and say where everything is."""
        self.trained = True
        distributed.leave()
        best = self.best if self.best.exists() else self.last
        if self.process.rank or not best.exists():
            return
        from models import load_model

        LOGGER.info(f"\nvalidating {best}")
        self.validator.args.plots = self.args.plots
        self.validator.keep_boxes = True
        loader = self.test_loader
        if self.process.world > 1:  # it has this process's part only
            loader = make_loader(loader.dataset, loader.dataset.batch_size, self.loader_workers, None, self.device)
        self.metrics = self.validator.alone(loader, load_model(best))
        self.metrics.pop("fitness", None)
        self.run_callbacks("on_fit_epoch_end")
