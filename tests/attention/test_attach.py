"""attach(): mechanisms into networks that know nothing of them."""

import copy
import pickle
import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_small, resnet18, vgg

from attention import attach

EXAMPLE = torch.zeros(1, 3, 64, 64)


class Tiny(nn.Module):
    """A user's own network, with an unused layer and one that returns two values."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.body = nn.Sequential(nn.Conv2d(8, 12, 3), nn.BatchNorm2d(12), nn.ReLU())
        self.pair = nn.LSTM(12, 4)
        self.unused = nn.Conv2d(1, 1, 1)
        self.head = nn.Linear(12, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(self.stem(x))
        self.pair(y.mean((2, 3)))
        return self.head(y.mean((2, 3)))


def vgg_features() -> nn.Module:
    """VGG-11 without its 124 million weights of linear layers."""
    return vgg.make_layers(vgg.cfgs["A"], batch_norm=False)


@pytest.mark.parametrize(
    ("build", "places"),
    [
        (resnet18, {"layer[12]": "CBAM", "layer3.*.conv2": ("SE", {"reduction": 8})}),
        (vgg_features, {"[368]": "ECA"}),
        (mobilenet_v3_small, {"features.4.block.0": "SimAM", "features.8": "CoordAtt"}),
    ],
    ids=["resnet", "vgg", "mobilenet"],
)
def test_torchvision_networks(build: type, places: dict[str, str]) -> None:
    torch.manual_seed(0)
    model = build().eval()
    x = torch.randn(1, 3, 64, 64)
    before, keys = model(x), list(model.state_dict())
    assert attach(model, places, EXAMPLE, identity=True) is model
    assert torch.equal(model(x), before)
    added = [key for key in model.state_dict() if key not in keys]
    assert [key for key in model.state_dict() if key in keys] == keys
    assert all(".attention." in key for key in added)
    for duplicate in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(duplicate(x), before)
        assert isinstance(duplicate, type(model))


class Locked(nn.Conv2d):
    """Has what no pickle takes, and says so, as Python's own classes do."""

    def __init__(self) -> None:
        super().__init__(3, 4, 1)
        self.lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "lock"}


def test_a_class_that_says_what_is_copied_of_it_is_asked() -> None:
    model = attach(nn.Sequential(Locked()), {"0": "SE"}, EXAMPLE).eval()
    x = torch.randn(1, 3, 8, 8)
    for duplicate in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(duplicate(x), model(x))
        assert not hasattr(duplicate[0], "lock")


def test_the_output_is_the_attended_one() -> None:
    model, x = Tiny().eval(), torch.randn(2, 3, 16, 16)
    stem = copy.deepcopy(model.stem)
    attach(model, {"stem": "SimAM"}, EXAMPLE)
    assert torch.equal(model.stem(x), model.stem.attention(stem(x)))
    assert isinstance(model.stem, nn.Conv2d)


def test_two_mechanisms_run_in_the_order_in_which_they_came() -> None:
    model, x = Tiny().eval(), torch.randn(2, 3, 16, 16)
    plain = {name: copy.deepcopy(getattr(model, name)) for name in ("stem", "body")}
    attach(attach(model, {"stem": "SE", "body": "SE"}, EXAMPLE), {"stem": "SimAM", "body": "SimAM"}, EXAMPLE)
    assert torch.equal(model.stem(x), model.stem.attention2(model.stem.attention(plain["stem"](x))))
    y = model.stem(x)
    assert torch.equal(model.body(y), model.body.attention2(model.body.attention(plain["body"](y))))


def test_modes_statistics_and_gradients_are_left_as_they_were() -> None:
    model = Tiny().train()
    model.stem.eval()
    attach(model, {"body": "SE"}, EXAMPLE)
    assert model.training
    assert not model.stem.training
    assert model.body.attention.training
    assert int(model.body[1].num_batches_tracked) == 0
    model(torch.randn(2, 3, 16, 16)).sum().backward()
    assert model.body.attention.fc2.weight.grad is not None


def test_sequences_and_volumes() -> None:
    for dims, conv in ((1, nn.Conv1d), (3, nn.Conv3d)):
        model = nn.Sequential(conv(2, 8, 3), nn.ReLU())
        attach(model, {"0": "SE"}, torch.zeros(1, 2, *(5,) * dims))
        assert model(torch.randn(2, 2, *(6,) * dims)).shape == (2, 8, *(4,) * dims)
    with pytest.raises(ValueError, match=r"SimAM works on \(B, C, H, W\), but 0 returns \(1, 8, 3\)"):
        attach(nn.Sequential(nn.Conv1d(2, 8, 3)), {"0": "SimAM"}, torch.zeros(1, 2, 5))


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({"stemm": "SE"}, r"no submodule is named 'stemm'; did you mean stem\?"),
        ({"xyz.*": "SE"}, r"no submodule is named 'xyz.\*'; top-level ones: stem, body, pair"),
        ({"stem": "CBAMM"}, "did you mean CBAM"),
        ({"stem": ("SE", {"ratio": 2})}, "SE has no option 'ratio'"),
        ({"unused": "SE"}, "unused did not run on the example"),
        ({"pair": "SE"}, r"pair returns a tuple, expected one map"),
        ({"head": "SE"}, r"head returns a tensor \(1, 2\), expected one map"),
        ({"stem": "SE", "ste*": "SE"}, r"stem is named twice in places, by 'ste\*'"),
    ],
)
def test_mistakes_are_named_and_leave_the_network_alone(places: dict[str, str], message: str) -> None:
    model = Tiny()
    keys = list(model.state_dict())
    with pytest.raises(ValueError, match=message):
        attach(model, {"body": "SE", **places} if "body" not in places else places, EXAMPLE)
    assert list(model.state_dict()) == keys


def test_a_layer_that_runs_with_different_widths_is_refused() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()
            self.conv = nn.Conv2d(3, 5, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.conv(self.act(x)))

    with pytest.raises(ValueError, match="act runs more than once, with 3 and 5 channels"):
        attach(Twice(), {"act": "SE"}, EXAMPLE)


@pytest.mark.parametrize(
    ("build", "places"),
    [(lambda: resnet18(num_classes=2), {"layer[34]": "CBAM", "layer4.*.conv2": "SE"}), (Tiny, {"body": "SE"})],
    ids=["resnet", "own"],
)
def test_a_network_with_attention_is_trained(build, places: dict[str, str]) -> None:
    """Bright left or bright right: after a few steps the loss is lower, and every mechanism has moved."""
    torch.manual_seed(0)
    model = attach(build(), places, EXAMPLE, identity=True)
    images, labels = torch.randn(8, 3, 32, 32), torch.arange(8) % 2
    images[labels == 1, 0] += 3
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    before = {name: value.clone() for name, value in model.named_parameters() if name.endswith("gamma")}
    assert len(before) >= len(places)
    losses = []
    for _ in range(8):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    parameters = dict(model.named_parameters())
    assert all((parameters[name] != value).any() for name, value in before.items())


@pytest.mark.parametrize(
    "place", [("SE",), ("SE", None), ("SE", [1]), None, nn.Conv2d(8, 8, 1), nn.Identity, {"SE": {}}]
)
def test_what_is_no_mechanism_is_refused_and_nothing_changed(place) -> None:
    model = Tiny()
    with pytest.raises(ValueError, match=r"stem: .* is no mechanism; give a name"):
        attach(model, {"body": "SE", "stem": place}, EXAMPLE)
    assert list(model.state_dict()) == list(Tiny().state_dict())


def test_places_are_a_mapping_and_a_number_is_the_name_of_a_row() -> None:
    with pytest.raises(ValueError, match="places is a list, expected"):
        attach(Tiny(), ["stem"], EXAMPLE)
    model = attach(nn.Sequential(nn.Conv2d(3, 8, 1)), {0: "SE"}, EXAMPLE)
    assert type(model[0].attention).__name__.startswith("SE")
