"""What a checkpoint may ask for: the short lists, and the inert value of each permitted call.

Nothing here imports what a file names. A permitted callable is a function of ours that builds plain data from plain
data; a permitted class of a neural network becomes an `Instance` that only holds its attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from models.errors import CheckpointError
from models.weights.safe_pickle.values import Global, Instance, StorageRef, TensorRef

# Python 2's names, which protocol 2 (torch.save's default) still writes.
_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg", "numpy._core.multiarray": "numpy.core.multiarray"}

# Modules whose classes become inert stand-ins. "models." are the official repositories' own (and their forks'), never
# the package that this file belongs to: a stand-in is two strings.
_MODULE_PREFIXES = (
    "models.",
    "utils.activations.",
    "torch.nn.",
    "torchvision.models.",
    "torchvision.ops.",
    "timm.models.",
    "timm.layers.",
    "ultralytics.nn.",
    "ultralytics.utils.",
)

# Records without behaviour that training scripts leave in their checkpoints.
_RECORDS = frozenset(
    {
        "argparse.Namespace",
        "types.SimpleNamespace",
        "pathlib.Path",
        "pathlib.PosixPath",
        "pathlib.WindowsPath",
        "pathlib.PurePosixPath",
        "pathlib.PureWindowsPath",
        "pathlib._local.PosixPath",
        "pathlib._local.WindowsPath",
        "numpy.dtype",
        "numpy.ndarray",
        "numpy.core.multiarray._reconstruct",
    }
)

_DTYPES = frozenset(f"torch.{kind}{bits}" for kind in ("float", "int", "uint") for bits in (8, 16, 32, 64)) | {
    "torch.bfloat16",
    "torch.bool",
}

# torch's storage classes by the numpy-like name of their element; what importing a tensor supports.
STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}

_REMEDY = "use a file from a source that you trust, or save its state_dict() with torch.save"


class AllowedGlobals:
    """The permitted names for one file.

    Args:
        name: what messages call the file.
        stand_ins: True admits classes of neural networks as inert stand-ins (official files); False admits only
            tensors, containers and numbers (our own files, plain state dicts).
    """

    def __init__(self, name: str, stand_ins: bool) -> None:
        self.name, self.stand_ins = name, stand_ins

    def find(self, module: str, name: str) -> Global:
        """Return the inert reference for a permitted name.

        Raises:
            CheckpointError: naming what the file asks for, if it is not permitted.
        """
        target = Global(_RENAMED.get(module, module), name)
        text = str(target)
        if text in _CALLS or text in _DTYPES or (target.module == "torch" and name in STORAGES):
            return target
        if self.stand_ins and (text in _RECORDS or _is_stand_in(target)):
            return target
        raise CheckpointError(
            f"{self.name}: the file asks for {_shown(module)}.{_shown(name)}, which is refused; "
            f"nothing was run; {_REMEDY}"
        )

    def call(self, target: Global, arguments: tuple[Any, ...]) -> Any:
        """Return the inert value of calling a permitted name.

        Raises:
            CheckpointError: if the name is not callable here.
            TypeError, ValueError: if the arguments do not fit (the pickle is damaged).
        """
        function = _CALLS.get(str(target))
        if function is not None:
            return function(*arguments)
        if str(target) in _RECORDS or _is_stand_in(target):
            return Instance(target, arguments)
        raise CheckpointError(f"{self.name}: the file calls {target}, which is refused; nothing was run; {_REMEDY}")


def _is_stand_in(target: Global) -> bool:
    return f"{target.module}.".startswith(_MODULE_PREFIXES) and _is_dotted(target.module) and _is_dotted(target.name)


def _shown(text: str) -> str:
    """Return a name from the file in a message: short, and without line breaks or terminal codes."""
    return text[:80] if text.isprintable() else ascii(text[:80])


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _dict(pairs: Any = ()) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for pair in pairs.items() if type(pairs) is dict else pairs:
        key, value = pair
        if type(key) not in (str, int):
            raise TypeError(f"a {type(key).__name__} as key")
        result[key] = value
    return result


def _default_dict(_factory: Any = None, pairs: Any = ()) -> dict[Any, Any]:
    return _dict(pairs)


def _sequence(kind: Callable[[Any], Any]) -> Callable[..., Any]:
    def build(items: Any = ()) -> Any:
        if type(items) not in (list, tuple):
            raise TypeError(f"a {type(items).__name__} as items")
        if kind in (set, frozenset) and not all(type(item) in (str, int, float, bool) for item in items):
            raise TypeError("a set of other things than numbers and texts")
        return kind(items)

    return build


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1", "ascii", "utf-8", "utf8"):
        raise TypeError("bytes that are no text")
    return text.encode(encoding)


def _no_bytes() -> bytes:
    return b""  # as protocols below 3 write it


def _device(kind: Any = "cpu", index: Any = 0) -> str:
    if type(kind) is not str or type(index) is not int:
        raise TypeError("a device without a name")
    return f"{kind}:{index}"


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> TensorRef:
    if not isinstance(storage, StorageRef):
        raise TypeError(f"a tensor on a {type(storage).__name__}")
    return TensorRef(storage, _count(offset), _counts(size), _counts(stride))


def _parameter(data: Any, *_: Any) -> TensorRef:
    if not isinstance(data, TensorRef):
        raise TypeError(f"a parameter of a {type(data).__name__}")
    return data


def _typed_tensor(rebuild: Any, _kind: Any, arguments: Any, _state: Any = None) -> TensorRef:
    if not (
        isinstance(rebuild, Global) and str(rebuild).startswith("torch._utils._rebuild") and type(arguments) is tuple
    ):
        raise TypeError("a tensor subclass without a rebuilding function")
    result = _CALLS[str(rebuild)](*arguments)
    if not isinstance(result, TensorRef):
        raise TypeError("a tensor subclass that is no tensor")
    return result


def _counts(values: Any) -> tuple[int, ...]:
    if type(values) is not tuple or len(values) > 16:
        raise TypeError("a shape that is no tuple")
    return tuple(map(_count, values))


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 48:
        raise ValueError("a size or position out of range")
    return value


def _numpy_scalar(kind: Any, data: Any = b"", *_: Any) -> Any:
    """A numpy number as a Python one; `kind` is the inert dtype: args ("f8", …), extra (version, byte order, …)."""
    if not (isinstance(kind, Instance) and str(kind.cls) == "numpy.dtype" and type(data) is bytes and kind.args):
        raise TypeError("a numpy number without a type")
    code = kind.args[0]
    if type(code) is not str or code not in {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}:
        raise TypeError("a numpy number that is no number")
    order = kind.extra[1] if type(kind.extra) is tuple and len(kind.extra) > 1 else "="
    if order not in ("<", ">", "=", "|"):
        raise ValueError("a byte order")
    return np.frombuffer(data, np.dtype(f"{order}{code}"), count=1)[0].item()


_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _dict,
    "collections.Counter": _dict,
    "collections.defaultdict": _default_dict,
    "builtins.dict": _dict,
    "builtins.set": _sequence(set),
    "builtins.frozenset": _sequence(frozenset),
    "builtins.list": _sequence(list),
    "builtins.tuple": _sequence(tuple),
    "builtins.bytes": _no_bytes,
    "torch.Size": _sequence(tuple),
    "torch.device": _device,
    "_codecs.encode": _encode,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _typed_tensor,
    "torch.nn.parameter.Parameter": _parameter,
    "torch.Tensor": _parameter,
    "numpy.core.multiarray.scalar": _numpy_scalar,
}
