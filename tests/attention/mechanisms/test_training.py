"""Every mechanism in a detector's neck, by one line of YAML, through a real epoch on real digits."""

from pathlib import Path

import pytest
import torch

from attention import ATTENTION
from data.digits import write
from engine.training.run import train

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TRAIN, VAL, SIZE, BATCH = 32, 8, 128, 8


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first images of the embedded data set."""
    folder = tmp_path_factory.mktemp("digits")
    write(folder)
    for split, count in (("train", TRAIN), ("val", VAL)):
        images = sorted((folder / "images" / split).iterdir())[:count]
        (folder / f"{split}.txt").write_text("".join(f"{image}\n" for image in images))
    names = ", ".join(f'"{digit}"' for digit in range(10))
    (folder / "data.yaml").write_text(f"train: train.txt\nval: val.txt\nnames: [{names}]\n")
    return folder / "data.yaml"


@pytest.mark.parametrize("amp", ["off", "bf16"])
@pytest.mark.parametrize("name", ATTENTION.names())
def test_one_epoch_without_nan(name: str, amp: str, digits: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f"base: yolov5n\nattention: [{{module: {name}, at: [neck.P3, neck.P4, neck.P5]}}]\n")
    trainer = train(
        data=str(digits),
        cfg=str(overlay),
        weights="",
        imgsz=SIZE,
        batch_size=BATCH,
        epochs=1,
        workers=0,
        device="cpu",
        amp=amp,
        noplots=True,
        noautoanchor=True,
        project=str(tmp_path / "runs"),
    )
    assert trainer.precision.name == {"off": "fp32"}.get(amp, amp)
    assert trainer.nan_recovery_attempts == 0
    (row,) = trainer.rows
    losses = [value for key, value in row.items() if "loss" in key]
    assert len(losses) == 6
    assert torch.tensor(losses).isfinite().all()
    assert sum(type(part) is ATTENTION[name] for part in trainer.model.modules()) == 3
    assert all(value.isfinite().all() for value in trainer.model.state_dict().values())
