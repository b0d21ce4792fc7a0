"""Train an epoch: begin it, preprocess batches, step the optimizer, and stop when the loss is not finite."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from engine.datasets.loader import EpochLoader
from engine.errors import RunFailed
from engine.runtime import distributed
from engine.runtime.devices import memory_format
from engine.runtime.log import LOGGER
from engine.training import divergence
from engine.training.precision import Precision
from models.upstream.training import DetectionTrainer, unwrap_model

MAX_NORM = 10.0  # to which gradients are clipped, as in YOLOv5
MIN_WARMUP = 100  # batches, as in YOLOv5
RETRY_STRIDE = 7919  # between the seeds of attempts at one epoch after a divergence


class EpochTrainer(DetectionTrainer):
    """Train epochs that depend on nothing but the state at their beginning, the seed and their number.

    Gradients are never carried from one epoch to the next. Batches are counted here: stock's counter of batches since
    the last step is local to its loop and lost when a run is continued.

    Attributes:
        process: rank of this process.
        precision: what the forward pass computes in.
        frozen: names of the parameters that stay as they are.
        workers_given: the number of loader processes stays as it is.
        nominal_accumulate: batches a step after the warm-up.
        trouble: what stopped being finite in this epoch; empty while all is well.
    """

    loss: Any  # of the last batch, a number
    tloss: Any  # mean loss terms of the epoch so far
    start_epoch: int
    train_loader: Any
    process: distributed.ProcessRank
    precision: Precision
    frozen: set[str]
    nominal_accumulate: int
    workers_given: bool
    trouble: str = ""
    _norm: torch.Tensor | None = None  # of the gradients about to be used
    _skipped = 0  # steps of this epoch that fp16's scaler did not take

    def _get_warmup_iterations(self, num_batches: int) -> int:
        """Return YOLOv5's warm-up, at least 100 batches, but never more than half the run.

        A file that asks for less than one epoch means it: the least number is for whole epochs of small data sets.
        """
        epochs = self.args.warmup_epochs
        minimum = MIN_WARMUP if epochs >= 1 else 0
        return min(max(round(epochs * num_batches), minimum), num_batches * self.epochs // 2)

    def progress_string(self) -> str:
        """Return the heads of the progress lines; without a GPU the memory is this process's."""
        heads = super().progress_string()
        return heads.replace("GPU_mem", "    RAM") if self.device.type == "cpu" else heads  # type: ignore[no-any-return]

    def _get_memory(self, fraction: bool = False) -> float:
        """Return the memory in use in GB: the device's, on a CPU this process's; or the part of the device's."""
        if fraction or self.device.type != "cpu":
            return super()._get_memory(fraction)  # type: ignore[no-any-return]
        return psutil.Process().memory_info().rss / 2**30  # type: ignore[no-any-return]

    def _use_precision(self) -> None:
        """Tell stock's loop what to compute in; it has decided otherwise before."""
        self.amp = self.precision.half
        self.args.amp = "bf16" if self.precision.name == "bf16" and self.device.type == "cuda" else self.amp

    def auto_batch(self) -> int:
        """Return the batch size that fits the memory (--batch-size -1) in the precision that training will have."""
        self._use_precision()
        return int(super().auto_batch())

    def _model_train(self) -> None:
        """Begin an epoch: reset what must not depend on earlier ones."""
        self._adapt_loader()
        self.model.train()
        model = unwrap_model(self.model)
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and f"{name}.weight" in self.frozen:
                module.training = False  # not eval(), which would reach attention inside it
        seed = self.args.seed + RETRY_STRIDE * self.nan_recovery_attempts
        torch.manual_seed((seed * 1_000_003 + self.epoch) * self.process.world + self.process.rank)
        self.train_loader.sampler.seed = seed
        self.train_loader.sampler.set_epoch(self.epoch)
        self._batch = self._pending = self._skipped = 0
        self.trouble = ""
        if self.process.world > 1:
            self._agree(model)

    def _adapt_loader(self) -> None:
        """Take more loader processes where the last epoch's steps waited, until a choice stays."""
        if self.workers_given or not isinstance(self.train_loader, EpochLoader) or not self.train_loader.times.steps:
            return
        before = self.train_loader
        self.train_loader, line = before.adapted(self.device)
        self.workers_given = self.train_loader is before  # nothing more to choose
        LOGGER.info(line)

    def _agree(self, model: Any) -> None:
        """Begin an epoch alike in all processes: batch norms' averages, stopper's verdict, how the loss counts."""
        distributed.copy_from_first(model.buffers())
        self.stopper.possible_stop = distributed.from_first(lambda: self.stopper.possible_stop)
        model.criterion = model.criterion or model.init_criterion()
        model.criterion.shares = distributed.shares

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Move a batch to the device, as 0–1, at a size of its own with --multi-scale."""
        if self.args.multi_scale:
            random.seed(int(np.random.SeedSequence((self.args.seed, self.epoch, self._batch)).generate_state(1)[0]))
        batch = super().preprocess_batch(batch)
        batch["img"] = batch["img"].contiguous(memory_format=memory_format(self.device))
        self._seen = batch
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
        stepping = self._pending >= due or self._batch == batches
        if self._diverged(stepping):
            self.stop = True  # ends the epoch, which _handle_nan_recovery begins anew
            return
        if stepping:
            self._step()
            self._pending = 0
        if self._batch == batches and self._skipped:
            LOGGER.info(f"fp16: {self._skipped} steps of epoch {self.epoch + 1} skipped, their gradients overflowed")
        if self._batch == batches and self.tloss is not None:
            self.tloss = distributed.averaged(self.tloss)

    def _step(self) -> None:
        """Clip the gradients and step, as stock does, but for their norm: `_diverged` has computed it."""
        if self._norm is None:  # fp16's scaler first has to unscale them
            self.scaler.unscale_(self.optimizer)
            self._norm = divergence.gradient_norm(self.model)
        torch.nn.utils.clip_grads_with_norm_(self.model.parameters(), MAX_NORM, self._norm)
        before = self.scaler.get_scale() if self.scaler.is_enabled() else 0.0
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self._skipped += self.scaler.is_enabled() and self.scaler.get_scale() < before
        self.optimizer.zero_grad()
        if self.ema:
            self.ema.update(self.model)

    def _diverged(self, stepping: bool) -> bool:
        """Notice a loss, or gradients about to be used, that are not finite; fp16's scaler skips such steps itself."""
        finite = self.loss.isfinite()
        self._norm = None
        if stepping and not self.scaler.is_enabled():
            self._norm = divergence.gradient_norm(self.model)
            finite = finite & self._norm.isfinite()
        if not distributed.any_of(not finite, self.device):
            return False
        files = [Path(file).name for file in self._seen["im_file"]]
        model = unwrap_model(self.model)
        cause = divergence.diagnose(model, self._seen["img"], files, self.loss_items, self.precision)
        self.trouble = f"epoch {self.epoch + 1}, batch {self._batch} of {len(self.train_loader)}: {cause}"
        LOGGER.warning(self.trouble)
        return True

    def validate(self) -> tuple[Any, Any]:
        """Validate, unless the epoch is to be repeated anyway."""
        return (self.metrics, self.fitness) if self.trouble else super().validate()

    def _handle_nan_recovery(self, epoch: int) -> bool:
        """Let stock go back to last.pt, at most three times for an epoch; in the first one too.

        Raises:
            RunFailed: if the epoch goes wrong again and again, or there is nothing to go back to.
        """
        if not self.trouble:
            return super()._handle_nan_recovery(epoch)
        self.stop, self.loss = False, torch.full_like(self.loss, torch.nan)
        first, self.start_epoch = self.start_epoch, -1
        try:
            return super()._handle_nan_recovery(epoch)
        except RuntimeError as error:
            kept = f"; the last good state is {self.last}" if self.last.exists() else ""
            raise RunFailed(f"{self.trouble}; {error}{kept}") from None
        finally:
            self.start_epoch = first
