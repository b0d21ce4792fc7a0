"""Put attention into any network, by the names of its submodules."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from attention.attended import append_attention
from attention.identity_start import IdentityStart
from attention.registry import construct, options

Place = str | tuple[str, Mapping[str, Any]]


@contextmanager
def _eval_mode(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _outputs(model: nn.Module, modules: Mapping[str, nn.Module], example: Tensor) -> dict[str, Any]:
    """Return what each module returned in one run of the network."""
    seen: dict[str, Any] = {}

    def remember(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and isinstance(before := seen.get(name), Tensor):
                if before.shape[1:2] != output.shape[1:2]:
                    raise ValueError(
                        f"{name} runs more than once, with {before.shape[1]} and {output.shape[1]} channels"
                    )
            seen[name] = output

        return hook

    handles = [module.register_forward_hook(remember(name)) for name, module in modules.items()]
    try:
        with _eval_mode(model), torch.no_grad():
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _match(model: nn.Module, places: Mapping[str, Place]) -> dict[str, Place]:
    """Map submodule names to mechanisms, for names and glob patterns."""
    if not isinstance(places, Mapping):
        raise ValueError(f"places is a {type(places).__name__}, expected {{submodule name: mechanism}}")
    names = [name for name, _ in model.named_modules() if name]
    found: dict[str, Place] = {}
    for key, place in places.items():
        pattern = str(key)
        matches = [name for name in names if fnmatchcase(name, pattern)]
        if not matches:
            near = get_close_matches(pattern, names, n=3)
            hint = (
                f"did you mean {' or '.join(near)}?"
                if near
                else f"top-level ones: {', '.join(dict(model.named_children()))}"
            )
            raise ValueError(f"no submodule is named {pattern!r}; {hint}")
        for name in matches:
            if name in found:
                raise ValueError(f"{name} is named twice in places, by {pattern!r} and an earlier pattern")
            found[name] = place
    return found


def _mechanism(name: str, place: Any) -> tuple[str, dict[str, Any]]:
    """Return name and options of the mechanism for one submodule."""
    given = (place, {}) if isinstance(place, str) else place
    if isinstance(given, tuple | list) and len(given) == 2 and isinstance(given[0], str):
        if isinstance(given[1], Mapping):
            return given[0], dict(given[1])
    raise ValueError(f'{name}: {place!r:.60} is no mechanism; give a name, "SE", or name and options, ("SE", {{}})')


def _build(name: str, output: Any, place: Place, identity: bool) -> nn.Module:
    """Build the mechanism for one submodule, on the device and in the dtype of its output."""
    mechanism, kwargs = _mechanism(name, place)
    if not isinstance(output, Tensor) or not 3 <= output.dim() <= 5:
        what = f"a tensor {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
        raise ValueError(f"{name} returns {what}, expected one map (B, C, *spatial)")
    dims = output.dim() - 2
    if dims != 2:
        if "dims" not in options(mechanism):
            raise ValueError(f"{mechanism} works on (B, C, H, W), but {name} returns {tuple(output.shape)}")
        kwargs.setdefault("dims", dims)
    module = construct(mechanism, output.shape[1], **kwargs)
    if identity and not getattr(module, "starts_at_identity", False):
        module = IdentityStart(module)
    return module.to(device=output.device, dtype=output.dtype)


def _insert(module: nn.Module, attention: nn.Module) -> None:
    """Make the mechanism a child of the module that runs on its output."""
    number = 1
    while hasattr(module, name := "attention" if number == 1 else f"attention{number}"):
        number += 1
    attention.train(module.training)
    if type(module).forward is nn.Sequential.forward:
        module.add_module(name, attention)  # it runs its children in order
    else:
        append_attention(module, name, attention)


def attach(model: nn.Module, places: Mapping[str, Place], example: Tensor, *, identity: bool = False) -> nn.Module:
    """Put attention behind submodules of a network, in place.

    The channels are found by running the network once on the example, in eval mode. Each mechanism becomes a child,
    `attention`, of the submodule on whose output it works, so the state-dict keys of everything else stay as they are.

    Args:
        model: any network.
        places: submodule name or glob pattern (`*` also matches dots) → name of a mechanism, or (name, options).
        example: an input of the network, such as (1, 3, 64, 64); its content does not matter.
        identity: start as the identity, so that the network first computes what it did before.

    Returns:
        The same model.

    Raises:
        ValueError: if a pattern matches nothing, a submodule does not run or does not return a map, or the mechanism
            cannot be built; the model is then unchanged.
    """
    found = _match(model, places)
    modules = {name: model.get_submodule(name) for name in found}
    outputs = _outputs(model, modules, example)
    built = {}
    for name, place in found.items():
        if name not in outputs:
            raise ValueError(f"{name} did not run on the example, so its channels are unknown; name one that runs")
        built[name] = _build(name, outputs[name], place, identity)
    for name, attention in built.items():
        _insert(modules[name], attention)
    return model
