"""Export every attention mechanism in every ONNX operator set, and compare ONNX Runtime's result with PyTorch's.

python -m benchmarks.opsets [MECHANISM …] [--opsets 11 13 16 18 20] [--markdown FILE]

32 channels, batch, height and width left free, run at another size than exported. Some minutes. Ends with 1 if a cell
is neither within the tolerance nor refused as the limits of the mechanism say.
"""

import argparse
import sys
from pathlib import Path

import torch

from attention import ATTENTION, build_attention
from attention.docs.limits import LIMITS, lowest_opset
from attention.docs.runtimes import onnx, onnx_runtime

SETS = (11, 13, 16, 18, 20)
TOLERANCE = 1e-4  # of the largest value
CHANNELS = 32


def difference(name: str, opset: int) -> float | None:
    """Return the largest difference to PyTorch, relative to the largest value; None where the set cannot hold it."""
    torch.manual_seed(0)
    module = build_attention(name, CHANNELS).eval()
    example = torch.randn(2, CHANNELS, 12, 20)
    fixed = "onnx" in LIMITS.get(name, {})
    other = torch.randn(3, CHANNELS, 12, 20) if fixed else torch.randn(3, CHANNELS, 9, 14)
    try:
        run = onnx_runtime(onnx(module, example, dynamic=True, opset=opset))
    except torch.onnx.errors.UnsupportedOperatorError:
        return None
    with torch.no_grad():
        expected = module(other)
    return float((run(other) - expected).abs().max() / expected.abs().max())


def main() -> int:
    """Print the matrix; return 1 if a cell is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="mechanisms; all by default")
    parser.add_argument("--opsets", nargs="+", type=int, default=SETS)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    lines = [
        "# ONNX operator sets",
        "",
        "`python -m benchmarks.opsets`: every mechanism exported in every operator set, for any batch and size, and",
        "run by ONNX Runtime at another size: largest difference to PyTorch, relative to the largest value. A dash:",
        "the set has no operator for it, and `export.py --opset` says so in a line; **bold** is out of the",
        "tolerance, 0.0001.",
        "",
        f"| mechanism | {' | '.join(map(str, options.opsets))} |",
        "|---|" + "---:|" * len(options.opsets),
    ]
    wrong = False
    for name in options.names or ATTENTION.names():
        cells = []
        for opset in options.opsets:
            found = difference(name, opset)
            holds = opset < lowest_opset(name) if found is None else found < TOLERANCE
            wrong |= not holds
            text = "–" if found is None else f"{found:.0e}"
            cells.append(text if holds else f"**{text}**")
        lines.append(f"| [{name}](../attention/{name}.md) | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
        if options.markdown:
            options.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
