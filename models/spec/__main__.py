"""`python -m models.spec FILE`: print, compare and draw a resolved model."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data.tool_parser import ToolParser
from models.catalog.mechanisms import load_plugin
from models.errors import CheckpointError, guarded
from models.network.cost import IMAGE_SIZE, count_parameters, gflops, parameters_by_layer
from models.network.detector import Detector
from models.spec.model_spec import read_spec
from models.spec.render import as_json, differences, svg, table
from models.tool_output import say, write_output


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 2 the input is wrong (one line on standard error)."""
    parser = ToolParser(prog="python -m models.spec", description=__doc__)
    parser.add_argument(
        "file", help="model YAML, overlay or name, such as yolov5n or ultralytics/yolo11n; or a checkpoint (.pt)"
    )
    parser.add_argument(
        "--attention",
        nargs="+",
        action="extend",
        default=[],
        metavar="PLACEMENT",
        help='such as "CBAM@neck.P3,neck.P4"',
    )
    parser.add_argument("--identity", action="store_true", default=None, help="let placed attention start as identity")
    parser.add_argument("--nc", type=int, help="number of classes, instead of the file's")
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help="a file of your own mechanisms")
    parser.add_argument("--diff", metavar="BASE", help="print what differs from this model")
    parser.add_argument("--svg", metavar="OUT", help="write a drawing")
    parser.add_argument("--json", nargs="?", const="-", metavar="OUT", help="write JSON, to standard output by default")
    options = parser.parse_args(argv)
    return guarded(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    for plugin in options.plugin:
        load_plugin(plugin)
    spec = read_spec(_described(options.file), options.attention, nc=options.nc, identity=options.identity)
    if options.diff:
        base = read_spec(_described(options.diff), nc=options.nc)
        lines = differences(spec, base)
        say("\n".join([*lines, added_cost(Detector(spec), Detector(base))]) if lines else "no difference")
        return
    detector = Detector(spec)  # which also proves the arguments
    parameters = parameters_by_layer(detector)
    if options.svg:
        write_output(options.svg, svg(spec, parameters))
    if options.json:
        write_output(options.json, json.dumps(as_json(spec, parameters), indent=1) + "\n")
    if not (options.svg or options.json):
        say(table(spec, parameters))
        say(f"{gflops(detector):.1f} GFLOPs at {IMAGE_SIZE} px")
        for warning in spec.warnings:
            say(f"note: {warning}")


def _described(file: str) -> str | Mapping[str, Any]:
    """Return what to read: a YAML's path or name as it is, of a checkpoint the description in it.

    Raises:
        CheckpointError: if the checkpoint cannot be read, or describes no model.
    """
    from models.source import CHECKPOINTS, read_source

    if Path(file).suffix not in CHECKPOINTS:
        return file
    source = read_source(file)
    if source.spec is None:
        raise CheckpointError(f"{file}: {source.reason}; give the YAML of its model")
    return {**source.spec.yaml, "name": Path(file).name}


def added_cost(detector: Detector, base: Detector) -> str:
    """Return a line on what a model costs beyond its base."""
    here, there = count_parameters(detector), count_parameters(base)
    share = 100 * (here - there) / max(there, 1)
    flops = gflops(detector) - gflops(base)
    return f"parameters: {here - there:+,} ({share:+.2f} %) to {here:,}; GFLOPs at {IMAGE_SIZE} px: {flops:+.2f}"


if __name__ == "__main__":
    raise SystemExit(main())
