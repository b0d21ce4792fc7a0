"""Every mechanism through tracing, both ONNX exporters, ONNX Runtime, OpenVINO and torch.compile, at other sizes than
it was made with."""

import importlib.util
import io
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attention import ATTENTION, build_attention
from attention.docs import runtimes
from attention.docs.limits import LIMITS, lowest_opset

NAMES = ATTENTION.names()
C = 32
EXAMPLE = torch.randn(2, C, 12, 20, generator=torch.Generator().manual_seed(0))
FIXED = torch.randn(3, C, 12, 20, generator=torch.Generator().manual_seed(1))  # another batch only
OTHER = torch.randn(3, C, 9, 14, generator=torch.Generator().manual_seed(2))  # another batch, height and width


def ready(name: str, **kwargs: Any) -> nn.Module:
    torch.manual_seed(0)
    module = build_attention(name, C, **kwargs).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return module


class Followed(nn.Module):
    """A mechanism and, as a detector's head does, a convolution whose output is reshaped by its own sizes.

    The exporter's inference of shapes can take a wrong batch through a mechanism; only what follows it sees that.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.conv = module, nn.Conv2d(C, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(self.module(x))
        batch, _, height, width = y.shape
        return y.reshape(batch, 2, 3, height, width).flatten(1, 2)


def inputs(name: str, how: str) -> list[Tensor]:
    return [EXAMPLE, FIXED if how in LIMITS.get(name, {}) else OTHER]


def check(run: runtimes.Run, module: nn.Module, maps: list[Tensor]) -> None:
    for x in maps:
        with torch.no_grad():
            expected = module(x)
        torch.testing.assert_close(run(x), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("made_at", [(12, 20), (3, 4)])
@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        *(("SCSA", {}), ("SCSA", {"pooling": "max"}), ("MultiSEAM", {"patches": [5, 10]}), ("ACmix", {})),
        ("NonLocal", {"mode": "concat"}),
    ],
)
def test_a_graph_holds_for_maps_smaller_and_larger_than_a_window(
    name: str, kwargs: dict[str, Any], made_at: tuple[int, int]
) -> None:
    module = ready(name, **kwargs)
    file = runtimes.onnx(module, torch.randn(2, C, *made_at), dynamic=True, opset=11)
    check(runtimes.onnx_runtime(file), module, [torch.randn(1, C, *size) for size in ((12, 20), (3, 4), (5, 30))])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_trace(name: str) -> None:
    module = ready(name)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)  # of torch.jit itself, which still is a target
        if "trace" in LIMITS.get(name, {}):
            warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        traced = torch.jit.trace(module, EXAMPLE)
    for x in inputs(name, "trace"):
        torch.testing.assert_close(traced(x), module(x), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("runtime", runtimes.RUNTIMES)
def test_runtimes_of_the_engines_export(name: str, runtime: str) -> None:
    if runtime not in runtimes.installed():
        pytest.skip(f"{runtime} is not installed")
    module = Followed(ready(name)).eval()
    check(runtimes.RUNTIMES[runtime](runtimes.onnx(module, EXAMPLE, dynamic=True)), module, inputs(name, "onnx"))


@pytest.mark.slow
@pytest.mark.parametrize("opset", [11, 13, 16, 18, 20])
@pytest.mark.parametrize("name", NAMES)
def test_onnx_in_every_operator_set_that_can_hold_it(name: str, opset: int) -> None:
    module = build_attention(name, C).eval()
    if opset < lowest_opset(name):
        with pytest.raises(torch.onnx.errors.UnsupportedOperatorError):
            runtimes.onnx(module, EXAMPLE, dynamic=True, opset=opset)
        return
    file = runtimes.onnx(module, EXAMPLE, dynamic=True, opset=opset)
    check(runtimes.onnx_runtime(file), module, inputs(name, "onnx"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_onnx_of_a_new_mechanism_at_a_fixed_size(name: str) -> None:
    module = build_attention(name, C).eval()
    check(runtimes.onnx_runtime(runtimes.onnx(module, EXAMPLE)), module, [EXAMPLE])


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("onnxscript") is None, reason="PyTorch's newer exporter needs onnxscript")
@pytest.mark.parametrize(
    "name", ["SE", "CBAM", "SKAttention", "GAM", "NonLocal", "MHSA2D", "CoordAtt", "AreaAttention"]
)
def test_onnx_of_the_newer_exporter(name: str) -> None:
    module, file = ready(name), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (EXAMPLE,),
            file,
            dynamo=True,
            verbose=False,
            input_names=["x"],
            dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
        )
    check(runtimes.onnx_runtime(file.getvalue()), module, inputs(name, "onnx"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_compile_without_a_graph_break(name: str) -> None:
    torch.compiler.reset()
    module = ready(name)
    compiled = torch.compile(module, fullgraph=True, backend="eager", dynamic=False)
    torch.testing.assert_close(compiled(EXAMPLE), module(EXAMPLE), rtol=1e-4, atol=1e-5)
