"""Comparisons are made without TF32."""

import torch

from models import build_model
from models.network.full_precision import without_tf32
from models.reparameterization import compare_detectors


def flags():
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


def test_tf32_is_off_within_and_as_before_after():
    before = flags()
    torch.backends.cudnn.allow_tf32 = True
    try:
        with without_tf32():
            assert flags() == (False, False)
        assert flags() == (True, before[1])
    finally:
        torch.backends.cudnn.allow_tf32 = before[0]


def test_two_forms_of_a_model_are_compared_so():
    seen = []
    model = build_model("yolov5n", nc=1)
    model.model[0].register_forward_hook(lambda *args: seen.append(flags()))
    compare_detectors(model, model, 1e-3, (1, 1))
    assert set(seen) == {(False, False)}
