"""train.py that tells what tests want to know: python watched_train.py FLAGS.

WATCH=checksums prints a hash of all tensors of this process before each epoch. WATCH=gradients FILE writes the
gradients of the first step, computed with batch norms that do not depend on the batch, and ends.
"""

import hashlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import torch

from engine.cli.main import main
from engine.training import run as training
from engine.training.trainer import DetectorTrainer
from models.upstream.training import unwrap_model

WATCH, _, FILE = os.environ.get("WATCH", "").partition(" ")


def checksum(module):
    """Return a hash of all parameters and buffers."""
    digest = hashlib.sha256()
    for value in module.state_dict().values():
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class Watched(DetectorTrainer):
    """A trainer that tells."""

    def _model_train(self):
        super()._model_train()
        model = unwrap_model(self.model)
        if WATCH == "checksums":
            sys.stdout.write(f"CHECKSUM {self.epoch} {self.process.rank} {os.getpid()} {checksum(model)}\n")
            sys.stdout.flush()
        if WATCH == "gradients":
            for module in model.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.eval()

    def optimizer_step(self):
        if WATCH == "gradients":
            gradients = {name: value.grad for name, value in unwrap_model(self.model).named_parameters()}
            if self.process.rank == 0:
                torch.save({"gradients": gradients, "loss": {k: float(v) for k, v in self.loss_items.items()}}, FILE)
            raise SystemExit(0)
        super().optimizer_step()


training.DetectorTrainer = Watched

if __name__ == "__main__":
    sys.exit(main("train"))
