"""Mechanisms from outside: a user's own file, and modules of torch, torchvision and timm by dotted name.

`attention/` holds the mechanisms of this project; everything that places attention asks here, so that a name from a
plugin or a library stands wherever one of ours can.
"""

import difflib
import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from typing import Any

from torch import nn

from attention import ATTENTION, IdentityStart, build_attention
from attention.registry import OTHER_CLASSES, near_names
from attention.registry import options as attention_options
from data.folders import expand_home
from models.catalog.heads import HEADS
from models.catalog.registry import BLOCKS
from models.errors import SpecError, short

# Dotted name → the constructor's parameter for the channels ("" where it takes none). Nothing else can be named.
DOTTED: dict[str, str] = {
    **dict.fromkeys(
        (f"torch.nn.{n}" for n in ("Identity", "SiLU", "ReLU", "GELU", "Hardswish", "Mish", "Sigmoid")), ""
    ),
    "torch.nn.Dropout2d": "",
    "torch.nn.PReLU": "num_parameters",
    "torch.nn.BatchNorm2d": "num_features",
    "torch.nn.InstanceNorm2d": "num_features",
    "torch.nn.GroupNorm": "num_channels",
    "torchvision.ops.SqueezeExcitation": "input_channels",
    "ultralytics.nn.modules.conv.CBAM": "c1",
    "ultralytics.nn.modules.conv.ChannelAttention": "channels",
    "ultralytics.nn.modules.conv.SpatialAttention": "",
    "timm.layers.SEModule": "channels",
    "timm.layers.EffectiveSEModule": "channels",
    "timm.layers.EcaModule": "channels",
    "timm.layers.CecaModule": "channels",
    "timm.layers.GlobalContext": "channels",
    "timm.layers.LayerNorm2d": "num_channels",
    "timm.layers.SelectiveKernel": "in_channels",
    "timm.layers.NonLocalAttn": "in_channels",
}
# What a constructor needs besides the channels and has no default for.
_NEEDED: dict[str, dict[str, Callable[[int], Any]]] = {
    "torchvision.ops.SqueezeExcitation": {"squeeze_channels": lambda channels: max(channels // 16, 8)},
    "torch.nn.GroupNorm": {"num_groups": lambda channels: next(g for g in (32, 16, 8, 4, 2, 1) if channels % g == 0)},
}
_loaded: dict[Path, tuple[str, ...]] = {}


def is_mechanism(name: str) -> bool:
    """Tell whether attention can be placed under this name."""
    return name in ATTENTION or _dotted(name) in DOTTED


def canonical(name: str) -> str:
    """Return the one spelling of a mechanism's name that layers and checkpoints carry.

    Raises:
        ValueError: with near names, if there is no such mechanism.
    """
    if name in ATTENTION:
        return ATTENTION.canonical(name)
    if _dotted(name) in DOTTED:
        return _dotted(name)
    if "." in name:
        near = difflib.get_close_matches(name, DOTTED, n=3, cutoff=0.5) or sorted(DOTTED)
        raise ValueError(f"'{name}' is not on the list of library modules; did you mean {' or '.join(near[:3])}?")
    found = near_names(name, (*ATTENTION.names(), *ATTENTION.aliases()))
    hint = f"did you mean {' or '.join(found)}?" if found else "docs/attention lists them"
    hint = OTHER_CLASSES.get(name, hint)
    raise ValueError(f"unknown attention mechanism '{name}'; {hint} (one of your own needs --plugin FILE)")


def options(name: str) -> list[str]:
    """Return the names of a mechanism's options."""
    if name in ATTENTION:
        parameters = inspect.signature(ATTENTION[name]).parameters
        return [key for key in parameters if key != "channels"]
    return [key for key in inspect.signature(_library_class(name)).parameters if key not in {DOTTED[name], "kwargs"}]


def option_example(name: str) -> str:
    """Return how an option of a mechanism is written, for messages: "such as {kernel_size: 7}"."""
    if name not in ATTENTION:
        return f"such as {{{next(iter(options(name)), 'option')}: value}}"
    defaults = {key: value for key, value in attention_options(name).items() if isinstance(value, int | float | str)}
    if not defaults:
        return f"but {ATTENTION.canonical(name)} takes none that one number or word could mean"
    key = "kernel_size" if "kernel_size" in defaults else next(iter(defaults))
    value = defaults[key]
    return f"such as {{{key}: {str(value).lower() if isinstance(value, bool) else value}}}"


def build_mechanism(name: str, channels: int, *, identity: bool = False, **kwargs: Any) -> nn.Module:
    """Build a mechanism of ours, of a plugin or of a library.

    Args:
        name: canonical name.
        channels: C of input and output.
        identity: start as the identity, x + γ·(A(x) − x) with γ = 0.
        **kwargs: options of the mechanism.

    Raises:
        ValueError: for an unknown name or option, or a value that cannot work.
    """
    if name in ATTENTION:
        return build_attention(name, channels, identity=identity, **kwargs)
    cls, allowed = _library_class(name), options(name)
    for key in kwargs:
        if key not in allowed:
            raise ValueError(f"{name} has no option {short(key)}; it takes {', '.join(allowed) or 'no options'}")
    needed = {key: make(channels) for key, make in _NEEDED.get(name, {}).items() if key not in kwargs}
    given = {DOTTED[name]: channels} if DOTTED[name] else {}
    module = cls(**given, **needed, **kwargs)
    return IdentityStart(module) if identity else module


def load_plugin(path: str | Path) -> tuple[str, ...]:
    """Import a user's own file, which registers mechanisms, blocks or heads.

    Importing runs the file, which is why it must be named by the user and is never taken from a model YAML or a
    checkpoint. A file that was loaded already is not run again.

    Args:
        path: a Python file.

    Returns:
        The names that it registered.

    Raises:
        SpecError: if there is no such file, it fails, or it registers nothing.
    """
    path = expand_home(path).resolve()
    if path in _loaded:
        return _loaded[path]
    if path.suffix != ".py" or not path.is_file():
        raise SpecError(f"--plugin {path}: no such Python file")
    before = _registered()
    home = f"yolo_attention_plugin_{path.stem}_{len(_loaded)}"
    found = spec_from_file_location(home, path)
    if found is None or found.loader is None:
        raise SpecError(f"--plugin {path}: cannot be imported")
    try:
        sys.modules[home] = module_from_spec(found)  # where dataclasses, and pickle, look for a class
        found.loader.exec_module(sys.modules[home])
    except Exception as error:  # whatever the user's own code raises
        del sys.modules[home]
        raise SpecError(f"--plugin {path}: {_failure(error, path)}") from error
    names = tuple(sorted(_registered() - before))
    if not names:
        raise SpecError(
            f"--plugin {path}: registers nothing; decorate the class with @ATTENTION.register('Name'), "
            "a block with @register_block(rule), a head with @register_head()"
        )
    _loaded[path] = names
    return names


def _registered() -> set[str]:
    """Return the names of all mechanisms and heads, and of blocks that are not this project's."""
    blocks = {name for name in BLOCKS.names() if not BLOCKS[name].cls.__module__.startswith("models.")}
    return blocks | set(ATTENTION.names()) | set(HEADS.names())


def _failure(error: Exception, path: Path) -> str:
    """Say what a plugin raised, and at which of its lines."""
    lines = [entry.lineno for entry in extract_tb(error.__traceback__) if Path(entry.filename) == path]
    at = f"line {lines[-1]} " if lines else ""
    return f"{at}fails with {type(error).__name__}: {error}"


def _dotted(name: str) -> str:
    return f"torch.{name}" if name.startswith("nn.") else name


def _library_class(name: str) -> type[nn.Module]:
    """Return the class of a listed dotted name.

    Raises:
        ValueError: if the library is not installed, or its version has no such class.
    """
    home, _, leaf = canonical(name).rpartition(".")
    try:
        found: type[nn.Module] = getattr(import_module(home), leaf)
    except ImportError:
        library = home.partition(".")[0]
        raise ValueError(f"{name} needs {library}, which is not installed: pip install {library}") from None
    except AttributeError:
        raise ValueError(f"the installed {home} has no {leaf}") from None
    return found
