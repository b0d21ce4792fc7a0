"""`identity: true` in a pretrained detector: the same detections to the last bit, at every place, fused or not."""

import copy
from pathlib import Path

import pytest
import torch

from attention import ATTENTION, IdentityStart, build_attention
from models import Detector, build_model, load_model

QUICK = ["SE", "CBAM", "NonLocal"]


Pretrained = tuple[Path, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]


def outputs(detector: Detector, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the decoded output of a detector and of its fused copy."""
    with torch.no_grad():
        return detector.eval()(image)[0], copy.deepcopy(detector).fuse(verbose=False)(image)[0]


@pytest.fixture(scope="module")
def pretrained(shared: Path) -> Pretrained:
    """The real yolov5n, an image and its outputs."""
    path = shared / "weights" / "yolov5n.pt"
    image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    return path, image, outputs(load_model(path), image)


def check(entry: dict[str, object], pretrained: Pretrained) -> None:
    """The output must not move until the gates open, and must move then."""
    path, image, expected = pretrained
    detector = build_model("yolov5n", attention=[{**entry, "identity": True}], weights=path)
    assert not detector.transfer_report.missing + detector.transfer_report.mismatched
    found = outputs(detector, image)
    assert (found[0] - expected[0]).abs().max() == 0
    assert (found[1] - expected[1]).abs().max() == 0
    wrapped = [module for module in detector.modules() if isinstance(module, IdentityStart)]
    if not wrapped:
        assert build_attention(str(entry["module"]), 32).starts_at_identity
        return
    with torch.no_grad():
        for module in wrapped:
            module.gamma.fill_(1.0)
        assert not torch.equal(detector(image)[0], expected[0])


@pytest.mark.slow
@pytest.mark.parametrize("row", range(24))
def test_at_every_row(row: int, pretrained: Pretrained) -> None:
    check({"module": "CBAM", "at": row}, pretrained)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Conv", "C3", "SPPF"])
@pytest.mark.parametrize("where", ["each", "last"])
def test_inside(kind: str, where: str, pretrained: Pretrained) -> None:
    check({"module": "SE", "inside": kind, "where": where}, pretrained)


@pytest.mark.parametrize(
    "module", [pytest.param(m, marks=() if m in QUICK else pytest.mark.slow) for m in ATTENTION.names()]
)
def test_mechanisms(module: str, pretrained: Pretrained) -> None:
    check({"module": module, "at": ["backbone.P3", "neck.P4"]}, pretrained)


def test_between(pretrained: Pretrained) -> None:
    check({"module": "SE", "between": [4, 16]}, pretrained)


def test_gradient_reaches_gate_then_mechanism() -> None:
    detector = build_model("yolov5n", nc=2, attention=["SE@4"], identity=True).train()
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(detector.parameters(), lr=0.1)
    names = ["model.4+SE.gamma", "model.4+SE.attention.fc1.weight"]
    sizes = []
    for _ in range(2):
        optimizer.zero_grad()
        torch.stack([level.square().mean() for level in detector(image)]).sum().backward()
        grads = [detector.get_parameter(name).grad for name in names]
        sizes.append([float(grad.abs().max()) for grad in grads if grad is not None])
        optimizer.step()
    assert sizes[0][0] > 0
    assert sizes[0][1] == 0
    assert sizes[1][1] > 0
