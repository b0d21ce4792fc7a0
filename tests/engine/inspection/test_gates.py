"""Gate values against the formulas, computed here from the weights and the map that goes in."""

import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attention import ATTENTION
from attention.identity_start import IdentityStart
from attention.registry import construct
from engine.detection.frames import Frame
from engine.detection.result import FrameDetections
from engine.inspection.gate_values import classify
from engine.inspection.gates import read_gates
from engine.inspection.observer import read_features
from engine.inspection.places import AttentionPlace, attention_places, feature_layers
from engine.inspection.sheets import ImageView, gate_sheet
from engine.ops.letterbox import Letterbox
from models import build_model


def sigmoid_of(logits):
    return 1 / (1 + torch.exp(-logits))


def se(module, x):
    hidden = (x.mean((2, 3)) @ module.fc1.weight.T + module.fc1.bias).clamp(min=0)
    return [sigmoid_of(hidden @ module.fc2.weight.T + module.fc2.bias)]


def cbam(module, x):
    def mlp(pooled):
        return (pooled @ module.fc1.weight.T + module.fc1.bias).clamp(min=0) @ module.fc2.weight.T + module.fc2.bias

    channel = sigmoid_of(mlp(x.mean((2, 3))) + mlp(x.amax((2, 3))))
    gated = x * channel[:, :, None, None]
    planes = torch.stack((gated.amax(1), gated.mean(1)), 1)
    conv, norm = module.spatial.conv, module.spatial.bn
    z = F.conv2d(planes, conv.weight, conv.bias, padding=conv.kernel_size[0] // 2)
    return [channel, sigmoid_of(normalised(z, norm))]


def sk(module, x):
    maps = []
    for branch in module.convs:
        conv = branch.conv
        z = F.conv2d(x, conv.weight, conv.bias, padding=conv.kernel_size[0] // 2)
        maps.append(normalised(z, branch.bn).clamp(min=0))
    z = sum(maps).mean((2, 3)) @ module.fc.weight.T + module.fc.bias
    powers = torch.stack([torch.exp(z @ fc.weight.T + fc.bias) for fc in module.fcs], 1)
    return [powers / powers.sum(1, keepdim=True)]  # (B, branches, C)


def eca(module, x):
    kernel = module.conv.weight.flatten()
    pooled = F.pad(x.mean((2, 3)), (len(kernel) // 2,) * 2)
    windows = torch.stack([pooled[:, k : k + x.shape[1]] for k in range(len(kernel))])
    return [sigmoid_of((windows * kernel[:, None, None]).sum(0))]


def gam(module, x):
    hidden = torch.einsum("oc,bchw->bohw", module.fc1.weight[:, :, 0, 0], x) + module.fc1.bias[:, None, None]
    logits = torch.einsum("oc,bchw->bohw", module.fc2.weight[:, :, 0, 0], hidden.clamp(min=0))
    channel = sigmoid_of(logits + module.fc2.bias[:, None, None])
    first, second = module.squeeze, module.expand
    z = normalised(F.conv2d(x * channel, first.conv.weight, first.conv.bias, padding=3), first.bn).clamp(min=0)
    return [channel, sigmoid_of(normalised(F.conv2d(z, second.conv.weight, second.conv.bias, padding=3), second.bn))]


def normalised(z, norm):
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return (z - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]


FORMULAS = {"SE": se, "CBAM": cbam, "SKAttention": sk, "ECA": eca, "GAM": gam}
PLACES = ("17", "inside:17", "between:4,16")


def lively(module):
    """Give all weights and statistics values that matter."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and tensor.dim():
            noise = torch.randn(tensor.shape, generator=generator)
            tensor.copy_(noise.abs() + 0.5 if name.endswith("running_var") else 0.3 * noise)


def entering(detector, path, images):
    """Return what goes into a module."""
    seen = []
    module = detector.get_submodule(path)
    handle = module.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    with torch.no_grad():
        detector(images)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("identity", [False, True])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", FORMULAS)
def test_values_are_the_formulas(name, place, identity):
    entry = f"{name}@{place}" + ("{identity: true}" if identity else "")
    detector = build_model("yolov5n", nc=2, attention=[entry]).eval()
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    places = attention_places(detector)
    one = places[0]
    module = detector.get_submodule(one.path)
    inner = module.attention if identity else module
    lively(inner)
    read = read_gates(detector, places[:1], images)[0]
    with torch.no_grad():
        expected = FORMULAS[name](inner, entering(detector, one.path, images))
    assert isinstance(module, IdentityStart) == identity
    assert read.gamma == (0.0 if identity else None)
    assert len(read.gates) == len(expected)
    for gate, values in zip(read.gates, expected, strict=True):
        torch.testing.assert_close(gate.values.reshape(values.shape), values, rtol=1e-4, atol=1e-5)
    assert (one.mechanism, one.layer) == (name, place.removeprefix("inside:").removeprefix("between:").split(",")[0])


@pytest.mark.parametrize("identity", [False, True])
@pytest.mark.parametrize("place", ["9", "inside:9", "between:4,16"])
def test_non_local_attention_of_a_position(place, identity):
    entry = f"NonLocal@{place}" + ("{identity: true}" if identity else "")
    detector = build_model("yolov5n", nc=2, attention=[entry]).eval()
    images = torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    places = attention_places(detector)
    module = detector.get_submodule(places[0].path)
    module = module.attention if isinstance(module, IdentityStart) else module
    lively(module)
    pairs = read_gates(detector, places, images)[0].gates[0].pairs
    with torch.no_grad():
        x = entering(detector, places[0].path, images)[1]  # (C, 3, 4) at row 9: a map of 12 positions
        pooled = F.max_pool2d(x, 2)  # of 2 there
        query = module.theta.weight[:, :, 0, 0] @ x.flatten(1) + module.theta.bias[:, None]
        key = module.phi.weight[:, :, 0, 0] @ pooled.flatten(1) + module.phi.bias[:, None]
        powers = torch.exp(query[:, 7] @ key / query.shape[0] ** 0.5)
    torch.testing.assert_close(pairs.row(1, 7)[0], powers / powers.sum(), rtol=1e-4, atol=1e-5)


def eca_of_two_channels(**options):
    """Means of the channels are 0 and 2, and a kernel (1, 1, 1) adds neighbours: a logit of 2 for both."""
    module = construct("ECA", 2, kernel_size=3, **options).eval()
    nn.init.ones_(module.conv.weight)
    x = torch.tensor([[[[-1.0, 1.0]], [[2.0, 2.0]]]])
    return read_gates(nn.Sequential(module), [AttentionPlace("0", "ECA", "0", "", "")], x)[0]


@pytest.mark.parametrize(("gate", "value"), [("sigmoid", 0.880797), ("2sigmoid", 1.761594), ("1+tanh", 1.964028)])
def test_numbers_by_hand(gate, value):
    """σ(2), 2σ(2) and 1 + tanh(2)."""
    read = eca_of_two_channels(gate=gate)
    assert [one.kind for one in read.gates] == ["channels"]
    assert read.gates[0].values.tolist()[0] == pytest.approx([value, value], abs=1e-6)


@pytest.mark.parametrize("name", ATTENTION.names())
def test_every_mechanism_has_a_map_or_the_reason_why_not(name):
    module = construct(name, 16).eval()
    x = torch.randn(2, 16, 8, 6, generator=torch.Generator().manual_seed(0))
    read = read_gates(nn.Sequential(module), [AttentionPlace("0", name, "0", "", "")], x)[0]
    assert bool(read.gates) != bool(read.reason)
    assert bool(read.gates) or name in ("Mona", "PlainConv")
    assert all(gate.kind != "other" for gate in read.gates)
    box = Letterbox(64, 48, 1.0, 1.0, 0, 0)
    found = FrameDetections(
        np.zeros((64, 48, 3), np.uint8),
        Frame("a.png"),
        np.array([[8, 8, 24, 40.0]]),
        np.array([0.9]),
        np.array([0]),
        {0: "a"},
    )
    sheet = gate_sheet(ImageView(1, found, box, (64, 48)), [read])
    assert sheet.shape[1] >= 320
    assert sheet.std() > 10


def test_nothing_is_left_in_the_model():
    detector = build_model("yolov5n", nc=2, attention=["CBAM@17", "SE@inside:9"]).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = detector(images)[0]
    keys, modules = list(detector.state_dict()), len(list(detector.modules()))
    read_gates(detector, attention_places(detector), images)
    with torch.no_grad():
        assert torch.equal(detector(images)[0], before)
    assert (list(detector.state_dict()), len(list(detector.modules()))) == (keys, modules)
    for module in detector.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


@pytest.mark.parametrize(
    ("channels", "shape", "axis", "kind"),
    [
        (48, (2, 48), None, "channels"),  # as many channels as positions
        (48, (2, 48, 1, 1), None, "channels"),
        (16, (2, 1, 48), 2, "positions"),
        (16, (2, 1, 8, 6), None, "positions"),
        (16, (2, 16, 8, 6), None, "elements"),
        (16, (2, 16, 8, 1), None, "rows"),
        (16, (2, 16, 1, 6), None, "columns"),
        (16, (4, 2, 16), 0, "branches"),
        (16, (2, 4, 16, 1, 1), 1, "branches"),
        (16, (2, 16, 16), 2, "channel pairs"),
        (16, (2, 48, 14), 2, "cross"),
    ],
)
def test_kinds_by_shape(channels, shape, axis, kind):
    assert classify(torch.rand(shape), (2, channels, 8, 6), axis).kind == kind


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_what_is_exported_is_the_same_before_and_after_looking_inside():
    """No node of an exported graph comes from maps: the ONNX file is the same to the byte."""
    detector = build_model("yolov5n", nc=2, attention=["CBAM@17", "SE@inside:9"]).eval()
    detector.model[-1].export = True
    images = torch.rand(1, 3, 64, 64)

    def exported():
        buffer = io.BytesIO()
        torch.onnx.export(detector, (images,), buffer, dynamo=False, opset_version=17)
        return buffer.getvalue()

    before = exported()
    read_gates(detector, attention_places(detector), images)
    read_features(detector, feature_layers(detector), images)
    assert exported() == before
