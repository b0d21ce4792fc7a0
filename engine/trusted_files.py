"""Decide which exported models may be loaded: those that run no code, and those that export.py wrote here.

A checkpoint is read without running anything. A TorchScript archive is a program: it can write files as soon as it is
loaded. A TensorRT engine is machine code. Those are loaded where `export.py` wrote them for this user, or with --trust.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data.files import file_hash
from data.folders import cache_folder
from engine.errors import UsageError

PROGRAMS = (".torchscript", ".engine")
# What ultralytics' runtimes read besides checkpoints.
SUFFIXES = (".onnx", *PROGRAMS, ".mlpackage", ".tflite", "_openvino_model", "_ncnn_model")


def remember(path: Path) -> None:
    """Note that this file was written here, so that it may be loaded without asking."""
    if path.suffix in PROGRAMS:
        with _record().open("a", encoding="ascii") as file:
            file.write(f"{file_hash(path)}\n")


def check(path: Path, trusted: bool) -> None:
    """Make sure that loading an exported model runs nothing and reads nothing else, unless the user trusts it.

    Args:
        path: file or folder.
        trusted: whether --trust was given.

    Raises:
        UsageError: if it is missing, damaged, or not to be loaded without trust.
    """
    if not path.exists():
        raise UsageError(f"--weights {path}: there is no such exported model")
    if path.suffix in PROGRAMS and not trusted and not _written_here(path):
        raise UsageError(
            f"--weights {path}: is a program that loading would run, and export.py did not write it here; if you know "
            "who made it add --trust, else ask them for the checkpoint or an .onnx file"
        )
    if path.suffix == ".onnx":
        _check_onnx(path)


def _check_onnx(path: Path) -> None:
    """Refuse an ONNX file that is none, or that takes tensors from other files."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError) as error:
        raise UsageError(f"--weights {path}: is no readable ONNX file: {error}") from None
    if not model.graph.node:
        raise UsageError(f"--weights {path}: is no readable ONNX file: it computes nothing")
    for tensor in _tensors(model):
        if tensor.external_data:
            location = {entry.key: entry.value for entry in tensor.external_data}.get("location", "")
            raise UsageError(
                f"--weights {path}: takes tensors from another file, {location[:80]!r}; ask for a single file"
            )


def _tensors(message: Any) -> Iterator[Any]:
    """Yield every tensor in a message, wherever: initializers, attributes, subgraphs, functions."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if isinstance(value, Sequence) else [value]:
                yield from _tensors(inner)


def _record() -> Path:
    return cache_folder() / "exported.txt"


def _written_here(path: Path) -> bool:
    record = _record()
    return record.is_file() and file_hash(path) in record.read_text(encoding="ascii").split()
