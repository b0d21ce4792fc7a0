"""Run a mechanism outside PyTorch, where a runtime for exported networks is installed."""

import io
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

Run = Callable[[Tensor], Tensor]


def onnx(module: nn.Module, example: Tensor, *, dynamic: bool = False, opset: int = 18) -> bytes:
    """Export to ONNX.

    Args:
        module: in eval mode.
        example: (B, C, H, W).
        dynamic: leave B, H and W free.
        opset: operator set.

    Returns:
        The content of an ONNX file with input "x".
    """
    file, axes = io.BytesIO(), {0: "batch", 2: "height", 3: "width"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of this exporter itself, and of sizes that are baked in
        torch.onnx.export(
            module,
            (example,),
            file,  # type: ignore[arg-type] # this exporter takes files too
            opset_version=opset,
            dynamo=False,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": axes, "y": axes} if dynamic else None,
        )
    return file.getvalue()


def onnx_runtime(file: bytes) -> Run:
    """Load an ONNX file into ONNX Runtime, on the CPU and as many threads as PyTorch has.

    Args:
        file: content of the file.

    Returns:
        A function of the input.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


def openvino(file: bytes) -> Run:
    """Load an ONNX file into OpenVINO, on the CPU, in float32 and on as many threads as PyTorch has.

    Args:
        file: content of the file.

    Returns:
        A function of the input; its result is overwritten by the next call.
    """
    import openvino

    core = openvino.Core()
    config: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(core.read_model(file), "CPU", config).create_infer_request()
    return lambda x: torch.from_numpy(request.infer([x.numpy()], share_inputs=True, share_outputs=True)[0])


RUNTIMES: dict[str, Callable[[bytes], Run]] = {"onnxruntime": onnx_runtime, "openvino": openvino}


def installed() -> list[str]:
    """Return the runtimes that can be imported here."""
    return [name for name in RUNTIMES if find_spec(name)]
