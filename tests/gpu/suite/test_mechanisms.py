"""Every mechanism: the CPU's values in each precision, and never a wait for the GPU."""

import copy

import pytest
import torch

from attention import ATTENTION, build_attention

IMAGES, CHANNELS, SIDE = 4, 64, 12
TOLERANCES = {"fp32": 0.02, "bf16": 0.3, "fp16": 0.3}  # of the norm of the difference, relative

# Mechanisms whose gradients are not finite there: to be mended in the mechanism, then taken out of this list.
FAULTS: set[tuple[str, str]] = set()


def difference(value, expected):
    return float((value.float().cpu() - expected).norm() / expected.norm().clamp(min=1e-6))


def run(module, image, weights):
    output = module(image)
    (output.float() * weights).sum().backward()
    return output.detach()


@pytest.mark.parametrize("name", ATTENTION.names())
def test_a_mechanism_is_the_cpus_and_never_waits(name, gpu, waits):
    generator = torch.Generator().manual_seed(0)
    image, weights = (torch.randn(IMAGES, CHANNELS, SIDE, SIDE, generator=generator) for _ in range(2))
    torch.manual_seed(1)
    module = build_attention(name, CHANNELS).train()
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0  # GPUs draw other numbers
    given = image.clone().requires_grad_()
    expected = run(copy.deepcopy(module), given, weights), given.grad
    for precision, tolerance in TOLERANCES.items():
        if (name, precision) in FAULTS:
            continue
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
        here = copy.deepcopy(module).to(gpu)
        map_, weights_here = image.to(gpu, dtype or torch.float32), weights.to(gpu)
        map_ = map_.contiguous(memory_format=torch.channels_last).requires_grad_()
        with waits() as seen, torch.autocast("cuda", dtype or torch.bfloat16, enabled=dtype is not None):
            output = run(here, map_, weights_here)
        assert not seen, (precision, seen)
        assert difference(output, expected[0]) < tolerance, precision
        assert difference(map_.grad, expected[1]) < tolerance, precision
    halved = copy.deepcopy(module).to(gpu).half().eval()
    with torch.no_grad():
        output = halved(image.to(gpu).half())
    assert output.dtype == torch.float16
    assert bool(output.isfinite().all())
