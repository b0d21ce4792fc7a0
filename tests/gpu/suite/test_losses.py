"""Losses: the CPU's values, and few waits for the GPU."""

import pytest
import torch

from models import build_model

IMAGES, SIZE, CLASSES = 2, 256, 5
# Waits of the host in one call: every level of matching asks twice how many there are, the rest is assignment.
BUDGET = {"yolov5n": 9, "yolov7-tiny": 29, "yolov7-w6": 60}


def batch(targets=24):
    generator = torch.Generator().manual_seed(0)
    size = torch.rand(targets, 2, generator=generator) * 0.4 + 0.05
    return {
        "batch_idx": torch.randint(0, IMAGES, (targets,), generator=generator).float().sort().values,
        "cls": torch.randint(0, CLASSES, (targets, 1), generator=generator).float(),
        "bboxes": torch.cat((torch.rand(targets, 2, generator=generator) * 0.8 + 0.1, size), 1),
    }


def predictions(model):
    """Random logits of the shapes that the head returns in training."""
    head = model.model[-1]
    generator = torch.Generator().manual_seed(1)
    sides = [int(SIZE / stride) for stride in head.stride] * (2 if hasattr(head, "m2") else 1)
    return [torch.randn(IMAGES, head.na, side, side, CLASSES + 5, generator=generator) for side in sides]


@pytest.mark.parametrize("cfg", BUDGET)
def test_the_loss_is_the_cpus_and_waits_little(cfg, gpu, waits):
    torch.manual_seed(0)
    model = build_model(cfg, nc=CLASSES).train()
    maps, targets = [p.requires_grad_() for p in predictions(model)], batch()
    loss, terms = model.loss(targets, maps)
    loss.backward()

    model.criterion = None
    model.to(gpu)
    here = [p.detach().to(gpu).requires_grad_() for p in maps]
    targets = {name: value.to(gpu) for name, value in targets.items()}
    model.loss(targets, here)  # makes what is kept from batch to batch
    with waits() as seen:
        other, other_terms = model.loss(targets, here)
    other.backward()

    assert other.item() == pytest.approx(loss.item(), rel=1e-4)
    for name, value in terms.items():
        assert other_terms[name].item() == pytest.approx(value.item(), rel=1e-4)
    for mine, expected in zip(here, maps, strict=True):
        if expected.grad is not None:
            close = torch.isclose(mine.grad.cpu(), expected.grad, rtol=1e-3, atol=1e-6)
            assert close.float().mean() > 0.999  # of two candidates of equal cost a GPU may take the other
    assert len(seen) <= BUDGET[cfg], "\n".join(seen)
    print(f"{cfg}: {len(seen)} waits")
