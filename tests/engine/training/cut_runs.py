"""Cut a training short, and compare what a resumed run ends with to the end of one that was not cut."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from engine.training.trainer import DetectorTrainer
from models.weights.checkpoint import read_checkpoint


class Cut(Exception):
    """Stands for a kill."""


@contextmanager
def cut_in_epoch(number: int) -> Iterator[None]:
    """End the training within before it validates an epoch, counted from 1."""
    validate = DetectorTrainer.validate

    def validate_or_end(trainer: DetectorTrainer) -> object:
        if trainer.epoch + 1 == number:
            raise Cut
        return validate(trainer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DetectorTrainer, "validate", validate_or_end)
        with pytest.raises(Cut):
            yield


def assert_same_end(one: Path, other: Path) -> None:
    """Compare two last.pt to the bit: weights, what trains on, and the table of results but for the seconds."""
    ends = [read_checkpoint(path) for path in (one, other)]
    for part in (lambda end: end["weights"], lambda end: end["training"]["live"]):
        assert part(ends[0]).keys() == part(ends[1]).keys()
        assert all(torch.equal(part(ends[0])[key], value) for key, value in part(ends[1]).items())
    rows = [[{k: v for k, v in row.items() if k != "time"} for row in end["training"]["results"]] for end in ends]
    assert rows[0] == rows[1]
