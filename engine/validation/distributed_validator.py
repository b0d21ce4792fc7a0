"""Validation in training when several processes train: each validates whole batches of its own."""

from typing import Any

from engine.runtime.distributed import from_all
from engine.validation.validator import Validator
from models.upstream import patches


class SharedValidator(Validator):
    """The validator of a training, whatever the number of processes.

    During training its loader has every n-th batch, each whole, and the first process gathers what the others found:
    metrics are those of one process with batches of that size. When training is over, the first process validates the
    best weights alone.
    """

    def gather_stats(self) -> None:
        """Bring the statistics of all processes together.

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
        with patches.single_process():
            return self(model=model)
