"""Gradients that are slices are copied, and are the same."""

from copy import deepcopy

import torch

from engine.training.dense_gradients import keep_gradients_dense
from models import build_model


def gradients(detector, seen):
    convolution = detector.get_submodule("model.2.cv2")  # its output is concatenated

    def look(module, given, made):
        made.register_hook(lambda gradient: seen.append(gradient.is_contiguous(memory_format=torch.channels_last)))

    convolution.act = deepcopy(convolution.act)  # which all blocks share
    convolution.register_forward_hook(look)
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    sum(output.square().mean() for output in detector(image.contiguous(memory_format=torch.channels_last))).backward()
    return {name: parameter.grad for name, parameter in detector.named_parameters()}


def test_a_slice_is_copied_and_nothing_else_changes():
    plain, dense = (build_model("yolov5n", nc=2).train().to(memory_format=torch.channels_last) for _ in range(2))
    keep_gradients_dense(dense)
    before, after = [], []
    expected, found = gradients(plain, before), gradients(deepcopy(dense), after)
    assert (before, after) == ([False], [True])
    for name, value in expected.items():
        assert (found[name] - value).norm() <= 1e-4 * value.norm(), name  # other order of sums


def test_without_gradients_nothing_is_hooked():
    detector = build_model("yolov5n", nc=2).eval()
    keep_gradients_dense(detector)
    with torch.no_grad():
        assert detector(torch.rand(1, 3, 64, 64))[0].shape == (1, 6, 252)
