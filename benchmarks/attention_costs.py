"""Measure docs/attention/costs.json: `python -m benchmarks.attention_costs`, then `python -m attention.docs`.

Needs onnxruntime and openvino for their columns. Some minutes; run it on a quiet machine.
"""

import argparse
import json
from importlib.metadata import version

import torch

from attention import ATTENTION
from attention.docs.__main__ import FOLDER
from attention.docs.cost_table import SIZES, counted_cells, measured_cells
from attention.docs.runtimes import installed
from benchmarks.machine import machine


def main() -> None:
    """Measure the mechanisms named, or all, and keep what the file says of the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="mechanisms; all by default")
    parser.add_argument("--repeats", type=int, default=20, help="timed calls of each")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    file = FOLDER / "costs.json"
    costs = json.loads(file.read_text(encoding="utf-8"))["costs"] if file.exists() else {}
    where = ", ".join([machine(), *(f"{name} {version(name)}" for name in installed()), f"{options.threads} threads"])
    for name in options.names or ATTENTION.names():
        costs[name] = [
            [*counted_cells(name, size), *measured_cells(name, size, repeats=options.repeats)] for size in SIZES
        ]
        rows = [f"  {json.dumps(n)}: {json.dumps(costs[n])}" for n in ATTENTION.names() if n in costs]
        text = f'{{\n "machine": {json.dumps(where)},\n "costs": {{\n' + ",\n".join(rows) + "\n }\n}\n"
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
