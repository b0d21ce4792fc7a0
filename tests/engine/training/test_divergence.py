"""Where numbers stop being finite is named: layer, images, and half precision where it is the reason."""

import pytest
import torch
from torch import nn

from engine.training.divergence import diagnose, find_origin, gradient_norm
from engine.training.precision import Precision
from models import build_model

FULL, HALF = Precision("fp32", ""), Precision("bf16", "")
FILES = ["a.png", "b.png"]
FINE = {"box_loss": torch.tensor(1.0)}


class Overflowing(nn.Module):
    """Fine in float32; what bfloat16 rounds to 1 divides by zero."""

    def forward(self, x):
        half = torch.is_autocast_enabled("cpu")
        gate = torch.sigmoid(torch.full_like(x, 9.0, dtype=torch.bfloat16 if half else None))
        return x / (1 - gate)


class Poisoning(nn.Module):
    """Spoils the second image."""

    def forward(self, x):
        return x * torch.tensor([1.0, torch.inf]).view(2, 1, 1, 1)


@pytest.fixture
def detector():
    return build_model("yolov5n", nc=2, attention=["SE@neck.P4"]).train()


@pytest.fixture
def image():
    return torch.rand(2, 3, 64, 64) + 0.1


def attention_name(detector):
    return detector.attention_names()[0].removeprefix("model.")


def test_a_sound_model_has_no_origin(detector, image):
    assert find_origin(detector, image, torch.bfloat16) is None


def test_layer_and_image_are_named(detector, image):
    detector.model[6].add_module("act", Poisoning())
    detector.model[6].forward = lambda x: detector.model[6].act(x)
    text = diagnose(detector, image, FILES, FINE, FULL)
    assert text.startswith("layer 6 (C3, act) is not finite for b.png (given values up to ")


def test_half_precision_in_attention_is_named_as_such(detector, image):
    name = attention_name(detector)
    getattr(detector.model, name).gate = nn.Identity()
    module = Overflowing()
    setattr(detector.model, name, module)
    text = diagnose(detector, image, FILES, FINE, HALF)
    assert text.startswith(f"layer {name} (SE) is not finite for a.png, b.png, but is in full precision: attention")
    assert "use --amp off" in text


def test_images_that_are_not_finite_are_named(detector, image):
    image[0, 0, 0, 0] = torch.nan
    assert diagnose(detector, image, FILES, FINE, FULL) == "the images given to the model are not finite: a.png"


def test_loss_terms_are_named(detector, image):
    text = diagnose(detector, image, FILES, {**FINE, "obj_loss": torch.tensor(torch.inf)}, FULL)
    assert text == "all layers are finite, obj_loss is not; lower lr0 or check the boxes of a.png, b.png"


def test_the_gradient_nearest_to_the_output_is_named(detector, image):
    for name in ("model.3.conv.weight", "model.24.m.1.bias"):
        parameter = detector.get_parameter(name)
        parameter.grad = torch.full_like(parameter, torch.nan)
    assert not gradient_norm(detector).isfinite()
    text = diagnose(detector, image, FILES, FINE, FULL)
    assert (
        text
        == "loss and layers are finite, the gradient of layer 24 (Detect, m.1.bias) is not; lower lr0 in the --hyp file"
    )


def test_finite_gradients(detector):
    parameter = detector.get_parameter("model.3.conv.weight")
    parameter.grad = torch.ones_like(parameter)
    assert gradient_norm(detector).isfinite()
