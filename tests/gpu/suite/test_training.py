"""train.py: each precision from the first forward pass to the last validation, other devices, too little memory."""

import csv
import math
from contextlib import contextmanager

import pytest
import torch

from engine.training.run import train
from models.network.detector import Detector

pytestmark = pytest.mark.filterwarnings("ignore")
DTYPES = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@contextmanager
def forward_passes(monkeypatch):
    """Note what each forward pass on a GPU computes in: autocast's dtype, and that of the weights."""
    seen = set()
    plain = Detector._predict_once

    def watched(self, x, *args, **kwargs):
        if x.is_cuda and len(x) > 1:  # a single image is ultralytics' warm-up
            dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else None
            seen.add((self.training, dtype, next(self.parameters()).dtype))
        return plain(self, x, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Detector, "_predict_once", watched)
        yield seen


def table(trainer):
    with trainer.csv.open() as file:
        return [{name.strip(): float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.parametrize("amp", DTYPES)
def test_one_precision_from_training_to_the_last_validation(amp, options, monkeypatch):
    if amp == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("this GPU has no bfloat16")
    with forward_passes(monkeypatch) as seen:
        trainer = train(**options, amp=amp)
    assert seen == {(training, DTYPES[amp], torch.float32) for training in (True, False)}
    rows = table(trainer)
    assert len(rows) == 1
    assert all(math.isfinite(value) for value in rows[0].values())


def test_float32_is_what_the_cpu_computes(gpu, options):
    rows = [table(train(**{**options, "device": device}, amp="off", name=f"on-{device}"))[0] for device in ("cpu", "0")]
    for name in ("train/box_loss", "train/obj_loss", "val/box_loss", "val/obj_loss"):
        assert rows[1][name] == pytest.approx(rows[0][name], rel=1e-3)


def test_a_run_in_bfloat16_goes_on_in_float16(options, monkeypatch):
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("this GPU has no bfloat16")
    epochs = []

    def stop(self):
        epochs.append(self.epoch)
        if self.epoch:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        from engine.training.trainer import DetectorTrainer

        plain = DetectorTrainer._model_train
        patch.setattr(DetectorTrainer, "_model_train", lambda self: (stop(self), plain(self)))
        with pytest.raises(KeyboardInterrupt):
            train(**{**options, "epochs": 2}, amp="auto", name="cut")
    last = f"{options['project']}/cut/weights/last.pt"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    trainer = train(resume=last, device="0")
    assert trainer.precision.name == "fp16"
    assert [row["epoch"] for row in table(trainer)] == [1, 2]


def test_fp16_wastes_no_steps(options):
    trainer = train(**options, amp="fp16")
    assert trainer._skipped == 0
    assert trainer.scaler.get_scale() == 1024
