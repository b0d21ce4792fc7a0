"""Operations with a backward pass of their own: values and first and second derivatives, in every memory format."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from attention.layers.gating import gate_positions, weighted_sum
from attention.layers.pooling import average, axis_max_mean, pool_max_mean

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def maps(number: int, layout: torch.memory_format = torch.contiguous_format) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64) for _ in range(number)]
    return [x.contiguous(memory_format=layout).requires_grad_() for x in made]


@pytest.mark.parametrize("layout", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize(
    ("operation", "plain", "inputs"),
    [
        (lambda x: average(x, (2, 3)), lambda x: x.mean((2, 3)), 1),
        (lambda x: torch.stack(pool_max_mean(x)), lambda x: torch.stack((x.amax((2, 3)), x.mean((2, 3)))), 1),
        (lambda x: torch.cat(axis_max_mean(x, 1)), lambda x: torch.cat((x.amax(1, True), x.mean(1, True))), 1),
        (lambda x: torch.cat(axis_max_mean(x, 3)), lambda x: torch.cat((x.amax(3, True), x.mean(3, True))), 1),
        (
            lambda a, b, v: weighted_sum((a, b), (v.mean((2, 3)), v.sum((2, 3)))),
            lambda a, b, v: a * v.mean((2, 3), True) + b * v.sum((2, 3), True),
            3,
        ),
        (lambda a, b: gate_positions(a * 2, b[:, :1]), lambda a, b: a * 2 * b[:, :1], 2),
    ],
    ids=["average", "pool_max_mean", "axis 1", "axis 3", "weighted_sum", "gate_positions"],
)
def test_against_pytorchs_own(
    layout: torch.memory_format, operation: Callable[..., Tensor], plain: Callable[..., Tensor], inputs: int
) -> None:
    sources = maps(inputs, layout)
    expected = plain(*sources)
    got = operation(*sources)
    torch.testing.assert_close(got, expected)
    cotangent = torch.randn_like(expected)
    for a, b in zip(
        torch.autograd.grad(got, sources, cotangent),
        torch.autograd.grad(expected, sources, cotangent),
        strict=True,
    ):
        torch.testing.assert_close(a, b)
    assert torch.autograd.gradgradcheck(operation, sources)
    with torch.no_grad():
        torch.testing.assert_close(operation(*sources), expected)


def test_a_maximum_that_several_have_passes_its_gradient_on_once() -> None:
    x = torch.zeros(1, 4, 2, 2, requires_grad=True)
    pool_max_mean(x)[0].sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad.sum((2, 3)), torch.ones(1, 4))
    x.grad = None
    axis_max_mean(x, 1)[0].sum().backward()
    assert torch.equal(x.grad, torch.full((1, 4, 2, 2), 0.25))


@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 3, 2, 3, 4)])
def test_sequences_and_volumes(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, requires_grad=True)
    most, mean = pool_max_mean(x)
    assert torch.equal(most, x.flatten(2).amax(2))
    torch.testing.assert_close(mean, x.flatten(2).mean(2))
    most.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, (x == most.reshape(2, 3, *(1,) * (x.dim() - 2))).float())


def test_a_gate_leaves_what_needs_a_gradient_alone() -> None:
    x, gate = torch.randn(1, 2, 3, 3), torch.rand(1, 1, 3, 3)
    kept = x.clone()
    gate_positions(x, gate.requires_grad_())
    assert torch.equal(x, kept)
