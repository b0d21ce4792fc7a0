"""Reference weights, images and values of the original YOLOv7."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from models import import_official

TERMS = ("box_loss", "obj_loss", "cls_loss")


@pytest.fixture(scope="session")
def reference(shared: Path) -> Callable[[str], dict[str, Any]]:
    """Read the values of a model: yolov7-tiny from the shared data, the others from this folder."""

    def read(name: str) -> dict[str, Any]:
        here = Path(__file__).parent / "data" / f"{name}.json"
        return json.loads((here if here.is_file() else shared / "parity" / f"{name}.json").read_text())

    return read


@pytest.fixture(scope="session")
def official_state(fill: ModuleType) -> Callable[[Mapping[str, Any]], dict[str, Tensor]]:
    """Make the state dict of the original model that the values belong to."""

    def make(values: Mapping[str, Any]) -> dict[str, Tensor]:
        state = fill.fill_state({row[0]: row[1] for row in values["state_dict"]}, values["na"], values["fill_gain"])
        return state | {name: torch.tensor(value) for name, value in values["not_filled"].items()}

    return make


@pytest.fixture(scope="session")
def build(official_state: Callable[..., dict[str, Tensor]]) -> Callable[..., Any]:
    """Build a model of ours with the weights that the values belong to."""
    return lambda values, name: import_official(official_state(values), name)


@pytest.fixture(scope="session")
def sampled(fill: ModuleType) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return the sampled values of a tensor and the expected ones."""

    def take(tensor: Tensor, expected: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        assert list(tensor.shape) == expected["shape"]
        index = fill.sample_index(expected["key"], tensor.numel(), len(expected["values"]))
        return tensor.flatten()[index], torch.tensor(expected["values"])

    return take


@pytest.fixture(scope="session")
def image(fill: ModuleType) -> Callable[[Mapping[str, Any]], Tensor]:
    """Return an image that the values describe."""
    return lambda about: fill.image(about["key"], about["n"], about["h"], about["w"])


@pytest.fixture(scope="session")
def original_layout() -> Callable[[Any], Tensor]:
    """Turn our eval output into the original's: (B, N, 5 + nc) box, objectness, classes."""

    def turn(output: tuple[Tensor, list[Tensor]]) -> Tensor:
        decoded, raw = output
        rest = torch.cat([level.flatten(1, 3) for level in raw], 1)[..., 4:].sigmoid()
        return torch.cat((decoded[:, :4].transpose(1, 2), rest), 2)

    return turn


@pytest.fixture(scope="session")
def training_maps() -> Callable[..., list[Tensor]]:
    """Run a detector with its head in training mode and the rest in eval mode, as the values were made."""

    def run(detector: Any, x: Tensor) -> list[Tensor]:
        detector.eval()
        detector.model[-1].train()
        with torch.no_grad():
            maps = detector(x)
        detector.eval()
        return maps

    return run


@pytest.fixture(scope="session")
def check_loss() -> Callable[..., None]:
    """Compare a loss with its reference: total, terms and gradients, 1e-4 relative."""

    def check(detector: Any, maps: list[Tensor], targets: Tensor, expected: Mapping[str, Any], **switches: int) -> None:
        detector.hyp.update(expected.get("hyp", {}), **switches)
        detector.criterion = None
        leaves = [level.clone().requires_grad_() for level in maps]
        batch = {"batch_idx": targets[:, 0], "cls": targets[:, 1:2], "bboxes": targets[:, 2:], "img": torch.zeros(1)}
        total, items = detector.loss(batch, leaves)
        total.backward()
        assert total.item() == pytest.approx(expected["total"], rel=1e-4)
        assert [items[term].item() for term in TERMS] == pytest.approx(expected["items"][:3], rel=1e-4)
        if "grad_abs_sum_per_level" in expected:
            found = [leaf.grad.abs().sum().item() for leaf in leaves if leaf.grad is not None]
            assert found == pytest.approx(expected["grad_abs_sum_per_level"], rel=1e-4)

    return check


@pytest.fixture(scope="session")
def cells() -> Callable[[Any], list[list[int]]]:
    """Return the positives of one level as sorted [image, anchor, y, x]."""
    return lambda match: sorted(torch.stack((match.image, match.anchor, match.y, match.x), 1).tolist())
