"""A pretended CUDA GPU: tensors are on cuda:N by name and by CUDA's dispatch key, their numbers are on the CPU.

So PyTorch's real rules of `autocast("cuda")` and GradScaler hold, mixing devices raises, and whatever would wait for a
GPU is counted. It is not cuDNN, NCCL, CUDA graphs, or speed.
"""

import contextlib
import threading
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from counts import note
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten


@dataclass
class Machine:
    """Say what the pretended GPU is like.

    Attributes:
        devices: how many there are.
        bf16: whether it has bfloat16.
        float64: whether it has float64; Apple's have not.
        batch: images of a training batch that fit its memory; 0 for any.
        current: number of the current device.
    """

    devices: int = 1
    bf16: bool = True
    float64: bool = True
    batch: int = 0
    current: int = 0


machine = Machine()

# Operations whose result, or the shape of it, the host needs: it waits for them.
WAITS = {
    aten._local_scalar_dense.default: "item",
    aten.nonzero.default: "nonzero",
    aten.masked_select.default: "masked_select",
    aten.equal.default: "equal",
    aten.bincount.default: "bincount",
    aten._unique2.default: "unique",
    aten.repeat_interleave.Tensor: "repeat_interleave",
}
# Operations of CUDA that take CPU tensors beside CUDA ones.
MIXED = {aten.copy_.default, aten._to_copy.default, aten.index.Tensor, aten.set_.source_Tensor}
MIXED |= {aten._has_compatible_shallow_copy_type.default, aten.is_same_size.default}
INDEXED = ("index", "index_put", "index_put_", "_index_put_impl_")


class DevicesMixed(RuntimeError):
    """Raised where CUDA would refuse tensors of several devices."""


class PretendedTensor(torch.Tensor):
    """A tensor on the pretended GPU; `numbers` is the CPU tensor with its numbers."""

    numbers: torch.Tensor
    place: torch.device

    @staticmethod
    def __new__(cls, real: torch.Tensor, where: torch.device) -> "PretendedTensor":
        layout = {"strides": real.stride(), "storage_offset": real.storage_offset(), "layout": real.layout}
        made = torch.Tensor._make_wrapper_subclass(cls, real.size(), dtype=real.dtype, device=where, **layout)
        made.numbers, made.place = real, where
        return made

    def tolist(self) -> Any:
        note("to host")
        return self.numbers.tolist()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")

    __array__ = numpy

    def __repr__(self, **kwargs: Any) -> str:
        return f"{self.numbers!r} on {self.place}"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.dim() == 0 else repr(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.cpu().__reduce_ex__(protocol)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.is_pinned:
            return False
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **(kwargs or {}))
        if func is torch.Tensor.data.__set__:
            args[0].numbers = args[1].numbers
        return result

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation on the numbers, and put the result where CUDA would."""
    leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    pretended = [leaf for leaf in leaves if isinstance(leaf, PretendedTensor)]
    name = func.overloadpacket.__name__
    if func is aten._pin_memory.default:
        return args[0]
    if func is aten.is_pinned.default:
        return False
    _check(func, name, args, leaves, pretended)
    _count(func, name, args, kwargs, pretended)
    _limit(name, args, kwargs, pretended)
    outputs = _computed(func, name, tree_map(_real, args), tree_map(_real, {**kwargs, **_unpinned(kwargs)}))
    target = kwargs.get("device")
    if target is not None:
        where = _numbered(target) if torch.device(target).type == "cuda" else None
    elif func is aten.copy_.default:
        where = getattr(args[0], "place", None)
    else:
        where = pretended[0].place if pretended else None
    same = _written(func, args, kwargs)

    def wrap(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) in same:
            return same[id(value)]
        return PretendedTensor(value, where) if where is not None else value

    return tree_map(wrap, outputs)


def _check(func: Any, name: str, args: Any, leaves: list[Any], pretended: list[Any]) -> None:
    """Refuse what CUDA refuses: tensors of several devices; single numbers of the CPU are taken."""
    if not pretended or func in MIXED:
        if func is aten.index.Tensor and pretended and not isinstance(args[0], PretendedTensor):
            raise DevicesMixed("indices on cuda for a tensor on the cpu")
        return
    if len({tensor.place for tensor in pretended}) > 1:
        raise DevicesMixed(f"{func}: tensors of several GPUs")
    by_index = name in INDEXED and all(isinstance(args[i], PretendedTensor) for i in (0, 2))
    others = [tensor for tensor in leaves if not isinstance(tensor, PretendedTensor) and tensor.dim()]
    if others and not by_index:
        raise DevicesMixed(f"Expected all tensors to be on the same device: {func} got cuda and cpu")


def _count(func: Any, name: str, args: Any, kwargs: dict[str, Any], pretended: list[Any]) -> None:
    """Count waits for the GPU."""
    if pretended and func in WAITS:
        note(WAITS[func])
    elif pretended and name in INDEXED:
        if any(isinstance(i, torch.Tensor) and i.dtype in (torch.bool, torch.uint8) for i in args[1]):
            note("index by mask")
    elif func is aten.copy_.default:
        to, source = (isinstance(value, PretendedTensor) for value in args[:2])
        if to != source and not (to and args[2:] and args[2]):
            note("to device" if to else "to host")
    elif func is aten._to_copy.default:
        was, target = isinstance(args[0], PretendedTensor), kwargs.get("device")
        wants = was if target is None else torch.device(target).type == "cuda"
        if was != wants and not (wants and kwargs.get("non_blocking")):
            note("to device" if wants else "to host")


def _limit(name: str, args: Any, kwargs: dict[str, Any], pretended: list[Any]) -> None:
    """Refuse what this GPU has not: float64, or the memory for a training batch."""
    if not machine.float64:
        made = kwargs.get("dtype") == torch.float64 and torch.device(kwargs.get("device") or "cuda").type == "cuda"
        if any(tensor.dtype == torch.float64 for tensor in pretended) or (made and (pretended or "device" in kwargs)):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64")
    full = machine.batch and name == "convolution" and pretended and args[0].shape[0] > machine.batch
    if full and torch.is_grad_enabled():
        raise torch.OutOfMemoryError("CUDA out of memory (pretended)")


def _computed(func: Any, name: str, args: Any, kwargs: Any) -> Any:
    """Run an operation on CPU tensors; what CPUs cannot do with float16 is done in float32."""
    if name == "_softmax_backward_data" and args[0].dtype != args[3]:
        return func(args[0], args[1], args[2], args[0].dtype).to(args[3])
    if name in ("_softmax", "_log_softmax") and args[2]:
        return func(args[0].float(), args[1], False)
    try:
        return func(*args, **kwargs)
    except RuntimeError as error:
        if "not implemented for 'Half'" not in str(error):
            raise
    args, kwargs = tree_map(lambda value: _cast(value, torch.half, torch.float), (args, kwargs))
    return tree_map(lambda value: _cast(value, torch.float, torch.half), func(*args, **kwargs))


def _cast(value: Any, was: torch.dtype, to: torch.dtype) -> Any:
    return value.to(to) if isinstance(value, torch.Tensor) and value.dtype == was else value


def _real(value: Any) -> Any:
    if isinstance(value, PretendedTensor):
        return value.numbers
    return torch.device("cpu") if isinstance(value, torch.device) and value.type == "cuda" else value


def _unpinned(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {"pin_memory": False} if "pin_memory" in kwargs else {}


def _numbered(device: Any) -> torch.device:
    device = torch.device(device)
    return torch.device("cuda", machine.current if device.index is None else device.index)


def _written(func: Any, args: Any, kwargs: dict[str, Any]) -> dict[int, Any]:
    """Return the tensors that an operation writes into, by the identity of what it will return for them."""
    written = {}
    for number, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[number] if number < len(args) else kwargs.get(argument.name)
            for tensor in tree_leaves(value):
                written[id(_real(tensor))] = tensor
    return written


class _Operations(TorchDispatchMode):
    """See operations that make tensors, which have no tensor among their arguments."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


class _Numbers(TorchFunctionMode):
    """Give "cuda" its number, for which PyTorch would ask the driver."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "scaled_dot_product_attention":  # CUDA's own choice of a kernel asks for cuDNN
            return torch._scaled_dot_product_attention_math(*args, **kwargs)[0]
        if name not in ("autocast", "__set__", "__get__"):
            kwargs = {key: self._named(value) if key == "device" else value for key, value in kwargs.items()}
            if name in ("to", "cuda", "type"):
                args = tuple(map(self._named, args))
            if name == "cuda" and len(args) == 1 and "device" not in kwargs:
                return args[0].to(_numbered("cuda"), **kwargs)
        return func(*args, **kwargs)

    @staticmethod
    def _named(value: Any) -> Any:
        is_device = isinstance(value, torch.device) and value.type == "cuda"
        return _numbered(value) if is_device or value == "cuda" else value


def install() -> None:
    """Let torch.cuda answer for the pretended machine, in this thread and those that are started from here."""
    torch._C._set_only_lift_cpu_tensors(True)
    torch.backends.cudnn.enabled = False
    for fast in ("flash", "mem_efficient", "cudnn"):  # of attention: kernels of GPUs
        getattr(torch.backends.cuda, f"enable_{fast}_sdp")(False)
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    torch.inference_mode = _no_grad  # type: ignore[misc,assignment]
    _answer_for_cuda()
    _pretend_in_threads()
    _Operations().__enter__()
    _Numbers().__enter__()
    torch.autograd.set_multithreading_enabled(False)


def _no_grad(mode: Any = True) -> Any:
    """Stand in for inference mode, whose tensors a dispatch mode cannot wrap."""
    if callable(mode):
        return torch.no_grad()(mode)
    return torch.no_grad() if mode else contextlib.nullcontext()


MEMORY = ("memory_reserved", "memory_allocated", "max_memory_allocated", "max_memory_reserved")


def _answer_for_cuda() -> None:
    properties = SimpleNamespace(
        name="Pretended GPU",
        total_memory=8 << 30,
        major=8 if machine.bf16 else 7,
        minor=6 if machine.bf16 else 5,
        multi_processor_count=20,
    )
    cuda: Any = torch.cuda

    def answer(value: Any) -> Any:
        return lambda *args, **kwargs: value

    for name, value in {
        "_lazy_init": None,
        "is_available": True,
        "is_initialized": True,
        "device_count": machine.devices,
        "get_device_properties": properties,
        "get_device_name": properties.name,
        "get_device_capability": (properties.major, properties.minor),
        "get_arch_list": ["sm_75", "sm_86"],
        "mem_get_info": (7 << 30, 8 << 30),
        "reset_peak_memory_stats": None,
        "empty_cache": None,
        "manual_seed": None,
        "manual_seed_all": None,
        "get_rng_state_all": [],
        "device": contextlib.nullcontext(),
        **dict.fromkeys(
            ("memory_reserved", "memory_allocated", "max_memory_allocated", "max_memory_reserved"), 1 << 30
        ),
    }.items():
        setattr(cuda, name, answer(value))
    cuda.is_bf16_supported = lambda including_emulation=True: machine.bf16 or including_emulation
    cuda.current_device = lambda: machine.current
    cuda.set_device = lambda device: setattr(machine, "current", torch.device(device).index or 0)
    cuda.synchronize = lambda device=None: note("synchronize")
    torch.accelerator.is_available = answer(True)
    torch.accelerator.current_accelerator = answer(torch.device("cuda"))
    torch.accelerator.synchronize = cuda.synchronize
    torch.Tensor.pin_memory = lambda self, *args, **kwargs: self  # type: ignore[assignment,method-assign]


def _pretend_in_threads() -> None:
    plain = threading.Thread.run

    def run_pretending(self: threading.Thread) -> None:
        torch._C._set_only_lift_cpu_tensors(True)
        with _Operations(), _Numbers():
            torch.autograd.set_multithreading_enabled(False)
            plain(self)

    threading.Thread.run = run_pretending  # type: ignore[method-assign]
