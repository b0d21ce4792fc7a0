"""What is said at the end of a training, and when it is interrupted."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.training.end_report import how_to_go_on


@pytest.mark.parametrize("trained", [False, True])
def test_an_interruption_names_the_command_that_is_left(tmp_path: Path, trained: bool) -> None:
    """A run whose epochs are all done cannot be resumed: only the best weights are not measured yet."""
    folder = tmp_path / "my runs"
    folder.mkdir()
    best, last = folder / "best.pt", folder / "last.pt"
    best.touch()
    options = {"data": "digits", "plugin": []}
    trainer: Any = SimpleNamespace(
        trained=trained, best=best, last=last, args=SimpleNamespace(imgsz=320), options=options
    )
    expected = f"python val.py --weights '{best}' --data digits --img 320" if trained else f"--resume '{last}'"
    said = how_to_go_on(trainer)
    assert said.endswith(expected)
    assert ("--resume" in said) is not trained
