"""What is constant at inference is folded, and nothing changes by it."""

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models import resnet18

from attention import ATTENTION, attach, build_attention
from attention.docs.limits import LIMITS
from attention.fuse import fold, remove_closed


def settled(name: str) -> nn.Module:
    """A mechanism whose parameters and statistics are not those of a new one."""
    torch.manual_seed(0)
    module = build_attention(name, 24)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter) / max(parameter[0].numel() if parameter.dim() else 1, 1))
    for _ in range(2):
        module(torch.randn(4, 24, 9, 8) + 1)
    return module.double().eval()


@pytest.mark.parametrize("name", ATTENTION.names())
def test_folding_keeps_the_output(name: str) -> None:
    module, x = settled(name), torch.randn(2, 24, 9, 8, dtype=torch.float64)
    before = module(x)
    for _ in range(2):
        assert fold(module) == []
    torch.testing.assert_close(module(x), before, rtol=1e-10, atol=1e-10)
    assert any(isinstance(part, _BatchNorm) for part in module.modules()) == ("fold" in LIMITS.get(name, {}))


@pytest.mark.parametrize("name", [name for name in ATTENTION.names() if hasattr(ATTENTION[name], "fuse")])
def test_folding_needs_eval_mode(name: str) -> None:
    with pytest.raises(RuntimeError, match=r"call \.eval"):
        fold(settled(name).train())


def test_gates_that_stayed_shut_are_taken_out_with_a_line() -> None:
    torch.manual_seed(0)
    model = resnet18().eval()
    x = torch.randn(1, 3, 64, 64)
    attach(model, {"layer[12]": "CBAM", "layer3.*.conv2": "SE"}, x, identity=True)
    model.layer1.attention.index = 7  # what a network keeps on its layer
    with torch.no_grad():
        model.layer2.attention.gamma += 0.5
    before = model(x)
    assert remove_closed(model) == [
        "layer1.attention: CBAM taken out: its gate γ is 0, so it changes nothing",
        "layer3.0.conv2.attention: SE taken out: its gate γ is 0, so it changes nothing",
        "layer3.1.conv2.attention: SE taken out: its gate γ is 0, so it changes nothing",
    ]
    assert torch.equal(model(x), before)
    assert isinstance(model.layer1.attention, nn.Identity)
    assert model.layer1.attention.index == 7
    assert type(model.layer2.attention.attention).__name__ == "CBAM"
    assert remove_closed(model) == []
