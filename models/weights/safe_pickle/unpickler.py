"""Read a pickle as inert data: nothing that it names is imported, and nothing is called.

``pickletools`` decodes the opcodes; the machine below keeps only those that build data. A class or function that the
pickle names becomes a `Global` (two strings), an object becomes an `Instance` (its class, arguments and state) and a
tensor a `TensorRef`, read later and only if somebody asks for it. Whatever is not on the short lists of
`models.weights.safe_pickle.allowlist` is refused by name. Work and memory are bounded by the number of opcodes and the
size of the stream.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Iterable
from typing import IO, Any, BinaryIO, cast

from models.errors import CheckpointError
from models.weights.safe_pickle.values import Global, Instance, StorageRef, TensorRef

# The official yolov7-tiny needs 0.1 MB and 38,000 opcodes; the largest model, twice (ema), about ten times as much.
MAX_BYTES = 16 << 20
MAX_OPCODES = 1_000_000

_SCALARS = (str, bytes, int, float, bool, type(None))
_MARK = object()


class PickleMachine:
    """The data half of a pickle machine.

    Args:
        name: what messages call the file.
        find: gives the `Global` for (module, name), or raises CheckpointError.
        call: gives the value of a permitted callable, `call(global, args)`, or raises CheckpointError.
        persistent: gives the value of a persistent id, or raises CheckpointError.
    """

    def __init__(
        self,
        name: str,
        find: Callable[[str, str], Global],
        call: Callable[[Global, tuple[Any, ...]], Any],
        persistent: Callable[[Any], Any],
    ) -> None:
        self.name, self.find, self.call, self.persistent = name, find, call, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def load(self, stream: BinaryIO) -> Any:
        """Run one pickle of the stream and leave the stream behind its STOP.

        Raises:
            CheckpointError: if the pickle is damaged, too large, or asks for anything that is not on the lists.
        """
        self.stack, self.memo = [], {}
        try:
            for count, (op, argument, _) in enumerate(pickletools.genops(cast(IO[bytes], _Bounded(stream)))):
                if count > MAX_OPCODES:
                    raise CheckpointError(
                        f"{self.name}: the pickle has more than {MAX_OPCODES} opcodes; not a checkpoint"
                    )
                if op.name == "STOP":
                    return self._result()
                if op.name not in _OPCODES:
                    raise CheckpointError(
                        f"{self.name}: pickle opcode {op.name} is refused (torch.save does not write it); "
                        "use a file from a source that you trust"
                    )
                _OPCODES[op.name](self, argument)
        except CheckpointError:
            raise
        except _DAMAGE as error:
            raise CheckpointError(f"{self.name}: the pickle is damaged or cut off ({_brief(error)})") from None
        raise CheckpointError(f"{self.name}: the pickle has no end; the file is damaged or cut off")

    def _result(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("ends on a mark")
        return value

    def _pop_mark(self) -> list[Any]:
        position = len(self.stack) - 1
        while self.stack[position] is not _MARK:  # IndexError below the bottom: damaged
            position -= 1
            if position < 0:
                raise IndexError("no mark")
        items = self.stack[position + 1 :]
        del self.stack[position:]
        return items

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(self.find(module, name))

    def _stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (type(name) is str and type(module) is str):
            raise ValueError("a global's name is no text")
        self.stack.append(self.find(module, name))

    def _reduce(self, _: None) -> None:
        arguments, target = self.stack.pop(), self.stack.pop()
        if not isinstance(target, Global):
            raise CheckpointError(
                f"{self.name}: the pickle calls a {type(target).__name__}, which is no class; refused"
            )
        if type(arguments) is not tuple:
            raise ValueError("arguments are no tuple")
        self.stack.append(self.call(target, arguments))

    def _build(self, _: None) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Instance):
            if type(state) is tuple and len(state) == 2 and type(state[1]) is dict:
                target.state.update(state[1])  # (dict or None, slots)
                state = state[0] if state[0] is not None else {}
            if type(state) is dict:
                target.state.update({key: value for key, value in state.items() if type(key) is str})
            else:
                target.extra = state
        elif not isinstance(target, (dict, TensorRef)):  # attributes on those (`_metadata` of a state dict) say nothing
            raise CheckpointError(f"{self.name}: the pickle sets attributes on a {type(target).__name__}; refused")

    def _append(self, items: Iterable[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError(f"append to a {type(target).__name__}")
        target.extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict:
            raise ValueError(f"item of a {type(target).__name__}")
        if len(items) % 2:
            raise ValueError("a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_key(key)] = value

    def _add_items(self, _: None) -> None:
        items = self._pop_mark()
        target = self.stack[-1]
        if type(target) is not set:
            raise ValueError(f"member of a {type(target).__name__}")
        target.update(map(_key, items))

    def _tuple(self, count: int) -> None:
        items = tuple(self.stack[-count:])
        if len(items) < count or _MARK in items:
            raise IndexError("stack too short")
        self.stack[-count:] = [items]

    def _frozen(self, _: None) -> None:
        self.stack.append(frozenset(map(_key, self._pop_mark())))

    def _dict(self, _: None) -> None:
        items = self._pop_mark()
        self.stack.append({})
        self._set_items(items)

    def _two(self) -> list[Any]:
        value, key = self.stack.pop(), self.stack.pop()
        return [key, value]

    def _put(self, index: int) -> None:
        if self.stack[-1] is _MARK:
            raise ValueError("memo of a mark")
        self.memo[index] = self.stack[-1]


def unpickle(
    name: str,
    data: bytes | BinaryIO,
    find: Callable[[str, str], Global],
    call: Callable[[Global, tuple[Any, ...]], Any],
    persistent: Callable[[Any], Any],
) -> Any:
    """Read one pickle as inert data; arguments and errors as `PickleMachine`."""
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    return PickleMachine(name, find, call, persistent).load(stream)


class _Bounded:
    """A stream that gives at most MAX_BYTES; nothing is read ahead, so that the next reader continues behind."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.left = stream, MAX_BYTES

    def _count(self, data: bytes) -> bytes:
        self.left -= len(data)
        if self.left <= 0:
            raise ValueError(f"longer than {MAX_BYTES >> 20} MB")
        return data

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes."""
        return self._count(self.stream.read(min(size, self.left)))

    def readline(self) -> bytes:
        """Return one line."""
        return self._count(self.stream.readline(self.left))


def _key(key: Any) -> Any:
    """Admit keys and members of sets: what hashes in constant time and cannot be made to collide in numbers."""
    if type(key) is int and abs(key) >= 1 << 63:
        raise ValueError("an integer key beyond 64 bits")
    if type(key) is tuple and all(type(part) in _SCALARS for part in key) and len(key) <= 16:
        return key
    if type(key) in _SCALARS or isinstance(key, (Global, Instance, StorageRef, TensorRef)):
        return key
    raise ValueError(f"a {type(key).__name__} as key")


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


_DAMAGE = (
    ValueError,  # with UnicodeError
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)

_Handler = Callable[[PickleMachine, Any], object]


def _push(machine: PickleMachine, value: Any) -> None:
    machine.stack.append(value)


_OPCODES: dict[str, _Handler] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda m, a: None),
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"), _push),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _push),
    **dict.fromkeys(("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _push),
    "NONE": lambda m, a: m.stack.append(None),
    "NEWTRUE": lambda m, a: m.stack.append(True),
    "NEWFALSE": lambda m, a: m.stack.append(False),
    "MARK": lambda m, a: m.stack.append(_MARK),
    "POP": lambda m, a: m.stack.pop(),
    "POP_MARK": lambda m, a: m._pop_mark(),
    "DUP": lambda m, a: m.stack.append(m.stack[-1]),
    "EMPTY_LIST": lambda m, a: m.stack.append([]),
    "EMPTY_TUPLE": lambda m, a: m.stack.append(()),
    "EMPTY_DICT": lambda m, a: m.stack.append({}),
    "EMPTY_SET": lambda m, a: m.stack.append(set()),
    "LIST": lambda m, a: m.stack.append(m._pop_mark()),
    "TUPLE": lambda m, a: m.stack.append(tuple(m._pop_mark())),
    "TUPLE1": lambda m, a: m._tuple(1),
    "TUPLE2": lambda m, a: m._tuple(2),
    "TUPLE3": lambda m, a: m._tuple(3),
    "DICT": PickleMachine._dict,
    "FROZENSET": PickleMachine._frozen,
    "APPEND": lambda m, a: m._append([m.stack.pop()]),
    "APPENDS": lambda m, a: m._append(m._pop_mark()),
    "SETITEM": lambda m, a: m._set_items(m._two()),
    "SETITEMS": lambda m, a: m._set_items(m._pop_mark()),
    "ADDITEMS": PickleMachine._add_items,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, a: m.stack.append(m.memo[a])),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), PickleMachine._put),
    "MEMOIZE": lambda m, a: m._put(len(m.memo)),
    "GLOBAL": PickleMachine._global,
    "STACK_GLOBAL": PickleMachine._stack_global,
    "REDUCE": PickleMachine._reduce,
    "NEWOBJ": PickleMachine._reduce,  # cls.__new__(cls, *args): for inert data the same as a call
    "BUILD": PickleMachine._build,
    "BINPERSID": lambda m, a: m.stack.append(m.persistent(m.stack.pop())),
}
