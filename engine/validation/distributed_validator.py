"""Validate in distributed training: each process validates whole batches of its own."""

from typing import Any

from engine.runtime.distributed import from_all
from engine.validation.validator import Validator
from models.upstream import patches

ROWS = 12  # classes up to which the end of a training, which should fit a screen, has a line each


class SharedValidator(Validator):
    """Validate during training, whatever the number of processes.

    During training its loader has every n-th batch, each whole, and the first process gathers the others' detections:
    metrics are those of one process with batches of that size. When training is over, the first process validates the
    best weights alone.
    """

    def gather_stats(self) -> None:
        """Gather the statistics of all processes.

        Stock averages the sums of losses and divides by its own number of batches; processes may differ by one.
        """
        super().gather_stats()
        batches = from_all(len(self.dataloader))
        for value in self.loss.values() if self.training else ():
            value *= len(batches) * batches[0] / sum(batches)

    def alone(self, loader: Any, model: Any) -> dict[str, float]:
        """Validate a model in this process, when the others have left.

        Args:
            loader: of the whole split.
            model: a Detector.
        """
        self.dataloader = loader
        self.args.verbose = len(model.names) <= ROWS
        self.args.compile = False  # for one pass it would take longer than it saves
        self.args.quantize = None  # in training's own precision, `dtype`, not with weights in fp16
        with patches.single_process():
            return self(model=model)
