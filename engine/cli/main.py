"""Run an entry script's command line: errors of the user become one line and exit code 2. No heavy imports."""

import argparse
import importlib.util
import io
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from data.folders import ROOT
from engine.cli.detect_flags import detect_parser
from engine.cli.export_flags import export_parser
from engine.cli.parser import Parser
from engine.cli.train_flags import train_parser
from engine.cli.val_flags import val_parser
from engine.errors import RunFailed, UsageError

# Entry script → its flags, and the function that does the work with the parsed options.
COMMANDS: dict[str, tuple[Callable[[], Parser], str]] = {
    "train": (train_parser, "engine.training.run:run_training"),
    "val": (val_parser, "engine.validation.run:run_validation"),
    "detect": (detect_parser, "engine.detection.run:run_detection"),
    "export": (export_parser, "engine.export.run:export_model"),
}
# Error classes that mean "the input is wrong", by the module that has to be loaded for one to be raised.
INPUT_ERRORS = (
    ("engine.errors", "UsageError"),
    ("models.errors", "SpecError"),
    ("models.errors", "CheckpointError"),
    ("data.errors", "DataError"),
)


def _input_errors() -> tuple[type[BaseException], ...]:
    return tuple(getattr(sys.modules[module], name) for module, name in INPUT_ERRORS if module in sys.modules)


def _with_maps(options: argparse.Namespace, target: str) -> str:
    """Return what does the work: where maps of a detector's inside are wanted, what stands above detection.

    Raises:
        UsageError: if flags of maps are given without --maps.
    """
    if getattr(options, "visualize", False) and not options.maps:
        options.maps = ["features"]
    if getattr(options, "maps", None):
        return "engine.inspection.run:run_with_maps"
    for flag, name in (("--layer", "layer"), ("--class", "map_classes"), ("--pdf", "pdf")):
        if getattr(options, name, None):
            raise UsageError(f"{flag} says what maps to write: add --maps gates, cam or features")
    return target


def _check_checkout() -> None:
    """Make sure that the generic package names mean this checkout's packages.

    Raises:
        UsageError: if another installed package hides one of them.
    """
    for name in ("models", "data", "attention", "metrics"):
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve().parent if spec is not None and spec.origin else None
        if origin != ROOT / name:
            raise UsageError(
                f"the package '{name}' is found at {origin}, not at {ROOT / name}; "
                f"run the scripts of {ROOT} and remove the other from PYTHONPATH"
            )


def main(command: str, argv: Sequence[str] | None = None) -> int:
    """Run one of the entry scripts.

    Args:
        command: "train", "val", "detect" or "export".
        argv: arguments after the script's name; those of the process where None.

    Returns:
        The exit code: 0 done, 2 the input is wrong and 1 a run failed (one line on standard error), 130 interrupted.
        Other errors are raised, which Python turns into a traceback and exit code 1.
    """
    make_parser, target = COMMANDS[command]
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error is: no name of a file ends a run
    try:
        options = make_parser().parse_args(arguments)
        options.demo = not arguments
        if command == "train":
            options.epochs_given = any(argument.split("=")[0] == "--epochs" for argument in arguments)
        _check_checkout()
        module, function = _with_maps(options, target).split(":")
        getattr(import_module(module), function)(options)
    except KeyboardInterrupt:
        sys.stderr.write(f"{command}.py: interrupted\n")
        return 130
    except ValueError as error:
        if not isinstance(error, _input_errors()):
            raise
        sys.stderr.write(f"{command}.py: {' '.join(str(error).split())}\n")
        return 2
    except RunFailed as error:
        sys.stderr.write(f"{command}.py: {error}\n")
        return 1
    return 0
