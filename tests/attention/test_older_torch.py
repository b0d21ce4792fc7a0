"""What old releases of PyTorch lack does the same in every release: this file runs on the oldest and the newest."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from attention import older_torch


class Telling(nn.Module):
    """Adds 1 while it is exported."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 1 if older_torch.is_exporting() else x


def test_an_export_is_told_from_eager_and_compiled_calls():
    x = torch.zeros(2)
    assert Telling()(x).tolist() == [0, 0]
    assert torch.export.export(Telling(), (x,), strict=False).module()(x).tolist() == [1, 1]
    torch.compiler.reset()
    assert torch.compile(Telling(), backend="eager")(x).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("records", "compiles", "exports"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_before_2_7_an_export_is_what_records_and_is_not_the_compiler(monkeypatch, records, compiles, exports):
    compiler = SimpleNamespace(is_compiling=lambda: records, is_dynamo_compiling=lambda: compiles)
    monkeypatch.setattr(older_torch, "torch", SimpleNamespace(compiler=compiler))
    assert older_torch.is_exporting() is exports


def test_an_argument_of_ddp_that_exists_keeps_buffers_alone(monkeypatch):
    [(name, value)] = older_torch.buffers_left_alone().items()
    assert name in older_torch.inspect.signature(DistributedDataParallel).parameters
    assert value is False

    class Old:
        def __init__(self, module, broadcast_buffers=True):
            pass

    class New:
        def __init__(self, module, broadcast_buffers=None, forward_sync_buffers=True):
            pass

    monkeypatch.setattr(older_torch, "DistributedDataParallel", Old)
    assert older_torch.buffers_left_alone() == {"broadcast_buffers": False}
    monkeypatch.setattr(older_torch, "DistributedDataParallel", New)
    assert older_torch.buffers_left_alone() == {"forward_sync_buffers": False}


def test_attention_is_counted_by_its_two_products():
    """2 multiply-adds … q·kᵀ: 5 × 7 × 8 for each of 2 × 3 heads; times v: 5 × 7 × 9."""
    assert older_torch._attention_flops((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 9)) == 2 * 2 * 3 * (5 * 7 * 8 + 5 * 7 * 9)
