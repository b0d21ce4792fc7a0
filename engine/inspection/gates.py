"""Read the real gate values of attention mechanisms while a detector runs.

Nothing is changed in the mechanisms: for the time of one run, a mode of PyTorch's sees every sigmoid, softmax and
attention product that they compute, and forward hooks say which mechanism is running. Both are gone afterwards.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attention.identity_start import IdentityStart
from attention.layers.gates import GATES
from engine.inspection.arrangements import arrange
from engine.inspection.gate_values import Gate, Pairs, classify
from engine.inspection.places import AttentionPlace

SIGMOIDS = frozenset({"sigmoid", "sigmoid_", "hardsigmoid"})
SUMS = frozenset({"add", "__add__", "__radd__", "add_", "__iadd__", "rsub", "__rsub__"})
SOFTMAXES = frozenset({"softmax", "_softmax"})
PRODUCTS = frozenset({"mul", "mul_", "__mul__", "__rmul__", "__imul__", "multiply"})
PAIRS = "scaled_dot_product_attention"
# Why a mechanism has no map; others that have none multiply by nothing that depends on the image.
NO_MAP = {
    "PlainConv": "it is a convolution, the control of the studies, and gates nothing",
    "Mona": "it adds depthwise convolutions of the map to it, and gates nothing",
}


@dataclass
class MechanismGates:
    """Hold what one mechanism computed for a batch.

    Attributes:
        place: the mechanism and where it stands.
        input_shape: (B, C, H, W) of its input.
        gates: in the order of computation.
        gamma: γ of x + γ (A(x) − x) where it started as the identity, else None; at 0 the gates do not act.
        reason: why there is no gate; empty where there is one.
    """

    place: AttentionPlace
    input_shape: tuple[int, ...] = ()
    gates: list[Gate] = field(default_factory=list)
    gamma: float | None = None
    reason: str = ""


def read_gates(model: nn.Module, places: Sequence[AttentionPlace], images: Tensor) -> list[MechanismGates]:
    """Run a model once and return the gates of some of its mechanisms.

    Args:
        model: in eval mode; it is as before afterwards.
        places: from `engine.inspection.places.attention_places`.
        images: (B, 3, H, W) as the model takes them.
    """
    results = [MechanismGates(place) for place in places]
    recorder = _Recorder()
    with _watching(model, results, recorder), torch.no_grad(), recorder:
        model(images)
    for result in results:
        if not result.gates:
            result.reason = NO_MAP.get(result.place.mechanism, "it multiplies the map by no gate")
    return results


class _Recorder(TorchFunctionMode):
    """See the functions that a mechanism calls, and note those whose values are gates."""

    def __init__(self) -> None:
        super().__init__()
        self.current: MechanismGates | None = None
        self.factors: list[Tensor] = []
        self.tanh: Any = None  # the last one, a gate once 1 is added to it
        self.routes: Tensor | None = None  # of the last top-k
        self.in_gate = 0  # within a gate module, whose own output is noted

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if self.current is not None and not self.in_gate:
            self._see(getattr(func, "__name__", ""), args, kwargs, out)
        return out

    def note(self, value: Tensor, softmax_axis: int | None = None) -> None:
        """Note a gate of the mechanism that is running."""
        if self.current is not None and value.numel() > 1:
            value = value.detach().float().clone()
            gate = classify(value, self.current.input_shape, softmax_axis)
            square = self.current.input_shape[2:3] == self.current.input_shape[3:4]
            if gate.kind == "rows" and square and any(one.kind == "rows" for one in self.current.gates):
                gate = Gate("columns", gate.values)  # of a square map the shape does not tell
            gate.raw = value
            self.current.gates.append(gate)

    def _see(self, name: str, args: Any, kwargs: Any, out: Any) -> None:
        if args and isinstance(args[0], nn.Parameter) and name not in PRODUCTS:
            return  # a learned share, the same for every image
        if name in SIGMOIDS:
            self.note(out)
        elif name == "topk":
            self.routes = out[1]
        elif name == "tanh":
            self.tanh = out
        elif name in SUMS and self.tanh is not None and any(one is self.tanh for one in args):
            self.note(out)
        elif name in SOFTMAXES:
            self.note(out, kwargs.get("dim", args[1] if len(args) > 1 and isinstance(args[1], int) else -1))
        elif name == PAIRS:
            self._see_pairs(args, kwargs)
        elif name in PRODUCTS and isinstance(out, Tensor):
            self._see_product(args)

    def _see_pairs(self, args: Any, kwargs: Any) -> None:
        """Note query and key; rows of softmax(scale · q kᵀ + mask) are computed when they are asked for."""
        assert self.current is not None  # noqa: S101 - the caller made sure; tells the type checker
        query, key = args[0], args[1]
        mask = kwargs.get("attn_mask", args[3] if len(args) > 3 else None)
        scale = kwargs.get("scale")
        scale = query.shape[-1] ** -0.5 if scale is None else float(scale)
        pairs = Pairs(
            query.detach().float().clone(),
            key.detach().float().clone(),
            scale,
            None if mask is None else mask.detach().float().clone(),
        )
        self.current.gates.append(Gate("pairs", pairs=pairs))

    def _see_product(self, args: Any) -> None:
        """Remember the last factor of the size of the map: some mechanisms multiply by a convolution's output."""
        assert self.current is not None  # noqa: S101 - the caller made sure; tells the type checker
        tensors = [one for one in args[:2] if isinstance(one, Tensor)]
        batch, channels = self.current.input_shape[:2]
        if len(tensors) == 2 and all(one.dim() > 1 and one.numel() >= batch * channels for one in tensors):
            self.factors = [tensors[1].detach().float().clone()]


@contextmanager
def _watching(model: nn.Module, results: Sequence[MechanismGates], recorder: _Recorder) -> Iterator[None]:
    """Tell the recorder which mechanism is running, by hooks that are removed at the end."""
    handles: list[Any] = []
    try:
        for result in results:
            module = model.get_submodule(result.place.path)
            if isinstance(module, IdentityStart):
                result.gamma, module = float(module.gamma.detach()), module.attention
            handles.append(module.register_forward_pre_hook(partial(_begin, recorder, result)))
            handles.append(module.register_forward_hook(partial(_end, recorder)))
            for child in module.modules():
                if isinstance(child, tuple(GATES.values())):
                    handles.append(child.register_forward_pre_hook(partial(_enter_gate, recorder)))
                    handles.append(child.register_forward_hook(partial(_leave_gate, recorder)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _begin(recorder: _Recorder, result: MechanismGates, module: nn.Module, inputs: Any) -> None:
    recorder.current, recorder.factors, recorder.tanh, recorder.routes = result, [], None, None
    result.input_shape = tuple(inputs[0].shape)


def _end(recorder: _Recorder, module: nn.Module, inputs: Any, output: Any) -> None:
    if recorder.current is not None and not recorder.current.gates and recorder.factors:
        recorder.note(recorder.factors[-1])
    if recorder.current is not None:
        arrange(module, recorder.current.input_shape, recorder.current.gates, recorder.routes)
    recorder.current = None


def _enter_gate(recorder: _Recorder, module: nn.Module, inputs: Any) -> None:
    recorder.in_gate += 1


def _leave_gate(recorder: _Recorder, module: nn.Module, inputs: Any, output: Tensor) -> None:
    recorder.in_gate -= 1
    recorder.note(output)
