"""`python -m models.costs NAMES`: what attention mechanisms cost, by themselves or at a place of a model.

python -m models.costs SE CBAM                                    at three sizes of maps
python -m models.costs SE CBAM --in yolov5s --at neck.P3          at the place where it would stand
python -m models.costs MyGate --plugin my_gate.py --csv my.csv --latex my.tex

Times are of inference on this machine's CPU, normalisations folded, the fastest of several calls.
kept / map: memory kept for the backward pass, in maps of the input's size. fp32 / floor: time in multiples of x * 2.
"""

import argparse
import csv
import io
from collections.abc import Sequence
from typing import Any

from data.latex_text import tabular
from data.tool_parser import ToolParser
from models.catalog.mechanisms import canonical, load_plugin
from models.errors import SpecError, guarded
from models.tool_output import say, write_output

AT_PLACE = ("mechanism", "place", "C", "map", "parameters", "GFLOPs", "kept / map", "ms", "% of the model's ms")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 2 the input is wrong (one line on standard error)."""
    parser = ToolParser(
        prog="python -m models.costs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="mechanisms; all by default")
    parser.add_argument("--in", dest="model", metavar="MODEL", help="model YAML, name or checkpoint to place them in")
    parser.add_argument("--at", metavar="PLACE", help="where in the model: neck.P3, 17, inside:4, neck.P3,neck.P4")
    parser.add_argument(
        "--imgsz", type=_positive, default=640, help="pixels of the image's sides, with --in (default: 640)"
    )
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help="a file of your own mechanisms")
    parser.add_argument("--batch", type=_positive, default=1, help="images at once (default: 1)")
    parser.add_argument("--repeats", type=_whole, default=5, help="timed calls; 0 leaves the times out (default: 5)")
    parser.add_argument("--csv", metavar="OUT", help="write the table as CSV; - prints it")
    parser.add_argument("--latex", metavar="OUT", help="write the table for LaTeX, with booktabs; - prints it")
    options = parser.parse_args(argv)
    return guarded(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    from attention.docs import cost_table

    for plugin in options.plugin:
        load_plugin(plugin)
    if bool(options.model) != bool(options.at):
        raise SpecError("--in MODEL and --at PLACE go together, such as --in yolov5s --at neck.P3")
    names = _names(options.names, library=bool(options.model))
    head: Sequence[str] = AT_PLACE if options.model else cost_table.COLUMNS
    rows = _at_place(names, options) if options.model else _by_itself(names, options)
    if not rows:
        return
    words = 2 if options.model else 1
    if options.csv:
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows([head, *rows])
        write_output(options.csv, table.getvalue(), "--csv")
    if options.latex:
        write_output(options.latex, tabular(head, rows, words) + "\n", "--latex")
    if not (options.csv or options.latex):
        say(cost_table.markdown(rows, head, words))


def _names(given: Sequence[str], *, library: bool) -> list[str]:
    """Return canonical names and aliases that stand for options, all mechanisms where none is given.

    Raises:
        SpecError: for an unknown one, or one of a library's, which is measured at a place only.
    """
    from attention import ATTENTION
    from attention.registry import variant_options

    try:
        names = [name if variant_options(name) else canonical(name) for name in given]
    except ValueError as error:
        raise SpecError(error) from None
    for name in names:
        if not library and name not in ATTENTION:
            raise SpecError(f"{name}: a library's module is measured at a place: --in yolov5s --at neck.P3")
    return names or ATTENTION.names()


def _by_itself(names: Sequence[str], options: argparse.Namespace) -> list[list[str]]:
    """Measure at the three sizes of `cost_table`.

    Raises:
        SpecError: if a mechanism fails there, such as a user's own.
    """
    from attention.docs import cost_table

    rows = []
    for name in names:
        try:
            rows += list(cost_table.rows([name], options.batch, options.repeats))
        except (ValueError, RuntimeError, TypeError) as error:
            raise SpecError(f"{name}: cannot be measured: {error}") from None
    return rows


def _at_place(names: Sequence[str], options: argparse.Namespace) -> list[list[str]]:
    """Measure at a place of a model, one row for each module that is placed; what cannot stand there is said.

    Raises:
        SpecError: if a mechanism that was named cannot stand there.
    """
    from models.build import build_model
    from models.network.cost import count_parameters, gflops

    base = build_model(options.model).eval()
    image = _image(base, options.imgsz, options.batch)
    whole = _milliseconds(base, image, options.repeats)
    rows: list[list[str]] = []
    for name in names:
        try:
            rows += _placed(name, base, image, whole, options)
        except SpecError as error:
            if options.names:
                raise
            say(f"note: {error}")
    said = f"{base.spec.name}: {count_parameters(base):,} parameters, {gflops(base, options.imgsz):.2f} GFLOPs"
    time = f", {whole:.1f} ms" if whole else ""
    say(f"{said}{time} at {options.imgsz} px, batch {options.batch}")
    return rows


def _placed(name: str, base: Any, image: Any, whole: float, options: argparse.Namespace) -> list[list[str]]:
    """Return the rows of one mechanism.

    Raises:
        SpecError: if it cannot stand there.
    """
    from attention.docs.cost_table import backward_memory
    from attention.flops import count_flops
    from models.build import build_model
    from models.network.cost import count_parameters

    detector = build_model(options.model, attention=[f"{name}@{options.at}"]).eval()
    rows = []
    for path, x in _inputs(detector, set(base.attention_names()), image).items():
        module = detector.get_submodule(path)
        channels, height, width = x.shape[1:]
        operations = count_flops(module, x) / options.batch / 1e9
        cells = [name, path.removeprefix("model."), f"{channels}", f"{height}×{width}", f"{count_parameters(module)}"]
        cells += [f"{operations:.6f}", f"{backward_memory(module.train(), x):.1f}"]
        spent = _milliseconds(module.eval(), x, options.repeats)
        rows.append([*cells, *([f"{spent:.2f}", f"{100 * spent / whole:.1f}"] if whole else ["", ""])])
    return rows


def _inputs(detector: Any, before: set[str], image: Any) -> dict[str, Any]:
    """Return what goes into each module that was placed, by its name in the detector; an image runs through it."""
    import torch

    found: dict[str, Any] = {}

    def watch(path: str) -> Any:
        def keep(module: Any, given: tuple[Any, ...]) -> None:
            found[path] = given[0].detach().clone()

        return detector.get_submodule(path).register_forward_pre_hook(keep)

    handles = [watch(path) for path in detector.attention_names() if path not in before]
    with torch.no_grad():
        detector(image)
    for handle in handles:
        handle.remove()
    return found


def _image(detector: Any, imgsz: int, batch: int) -> Any:
    """Return noise (batch, channels, imgsz, imgsz).

    Raises:
        SpecError: if the model takes no images of this size.
    """
    import torch

    stride = int(detector.stride.max())
    if imgsz % stride:
        raise SpecError(f"--imgsz {imgsz}: the model takes multiples of {stride}; write {-(-imgsz // stride) * stride}")
    return torch.rand(batch, detector.spec.ch, imgsz, imgsz, generator=torch.Generator().manual_seed(0))


def _milliseconds(module: Any, x: Any, repeats: int) -> float:
    """Return the fastest of several calls of a folded copy; 0 where none is wanted."""
    import copy

    import torch

    from attention.docs.cost_table import fastest
    from attention.fuse import fuse_parts

    if not repeats:
        return 0.0
    folded = copy.deepcopy(module)
    fuse_parts(folded)
    with torch.no_grad():
        return fastest(lambda: folded(x), repeats)


def _positive(text: str) -> int:
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number of at least 1")
    return value


def _whole(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number") from None
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number of at least 0")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
