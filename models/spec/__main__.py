"""`python -m models.spec FILE`: print, compare and draw a resolved model."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from models.catalog.mechanisms import load_plugin
from models.errors import SpecError, guarded
from models.spec.model_spec import ModelSpec, read_spec
from models.spec.render import as_json, differences, svg, table


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 2 the input is wrong (one line on standard error)."""
    parser = argparse.ArgumentParser(prog="python -m models.spec", description=__doc__)
    parser.add_argument("file", help="model YAML, overlay or name, such as yolov5n or ultralytics/yolo11n")
    parser.add_argument(
        "--attention", nargs="+", default=[], metavar="PLACEMENT", help='such as "CBAM@neck.P3,neck.P4"'
    )
    parser.add_argument("--identity", action="store_true", default=None, help="let placed attention start as identity")
    parser.add_argument("--nc", type=int, help="number of classes")
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help="a file of your own mechanisms")
    parser.add_argument("--diff", metavar="BASE", help="print what differs from this model")
    parser.add_argument("--svg", metavar="OUT", help="write a drawing")
    parser.add_argument("--json", nargs="?", const="-", metavar="OUT", help="write JSON, to standard output by default")
    options = parser.parse_args(argv)
    return guarded(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    for plugin in options.plugin:
        load_plugin(plugin)
    spec = read_spec(options.file, options.attention, nc=options.nc, identity=options.identity)
    if options.diff:
        lines = differences(spec, read_spec(options.diff, nc=options.nc))
        _say("\n".join(lines) or "no difference")
        return
    parameters = count_parameters(spec)
    if options.svg:
        _write(options.svg, svg(spec, parameters))
    if options.json:
        _write(options.json, json.dumps(as_json(spec, parameters), indent=1) + "\n")
    if not (options.svg or options.json):
        _say(table(spec, parameters))
        for warning in spec.warnings:
            _say(f"note: {warning}")


def count_parameters(spec: ModelSpec) -> dict[str, int]:
    """Return the number of parameters of each layer, by its name; constructing the layers also proves the arguments."""
    from models.network.detector import Detector

    layers = Detector(spec).model.named_children()
    return {name: sum(parameter.numel() for parameter in layer.parameters()) for name, layer in layers}


def _write(out: str, text: str) -> None:
    if out == "-":
        _say(text.rstrip("\n"))
        return
    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{out}: cannot be written ({error.strerror or error})") from None
    _say(f"wrote {out}")


def _say(text: str) -> None:
    print(text)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main())
