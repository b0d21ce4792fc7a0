"""ModelSpec → nn.Sequential whose children carry the layers' names."""

import inspect
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from models.catalog.heads import HEADS
from models.catalog.mechanisms import build_mechanism
from models.catalog.registry import BLOCKS
from models.catalog.ultralytics_layers import NEW_HEAD_BLOCKS, stock_class
from models.errors import SpecError
from models.network.attention_inside import insert_attention
from models.network.cost import count_parameters
from models.network.routes import Route, annotate, routes_of
from models.network.size_limits import MAX_PARAMETERS, check_size
from models.spec.activations import activation
from models.spec.layer import Attention, Layer
from models.spec.model_spec import ModelSpec
from models.upstream.layers import SPPF, Conv, Detect

# What constructors of layers raise on arguments that they cannot take.
_MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


class _NewDetect(Detect):
    """Detect with the depthwise classification branch; in ultralytics the choice is state of the class."""

    legacy = False


class _OldDetect(Detect):
    """Detect with the classification branch of YOLOv8 and before."""

    legacy = True


def parse(spec: ModelSpec, seed: int = 0) -> tuple[nn.Sequential, tuple[Route, ...]]:
    """Construct all layers.

    Each base layer is constructed under a generator of its own, seeded by (seed, its name), and attention under
    another, so that two variants with one seed share every initial value that they can share. The global generators
    are left alone.

    Args:
        spec: the resolved model.
        seed: of the initial values.

    Returns:
        The layers, and the route of each: what it reads.

    Raises:
        SpecError: naming file and row, if a layer cannot be constructed with its arguments.
    """
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    routes = routes_of(spec)
    parameters = 0
    for layer, route in zip(spec.layers, routes, strict=True):
        module = construct(layer, spec, seed)
        parameters += count_parameters(module)
        if parameters > MAX_PARAMETERS:
            raise SpecError(
                f"{layer.origin}: the model has more than {MAX_PARAMETERS:,} parameters so far; lower its channels"
            )
        annotate(module, route)
        modules[layer.name] = module
    return nn.Sequential(modules), routes


def construct(layer: Layer, spec: ModelSpec, seed: int) -> nn.Module:
    """Construct one layer with the attention inside it.

    Raises:
        SpecError: naming file and row, if its arguments do not fit.
    """
    origin, make = layer.origin, partial(_plain, layer, spec)
    try:
        check_size(layer, make)
        with _generator(seed, layer.name):
            module = make()
        for k, inner in enumerate(layer.inside):
            origin = inner.attention.origin
            with _generator(seed, f"{layer.name}>{inner.attention.module}-{k}"):
                insert_attention(module, inner.where, partial(build, inner.attention))
    except SpecError:
        raise
    except _MISTAKES as error:
        text = _too_many_arguments(layer) or " ".join(str(error).split())[:300] or type(error).__name__
        raise SpecError(f"{origin}: cannot be constructed: {text}") from None
    return module


def _too_many_arguments(layer: Layer) -> str:
    """Say how many arguments a row may have where it has more than its block takes; "" where it has not."""
    if layer.attention is not None or layer.section == "head":
        return ""
    cls = BLOCKS[layer.module].cls if layer.module in BLOCKS else stock_class(layer.module)
    taken = inspect.signature(cls).parameters.values()
    inserted = len(layer.call.args) - len(layer.args)  # the channels read, and the number of some blocks
    most = len(taken) - inserted
    if any(p.kind is p.VAR_POSITIONAL for p in taken) or len(layer.args) <= most:
        return ""
    names = [p.name for i, p in enumerate(taken) if i not in (0, 2)[:inserted]]
    return f"{len(layer.args)} arguments, but it takes at most {most}: [{', '.join(names)}]"


def _plain(layer: Layer, spec: ModelSpec) -> nn.Module:
    """Construct a layer without the attention inside it."""
    if layer.attention is not None:
        channels = layer.channels
        assert isinstance(channels, int)  # noqa: S101 - the resolver guarantees it; tells the type checker
        return build(layer.attention, channels)
    module = _head(layer, spec) if layer.section == "head" else _block(layer)
    _initialise(module)
    _activate(module, spec)
    return module


def build(attention: Attention, channels: int) -> nn.Module:
    """Construct one use of a mechanism, several in a row where it repeats."""
    made = [
        build_mechanism(attention.module, channels, identity=attention.identity, **attention.kwargs)
        for _ in range(attention.repeats)
    ]
    return made[0] if len(made) == 1 else nn.Sequential(*made)


def _block(layer: Layer) -> nn.Module:
    cls = BLOCKS[layer.module].cls if layer.module in BLOCKS else stock_class(layer.module)
    call = layer.call
    made: list[Any] = [cls(*_arguments(layer)) for _ in range(call.repeats)]
    if cls is SPPF and len(call.args) <= 3:
        for block in made:
            # A row of the form before YOLO26 means an activated first convolution.
            block.cv1.act = Conv.default_act
    return made[0] if len(made) == 1 else nn.Sequential(*made)


def _arguments(layer: Layer) -> list[Any]:
    """Return the constructor's arguments; an activation written in a row, such as nn.LeakyReLU(0.1), as a module."""
    return [
        activation(value, layer.origin) if isinstance(value, str) and value.startswith(("nn.", "torch.nn.")) else value
        for value in layer.call.args
    ]


def _head(layer: Layer, spec: ModelSpec) -> nn.Module:
    channels = list(layer.call.args[-1])
    if spec.anchors is not None:
        strides = [spec.layer(name).stride for name in layer.reads[: len(spec.anchors)]]
        known = [float(stride) for stride in strides if stride is not None]
        strides_known = known if len(known) == len(strides) else None
        made: nn.Module = HEADS[layer.module].load()(spec.nc, spec.anchors, channels, strides_known)
        return made
    if layer.module != "Detect":
        free: nn.Module = HEADS[layer.module].load()(spec.nc, channels)
        return free
    new = any(other.module in NEW_HEAD_BLOCKS for other in spec.layers)
    reg_max, end2end = spec.yaml.get("reg_max", 16), spec.yaml.get("end2end")
    return (_NewDetect if new else _OldDetect)(spec.nc, reg_max, end2end, channels)


def _initialise(module: nn.Module) -> None:
    """Set the batch normalisation of the YOLO papers' code; attention keeps its authors' own."""
    for child in module.modules():
        if type(child) is nn.BatchNorm2d:
            child.eps = 1e-3
            child.momentum = 0.03


@contextmanager
def _generator(seed: int, name: str) -> Iterator[None]:
    """Draw initial values from a generator of (seed, name), leaving the global ones as they were."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would seed the devices' generators too.
        torch.default_generator.manual_seed(zlib.crc32(f"{seed}:{name}".encode()))
        yield


def _activate(module: nn.Module, spec: ModelSpec) -> None:
    """Put the description's activation where a block took ultralytics' default.

    Ultralytics' own way is to change that default for the whole process while it parses.
    """
    if spec.activation is None:
        return
    chosen = activation(spec.activation, spec.label)
    for child in module.modules():
        if getattr(child, "act", None) is Conv.default_act:
            child.act = chosen
