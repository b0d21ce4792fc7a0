"""Say before an export whether its ONNX operator set can hold the model."""

from argparse import Namespace
from typing import Any

from attention import ATTENTION
from attention.docs.limits import LIMITS, lowest_opset
from engine.errors import UsageError

LOWEST, HIGHEST = 7, 20  # what PyTorch's exporter of traced networks writes


def check_opset(detector: Any, name: str, options: Namespace) -> None:
    """Refuse an operator set that does not exist or is too low for a mechanism of the model.

    Args:
        detector: the model.
        name: the format; only those that are ONNX or made of it have an operator set.
        options: with `opset`, None for the exporter's own choice.

    Raises:
        UsageError: naming what to write instead.
    """
    wanted = options.opset
    if wanted is None or name not in ("onnx", "tensorrt"):
        return
    if not LOWEST <= wanted <= HIGHEST:
        raise UsageError(
            f"--opset {wanted}: PyTorch writes the sets {LOWEST} to {HIGHEST}; leave --opset out or name one"
        )
    inside = {type(part) for part in detector.modules()}
    for mechanism in ATTENTION.names():
        needed = lowest_opset(mechanism)
        if ATTENTION[mechanism] in inside and wanted < needed:
            why = LIMITS.get(mechanism, {}).get("opset", "").partition(": ")[2]
            raise UsageError(
                f"--opset {wanted}: {mechanism} needs {needed} or higher{f' ({why})' if why else ''}; "
                f"write --opset {needed}, or leave it out"
            )
