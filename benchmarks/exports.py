"""Export every attention mechanism in every file format, and measure how far outputs lie from the checkpoint's.

python -m benchmarks.exports [MECHANISM …] [--formats onnx torchscript openvino] [--img 320] [--markdown FILE]

YOLOv5n on the digits, with the mechanism at neck.P3, P4 and P5 and random, open gates; exported, opened in the runtime
that detection uses, and run on photographs. Some 10 minutes on two cores. Ends with 1 if a cell is out of tolerance.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from attention import ATTENTION
from benchmarks.machine import machine
from engine.backends.write import write_format
from engine.cli.export_flags import FORMATS
from engine.cli.run_folder import DIGITS_WEIGHTS
from engine.export.parity import TOLERANCE, Parity, compare_with_checkpoint
from engine.export.run import open_file
from models import build_model


def detector(name: str) -> Any:
    """Return YOLOv5n of the digits with a mechanism whose parameters are not those it starts with."""
    model = build_model("yolov5n", nc=10, attention=f"{name}@neck.P3,neck.P4,neck.P5", weights=DIGITS_WEIGHTS)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if f"+{name}" in key:
                parameter.add_(0.03 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def cell(model: Any, format_name: str, size: int) -> Parity:
    """Export in one format and compare."""
    with tempfile.TemporaryDirectory() as folder:
        file = write_format(model, FORMATS[format_name], Path(folder) / "model", imgsz=size, dynamic=True)
        return compare_with_checkpoint(model, open_file(file, "cpu"), size)


def main() -> int:
    """Print the matrix; return how many cells are out of tolerance, at most 1."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="mechanisms; all by default")
    parser.add_argument("--formats", nargs="+", choices=list(FORMATS), default=["onnx", "torchscript", "openvino"])
    parser.add_argument("--imgsz", "--img", type=int, default=320)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    lines = [
        "# Export of every mechanism",
        "",
        f"`python -m benchmarks.exports`: YOLOv5n at {options.imgsz} px with the mechanism at neck.P3, P4 and P5 and",
        "open gates, exported for any batch and size, run on two photographs: largest difference of a box coordinate",
        f"in pixels and of a score, over all boxes. Tolerance: {TOLERANCE[0]} px and {TOLERANCE[1]}; **bold** is out",
        "of it.",
        "",
        f"{machine()}",
        "",
        "| mechanism | " + " | ".join(f"{name}, px | score" for name in options.formats) + " |",
        "|---|" + "---:|---:|" * len(options.formats),
    ]
    broken = 0
    for name in options.names or ATTENTION.names():
        model, cells = detector(name), []
        for format_name in options.formats:
            try:
                parity = cell(model, format_name, options.imgsz)
            except Exception as error:  # noqa: BLE001 - whatever a runtime raises, the other cells are wanted too
                print(f"{name} {format_name}: {error}", file=sys.stderr)
                cells.append("**fails** | ")
                broken += 1
                continue
            mark = "" if parity.holds else "**"
            broken += not parity.holds
            cells.append(f"{mark}{parity.boxes:.0e}{mark} | {mark}{parity.scores:.0e}{mark}")
        lines.append(f"| [{name}](../attention/{name}.md) | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
        if options.markdown:
            options.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return min(broken, 1)


if __name__ == "__main__":
    sys.exit(main())
