"""Synchronised batch normalisation keeps what stands on the plain one."""

import torch
from torch import nn

from attention import attach
from engine.training.sync_batchnorm import synchronize_batchnorms


def test_attention_on_a_batchnorm_stays():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.BatchNorm2d(8)).eval()
    image = torch.rand(2, 3, 16, 16)
    attach(model, {"1": "SE"}, image)
    before, names = model(image), list(model.state_dict())
    synchronize_batchnorms(model)
    assert isinstance(model[1], nn.SyncBatchNorm)
    assert isinstance(model[3], nn.SyncBatchNorm)
    assert list(model.state_dict()) == names
    assert torch.equal(model(image), before)
    with torch.no_grad():
        model[1].attention.register_forward_hook(lambda module, given, made: made * 2)
    assert not torch.equal(model(image), before)  # it runs


def test_it_is_what_pytorch_converts_to():
    model = nn.Sequential(nn.BatchNorm2d(4, eps=0.1, momentum=0.3))
    stock = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm2d(4, eps=0.1, momentum=0.3)))[0]
    synchronize_batchnorms(model)
    for name in ("eps", "momentum", "affine", "num_features", "process_group", "track_running_stats"):
        assert getattr(model[0], name) == getattr(stock, name)
