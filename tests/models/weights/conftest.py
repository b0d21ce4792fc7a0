"""Files for the tests of weights."""

from pathlib import Path
from typing import Any

import pytest
import torch

from models.weights.checkpoint import save_checkpoint
from tests.models.weights.fake import save_original


@pytest.fixture
def ours() -> dict[str, Any]:
    """The content of a checkpoint of ours."""
    generator = torch.Generator().manual_seed(0)
    return {
        "spec": {"nc": 2, "backbone": [[-1, 1, "Conv", [8, 3, 2]]], "head": [[[0], 1, "Detect", ["nc", "anchors"]]]},
        "names": {0: "ring", 1: "盒子"},
        "stride": [8.0, 16.0, 32.0],
        "weights": {
            "model.0.conv.weight": torch.randn(8, 3, 3, 3, generator=generator),
            "model.0.bn.num_batches_tracked": torch.tensor(12),
            "model.4+CBAM.gamma": torch.zeros(1, dtype=torch.float16),
        },
        "hyp": {"box": 0.05, "fl_gamma": 0.0},
        "training": {"epoch": 4, "optimizer": {"state": {0: {"momentum_buffer": torch.ones(8, 3, 3, 3)}}}},
        "provenance": {"command": "train.py", "seed": 0},
    }


@pytest.fixture(scope="session")
def valid_files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """A valid official zip, an official stream and a safetensors file of ours, as bytes."""
    folder = tmp_path_factory.mktemp("valid")
    save_original(folder / "a.pt")
    save_original(folder / "b.pt", legacy=True)
    content = {"spec": {}, "names": {0: "a"}, "stride": [8.0], "weights": {"w": torch.ones(9)}, "hyp": {}}
    save_checkpoint(Path(folder / "c.safetensors"), content)
    return [(folder / name).read_bytes() for name in ("a.pt", "b.pt", "c.safetensors")]
