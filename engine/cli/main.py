"""Run an entry script's command line: errors of the user become one line and exit code 2. No heavy imports."""

import argparse
import errno
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from data.folders import ROOT
from data.tool_parser import escape_unwritable
from engine.cli.parser import Parser
from engine.errors import RunFailed, UsageError

# Entry script → what makes its parser, and the function that does the work with the parsed options. Named, not
# imported: --help of one script does not wait for the flags of the others.
COMMANDS = {
    "train": ("engine.cli.train_flags:train_parser", "engine.training.run:run_training"),
    "val": ("engine.cli.val_flags:val_parser", "engine.validation.run:run_validation"),
    "detect": ("engine.cli.detect_flags:detect_parser", "engine.detection.run:run_detection"),
    "export": ("engine.cli.export_flags:export_parser", "engine.export.run:run_export"),
}
# Error classes that mean "the input is wrong", by the module that has to be loaded for one to be raised.
INPUT_ERRORS = (
    ("engine.errors", "UsageError"),
    ("models.errors", "SpecError"),
    ("models.errors", "CheckpointError"),
    ("data.errors", "DataError"),
)

# What PyTorch says of CUDA, MPS, XPU and processors, and CUDA's libraries of themselves.
OUT_OF_MEMORY = re.compile(r"OutOfMemoryError|out of memory|can't allocate memory|STATUS_ALLOC_FAILED", re.IGNORECASE)
# What to do where nothing can be written any more, by the system's number.
NO_ROOM = {
    errno.ENOSPC: "free some space on that disk",
    getattr(errno, "EDQUOT", errno.ENOSPC): "free some space on that disk",
    errno.EROFS: "choose a folder that can be written",
}


def _imported(name: str) -> Callable[..., Any]:
    """Import the function that "module:function" names."""
    module, function = name.split(":")
    return getattr(import_module(module), function)


def make_parser(command: str) -> Parser:
    """Make the parser of an entry script's command line."""
    return _imported(COMMANDS[command][0])()


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
        if hasattr(options, "maps") and getattr(options, name, None):
            raise UsageError(f"{flag} says what maps to write: add --maps gates, cam or features")
    return target


def _check_checkout() -> None:
    """Make sure that the generic package names mean this checkout's packages.

    Raises:
        UsageError: if another installed package hides one of them.
    """
    from importlib.util import find_spec  # here, so that --help does not wait for it

    for name in ("models", "data", "attention", "metrics"):
        spec = find_spec(name)
        origin = Path(spec.origin).resolve().parent if spec is not None and spec.origin else None
        if origin != ROOT / name:
            raise UsageError(
                f"the package '{name}' is found at {origin}, not at {ROOT / name}; "
                f"run the scripts of {ROOT} and remove the other from PYTHONPATH"
            )


def _unreachable(error: OSError) -> str | None:
    """Say why the system does not give a file that the user named; None for other errors."""
    if error.errno == errno.ENAMETOOLONG:
        return f"no such file: {str(error.filename)[:120]}…; its name is too long for a file"
    if isinstance(error, PermissionError) and error.filename is not None:
        return f"{error.filename}: no permission to read or write it; ask its owner for that, or name another place"
    return None


def _out_of_memory(error: BaseException) -> str | None:
    """Say what to make smaller where a device or the machine has no memory left; None for other errors."""
    text = " ".join(str(error).split())
    if not isinstance(error, MemoryError) and not OUT_OF_MEMORY.search(f"{type(error).__name__}: {text}"):
        return None
    said = text.partition(". ")[0][:200].rstrip(".") or "Python has none left"
    return f"out of memory: {said}; use a smaller --batch-size or --imgsz, or end what else uses this memory"


def _lost_loader(error: BaseException, command: str) -> str | None:
    """Say why a loader process may be gone, which PyTorch says wherever the program stands; None for other errors."""
    text = " ".join(str(error).split())
    if not text.startswith("DataLoader worker"):
        return None
    if "out of shared memory" in text:
        return "out of shared memory: start the container with --ipc=host or --shm-size=8g, or use --workers 0"
    again = "go on with --resume" if command == "train" else "run the command again"
    return (
        f"a loader process was ended ({text[:100].rstrip('. ')}), mostly as memory or shared memory (/dev/shm) was "
        f"full; use fewer --workers (0 needs none), in a container raise --shm-size, and {again}"
    )


def _no_room(error: OSError) -> str | None:
    """Say what to do where the system can write no more; None for other errors."""
    remedy = NO_ROOM.get(error.errno or 0)
    if remedy is None:
        return None
    return f"{error.filename or 'a file'}: cannot be written ({error.strerror}); {remedy}, then run the command again"


def _explained(error: Exception, command: str) -> tuple[int, str] | None:
    """Return exit code and line for an error of the machine that the user can do something about."""
    if isinstance(error, OSError):
        full, line = _no_room(error), _unreachable(error)
        return (1, full) if full is not None else None if line is None else (2, line)
    line = _lost_loader(error, command) or _out_of_memory(error)
    return None if line is None else (1, line)


def main(command: str, argv: Sequence[str] | None = None) -> int:
    """Run one of the entry scripts.

    Args:
        command: "train", "val", "detect" or "export".
        argv: arguments after the script's name; those of the process where None.

    Returns:
        The exit code: 0 done, 2 the input is wrong and 1 a run failed (one line on standard error), 130 interrupted.
        Other errors are raised, which Python turns into a traceback and exit code 1.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    escape_unwritable()
    warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated")  # TorchScript files are one format
    try:
        options = make_parser(command).parse_args(arguments)
        options.demo = not arguments
        if command == "train":
            options.epochs_given, options.workers_given = (
                any(argument.split("=")[0] == flag for argument in arguments) for flag in ("--epochs", "--workers")
            )
        _check_checkout()
        _imported(_with_maps(options, COMMANDS[command][1]))(options)
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
    except (OSError, RuntimeError, MemoryError) as error:
        explained = _explained(error, command)
        if explained is None:
            raise
        code, line = explained
        sys.stderr.write(f"{command}.py: {line}\n")
        return code
    return 0
