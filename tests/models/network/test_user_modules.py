"""A user's module keeps its own attributes: nothing of the detector's bookkeeping is written on it."""

import copy
import io
from collections.abc import Iterator
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from attention import ATTENTION
from models import Detector, build_model, register_block, scaled
from models.catalog.registry import BLOCKS
from models.upstream.layers import Conv


class ByType(nn.Module):
    """x · σ(max) if `type` says so, x · σ(mean) otherwise."""

    def __init__(self, channels: int, type: str = "max") -> None:
        super().__init__()
        self.type = type
        self.scale = nn.Parameter(torch.linspace(-1, 1, channels).view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.amax((2, 3), True) if self.type == "max" else x.mean((2, 3), True)
        return x * (pooled * self.scale).sigmoid()


class Layers(nn.Module):
    """Layers under the names f, np and fuse, a number under i."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.f = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.Sigmoid())
        self.np = nn.BatchNorm2d(channels)
        self.fuse = nn.Conv2d(channels, channels, 1)
        self.i = 0.25

    def forward(self, x: Tensor) -> Tensor:
        return self.np(x) * self.f(x) + self.i * self.fuse(x)


class Tensors(nn.Module):
    """A buffer f, a parameter i, a read-only property np and methods type and fuse."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("f", torch.full((channels, 1, 1), 3.0))
        self.i = nn.Parameter(torch.full((channels, 1, 1), 0.5))

    @property
    def np(self) -> float:
        return 2.0

    def type(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return x * self.i

    def fuse(self, one: Tensor, other: Tensor) -> Tensor:
        return one + other * self.np

    def forward(self, x: Tensor) -> Tensor:
        return self.fuse(self.type(x), x.clamp(max=1) * self.f)


def by_type(module: Any, x: Tensor) -> Tensor:
    return x * (x.flatten(2).max(2).values[..., None, None] * module.scale).sigmoid()


def layers(module: Any, x: Tensor) -> Tensor:
    convolution = module.f[0](x)
    third = torch.nn.functional.conv2d(x, module.fuse.weight, module.fuse.bias)
    norm = torch.nn.functional.batch_norm(
        x, module.np.running_mean, module.np.running_var, module.np.weight, module.np.bias, eps=module.np.eps
    )
    return norm / (1 + (-convolution).exp()) + 0.25 * third


def tensors(_: Any, x: Tensor) -> Tensor:
    return 0.5 * x + 6 * x.clamp(max=1)


# What each must compute in eval mode, worked out from its text.
EXPECTED = {ByType: by_type, Layers: layers, Tensors: tensors}
MECHANISMS = tuple(EXPECTED)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """Enter the mechanisms, and take them out afterwards."""
    for cls in MECHANISMS:
        ATTENTION.register(cls.__name__)(cls)
    yield
    for cls in MECHANISMS:
        del ATTENTION._entries[cls.__name__]


def only(detector: Detector, cls: type[nn.Module]) -> nn.Module:
    (module,) = (module for module in detector.modules() if type(module) is cls)
    return module


def entries(name: str) -> dict[str, dict[str, Any]]:
    return {
        "at": {"module": name, "at": 4},
        "identity": {"module": name, "at": 4, "identity": True},
        "inside": {"module": name, "inside": 4, "where": "last"},
        "between": {"module": name, "between": [4, 8]},
    }


PLACES = ("at", "identity", "inside", "between", "row")


def model(cls: type[nn.Module], place: str, small: dict[str, Any]) -> Detector:
    if place == "row":
        small["backbone"][4] = [-1, 1, cls.__name__, []]
        return build_model(small, seed=1)
    return build_model(small, attention=[entries(cls.__name__)[place]], seed=1)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("cls", MECHANISMS)
def test_a_mechanism_computes_what_it_says(cls: type[nn.Module], place: str, small: dict[str, Any]) -> None:
    """In eval mode, in a copy, fused, and after a step in training mode."""
    detector = model(cls, place, small)
    image = torch.rand(1, 3, 64, 64)
    alone = ATTENTION[cls.__name__](16)
    assert set(alone.state_dict()) == set(only(detector, cls).state_dict())
    raw = detector.train()(image)
    sum(level.square().sum() for level in raw).backward()
    for form in (detector.eval(), copy.deepcopy(detector), copy.deepcopy(detector).fuse(verbose=False)):
        module = only(form, cls)
        assert vars(module).keys() == vars(alone).keys()  # nothing was written on it
        seen: list[tuple[Tensor, Tensor]] = []
        handle = module.register_forward_hook(lambda _, args, out, seen=seen: seen.append((args[0], out)))
        with torch.no_grad():
            assert torch.isfinite(form(image)[0]).all()
            handle.remove()
            (given, made), *rest = seen
            assert not rest
            assert torch.allclose(made, EXPECTED[cls](module, given), atol=1e-5)


@pytest.mark.parametrize("cls", MECHANISMS)
def test_identity_starts_as_the_plain_model(cls: type[nn.Module], small: dict[str, Any]) -> None:
    image = torch.rand(1, 3, 64, 64)
    plain = build_model(small, seed=1).eval()
    closed = model(cls, "identity", small).eval()
    with torch.no_grad():
        assert torch.equal(plain(image)[0], closed(image)[0])
        assert torch.equal(plain.fuse()(image)[0], closed.fuse()(image)[0])


@pytest.mark.parametrize("cls", MECHANISMS)
def test_state_dict_keys_are_the_mechanism_s_own(cls: type[nn.Module], small: dict[str, Any]) -> None:
    base = set(build_model(small).state_dict())
    keys = set(model(cls, "at", small).state_dict())
    assert keys - base == {f"model.4+{cls.__name__}.{key}" for key in ATTENTION[cls.__name__](16).state_dict()}
    assert base <= keys


@pytest.mark.filterwarnings("ignore")  # of exporters that PyTorch will drop one day, which still are targets
@pytest.mark.parametrize("cls", MECHANISMS)
def test_a_mechanism_is_exported(cls: type[nn.Module], small: dict[str, Any]) -> None:
    detector = model(cls, "at", small).eval().fuse(verbose=False)
    image, stream = torch.rand(1, 3, 64, 64), io.BytesIO()
    detector.model[-1].export = True
    expected = detector(image).detach()
    traced = torch.jit.trace(detector, image, check_trace=False)
    assert torch.allclose(traced(image), expected, atol=1e-4)
    torch.onnx.export(detector, (image,), stream, input_names=["images"], dynamo=False)
    session = onnxruntime.InferenceSession(stream.getvalue(), providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"images": image.numpy()})
    assert torch.allclose(torch.from_numpy(made), expected, atol=1e-3)


def test_a_block_keeps_its_attributes(small: dict[str, Any]) -> None:
    """A plugin's block too, even one that inherits from a layer of ultralytics."""

    class OwnConv(Conv):
        def __init__(self, c1: int, c2: int, kernel: int = 1) -> None:
            super().__init__(c1, c2, kernel)
            self.f, self.type, self.np = nn.Identity(), "relu", 7

        def forward(self, x: Tensor) -> Tensor:
            x = self.f(super().forward(x))
            return x.relu() * self.np if self.type == "relu" else x

    register_block(scaled())(OwnConv)
    try:
        small["backbone"][4] = [-1, 1, "OwnConv", [16, 1]]
        detector = build_model(small).eval()
        block = detector.model[4]
        assert (type(block), block.type, block.np) == (OwnConv, "relu", 7)
        x = torch.rand(1, 16, 8, 8)
        assert torch.equal(block(x), Conv.forward(block, x).relu() * 7)
        assert torch.isfinite(detector(torch.rand(1, 3, 64, 64))[0]).all()
    finally:
        del BLOCKS._entries["OwnConv"]


def test_layers_of_ultralytics_and_ours_carry_their_route(small: dict[str, Any]) -> None:
    """What ultralytics' tools read on a layer is there, and agrees with the routes that the forward pass takes."""
    detector = build_model(small, attention=["SE@4"])
    for route, layer, resolved in zip(detector.routes, detector.model, detector.spec.layers, strict=True):
        assert (layer.i, layer.f, layer.type) == (route.position, route.sources, resolved.module)
        assert layer.np == sum(p.numel() for p in layer.parameters())
    assert detector.routes[5].sources == -1
    assert detector.routes[-1].sources[0] > 0


def test_layers_can_be_timed_and_embedded(small: dict[str, Any]) -> None:
    detector = model(Layers, "at", small).eval()
    image = torch.rand(2, 3, 64, 64)
    maps: list[Tensor] = []
    detector.model[5].register_forward_hook(lambda _, __, out: maps.append(out))
    with torch.no_grad():
        plain = detector(image)[0]
        assert torch.equal(detector.predict(image, profile=True)[0], plain)
        one, two = detector.predict(image, embed=[5])
    assert torch.allclose(torch.stack((one, two)), maps[0].flatten(2).mean(2), atol=1e-6)


@pytest.mark.parametrize("name", ["torchvision.ops.SqueezeExcitation", "torch.nn.BatchNorm2d"])
def test_library_modules_work_as_layers(name: str, small: dict[str, Any]) -> None:
    detector = build_model(small, attention=[f"{name}@4"]).eval()
    assert torch.isfinite(detector(torch.rand(1, 3, 64, 64))[0]).all()
