"""Diagnose NaN and infinity in training: in which layer they began, in which images, and whether fp16/bf16 is why."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from engine.training.precision import Precision

LISTED = 3  # images named in a message


class Origin(NamedTuple):
    """Name the first module whose output is not finite though its input is.

    Attributes:
        name: its name in the model.
        images: (B,) whether the output of each image is affected.
        largest: largest magnitude that it was given.
        dtype: of its output.
    """

    name: str
    images: Tensor
    largest: float
    dtype: torch.dtype


def gradient_norm(model: nn.Module) -> Tensor:
    """Return the norm of all gradients together, which is finite if they all are."""
    return torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])


def diagnose(model: Any, image: Tensor, files: Sequence[str], terms: Mapping[str, Tensor], precision: Precision) -> str:
    """Find where a training step went wrong, by repeating its forward pass with a look at every module.

    Args:
        model: the Detector, in training mode, as it was in that step.
        image: (B, 3, H, W) of that batch.
        files: of its images.
        terms: the loss terms.
        precision: what the step computed in.

    Returns:
        A sentence that names layer and images.
    """
    if not image.isfinite().all():
        return f"the images given to the model are not finite: {_names(files, ~_finite_by_image(image))}"
    origin = find_origin(model, image, precision.dtype)
    if origin is None:
        wrong = [name for name, value in terms.items() if not torch.isfinite(value)]
        if wrong:
            return f"all layers are finite, {', '.join(wrong)} is not; lower lr0 or check the boxes of {_names(files)}"
        last = [name for name, value in model.named_parameters() if value.grad is not None and not _finite(value.grad)]
        where = f"the gradient of {_layer(model, last[-1])}" if last else "a gradient"
        instead = ", or use --amp off" if precision.half else ""
        return f"loss and layers are finite, {where} is not; lower lr0 in the --hyp file{instead}"
    text = f"{_layer(model, origin.name)} is not finite for {_names(files, origin.images)}"
    if precision.half and find_origin(model, image, None) is None:
        attention = any(_inside(origin.name, name) for name in model.attention_names())
        return (
            f"{text}, but is in full precision: {'attention' if attention else 'this layer'} leaves the range of "
            f"{precision.name} there (given values up to {origin.largest:.3g}, computed {str(origin.dtype)[6:]}); "
            "use --amp off, or compute that step in float32"
        )
    return f"{text} (given values up to {origin.largest:.3g}); lower lr0 in the --hyp file or check those images"


@torch.no_grad()
def find_origin(model: nn.Module, image: Tensor, dtype: torch.dtype | None) -> Origin | None:
    """Run a forward pass and return the first module that makes something not finite, None if there is none.

    Args:
        model: the Detector.
        image: (B, 3, H, W).
        dtype: what autocast computes in; None where it is off.
    """
    origins: list[Origin] = []
    with _watching(model, origins), torch.autocast(image.device.type, dtype=dtype, enabled=dtype is not None):
        model(image)
    return origins[0] if origins else None


@contextmanager
def _watching(model: nn.Module, origins: list[Origin]) -> Iterator[None]:
    def watch(name: str) -> Any:
        def hook(module: nn.Module, given: Any, made: Any) -> None:
            outputs, inputs = list(_tensors(made)), list(_tensors(given))
            wrong = [value for value in outputs if not _finite(value)]
            if not origins and wrong and all(_finite(value) for value in inputs):
                largest = max((float(value.abs().max()) for value in inputs if value.numel()), default=0.0)
                origins.append(Origin(name, ~_finite_by_image(wrong[0]), largest, wrong[0].dtype))

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _tensors(inner)


def _finite(value: Tensor) -> bool:
    return bool(value.isfinite().all())


def _finite_by_image(value: Tensor) -> Tensor:
    return value.detach().flatten(1).isfinite().all(1)


def _names(files: Sequence[str], chosen: Tensor | None = None) -> str:
    """Name a few images; those chosen, or all where what is chosen is not a batch."""
    if chosen is not None and len(chosen) == len(files):
        files = [file for file, bad in zip(files, chosen.tolist(), strict=True) if bad]
    more = f" and {len(files) - LISTED} more" if len(files) > LISTED else ""
    return ", ".join(files[:LISTED]) + more


def _inside(name: str, outer: str) -> bool:
    return name == outer or name.startswith(f"{outer}.")


def _layer(model: Any, name: str) -> str:
    """Say which layer a module or parameter belongs to, as the model YAML names it."""
    layer = name.split(".")[1]
    module = model.spec.layer(layer).module
    inner = name.partition(f"{layer}.")[2]
    return f"layer {layer} ({module.rpartition('.')[2]}{', ' + inner if inner else ''})"
