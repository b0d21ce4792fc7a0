"""Run a script, or `pytest`, on a pretended GPU: python tests/gpu/pretended [flags] SCRIPT ARGUMENTS…"""

import argparse
import os
import runpy
import sys
from pathlib import Path

os.environ["PRETENDED_GPU"] = "1"  # tests/gpu/conftest.py looks at it
os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[3]


def main() -> None:
    """Parse the flags that come first, and run the script with the rest."""
    parser = argparse.ArgumentParser("pretended")
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--no-bf16", action="store_true")
    parser.add_argument("--no-float64", action="store_true")
    parser.add_argument("--fits", type=int, default=0, metavar="N", help="images of a training batch in memory")
    parser.add_argument("script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    import guard

    guard.load()
    import device

    machine = device.machine
    machine.devices, machine.batch = options.devices, options.fits
    machine.bf16, machine.float64 = not options.no_bf16, not options.no_float64
    sys.path.insert(0, str(ROOT))
    device.install()
    sys.argv = [options.script, *options.arguments]
    if options.script == "pytest":
        runpy.run_module("pytest", run_name="__main__")
    else:
        runpy.run_path(options.script, run_name="__main__")


main()
