"""Training where there is no float64, and on the second of two GPUs."""

import pytest
import torch

from engine.training.run import train

pytestmark = pytest.mark.filterwarnings("ignore")


def test_training_on_the_last_gpu(options):
    number = torch.cuda.device_count() - 1
    trainer = train(**{**options, "device": str(number)}, amp="off")
    assert trainer.device == torch.device("cuda", number)
    assert trainer.rows[-1]["epoch"] == 1
