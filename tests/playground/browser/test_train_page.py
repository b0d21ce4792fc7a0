"""Train in headless Chromium: a moving curve, stopped, resumed, and the same weights as from the command line."""

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.cli.main import main as run_script
from models.weights.checkpoint import read_checkpoint
from tests.playground.browser.small_data import small_data

EPOCHS = 8


def same(one: Any, other: Any) -> bool:
    """Compare checkpoints' contents: every tensor and number."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.mark.slow  # three starts of train.py
def test_a_training_is_watched_stopped_and_resumed(page: Any, server: Any, root: Path, tmp_path: Path) -> None:
    data = small_data(server.folder / "allowed")
    page.goto("/train?lang=en")
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name="the weights' own").click()
    field = page.get_by_label("Data set (a name or a YAML of this machine)")
    field.fill(str(data))
    field.press("Enter")
    for label, value in (("Epochs", EPOCHS), ("Image size", 96), ("Batch size", 8), ("Name of the run", "watched")):
        page.get_by_label(label, exact=True).fill(str(value))
    page.click("#start")
    first, second = page.locator("[data-training='1']"), page.locator("[data-training='2']")
    first.get_by_text("running").wait_for()
    page.wait_for_function("document.querySelector('[data-epochs]')?.dataset.epochs >= 1")
    page.goto("about:blank")  # the page may be closed
    page.goto("/train?lang=en")
    first.get_by_text("running").wait_for()
    page.wait_for_function("document.querySelector('[data-epochs]')?.dataset.epochs >= 2")
    first.get_by_role("button", name="Stop").click()
    first.get_by_text("stopped").wait_for()
    first.get_by_role("button", name="Resume").click()
    second.get_by_text("done").wait_for()
    assert page.locator("[data-training='2'] [data-epochs]").get_attribute("data-epochs") == str(EPOCHS)
    log = (server.folder / "runs" / "train" / "watched" / "console.txt").read_text(encoding="utf-8")
    assert f"of {EPOCHS} epochs" in log.partition("continuing ")[2]
    command = page.inner_text("#command1").removeprefix("python train.py ").split()
    command[command.index("--project") + 1] = str(tmp_path)
    assert run_script("train", command) == 0
    mine = read_checkpoint(server.folder / "runs" / "train" / "watched" / "weights" / "last.pt")
    other = read_checkpoint(tmp_path / "watched" / "weights" / "last.pt")
    assert mine["training"]["epoch"] == EPOCHS - 1
    assert same(mine["weights"], other["weights"])
    assert same(mine["training"]["optimizer"], other["training"]["optimizer"])
