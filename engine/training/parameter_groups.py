"""Sort parameters into optimizer groups: attention or base, frozen or not, with weight decay or without."""

from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from engine.errors import UsageError

NORMS = tuple(kind for name, kind in vars(nn).items() if "Norm" in name and isinstance(kind, type))
GATE = "gamma"  # IdentityStart's gate


def frozen_names(model: Any, rows: Collection[int], train_only_attention: bool) -> set[str]:
    """Return the names of the parameters that stay as they are.

    Args:
        model: a Detector; its layers are named by the base's row numbers.
        rows: rows of the base to freeze; attention placed in or after them is not frozen.
        train_only_attention: freeze everything but attention.

    Raises:
        UsageError: if a row does not exist, there is no attention to train, or nothing is left to train.
    """
    check_frozen(model.spec, rows, train_only_attention)
    attention = _attention_prefixes(model)
    names = [name for name, _ in model.named_parameters()]
    if train_only_attention:
        return {name for name in names if not name.startswith(attention)}
    prefixes = tuple(f"model.{row}." for row in rows)
    frozen = {
        name for name in names if prefixes and name.startswith(prefixes) and not name.startswith(attention or "\0")
    }
    if len(frozen) == len(names):
        raise UsageError(f"--freeze {' '.join(map(str, sorted(rows)))}: nothing is left to train; freeze fewer rows")
    return frozen


def check_frozen(spec: Any, rows: Collection[int], train_only_attention: bool) -> None:
    """Make sure that what is to be frozen is there.

    Args:
        spec: a ModelSpec.
        rows: rows of the base to freeze.
        train_only_attention: freeze everything but attention.

    Raises:
        UsageError: if a row does not exist, or there is no attention to train.
    """
    if train_only_attention:
        if not any(layer.attention or layer.inside for layer in spec.layers):
            raise UsageError(
                "--train-only attention: the model has none; place some with --attention or a --cfg overlay"
            )
        return
    last = max(int(layer.name) for layer in spec.layers if layer.name.isdigit())
    for row in rows:
        if row > last:
            asked = len(rows) if len(rows) > 1 and sorted(rows) == list(range(len(rows))) else row  # see frozen_rows
            raise UsageError(f"--freeze {asked}: the base's last row is {last}")


def frozen_rows(freeze: list[int]) -> list[int]:
    """Return the rows that --freeze means, as in YOLOv5: one number counts rows from the start, several name them."""
    return list(range(freeze[0])) if len(freeze) == 1 else list(freeze)


def parameter_groups(model: Any, lr: float, decay: float, attention_factor: float) -> list[dict[str, Any]]:
    """Sort the trainable parameters into groups.

    Weight decay is for weights of convolutions and matrices: not for biases, norms, gates and other vectors.

    Args:
        model: the detector.
        lr: learning rate.
        decay: weight decay.
        attention_factor: learning rate of attention, relative to the rest.

    Returns:
        Groups for a torch optimizer, with "param_group" ("bias", "weight" or "bn", as ultralytics' warm-up asks) and
        "part" ("base" or "attention"); empty groups are left out.
    """
    attention = _attention_prefixes(model) if attention_factor != 1 else ()
    groups: dict[tuple[str, str], dict[str, Any]] = {
        (part, kind): {
            "params": [],
            "param_group": kind,
            "part": part,
            "lr": lr * (attention_factor if part == "attention" else 1.0),
            "weight_decay": decay if kind == "weight" else 0.0,
        }
        for part in ("base", "attention")
        for kind in ("bias", "weight", "bn")
    }
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            whole = f"{prefix}.{name}" if prefix else name
            part = "attention" if attention and whole.startswith(attention) else "base"
            plain = isinstance(module, NORMS) or name == GATE or parameter.ndim < 2
            kind = "bias" if name.endswith("bias") else "bn" if plain else "weight"
            groups[part, kind]["params"].append(parameter)
    return [group for group in groups.values() if group["params"]]


def _attention_prefixes(model: Any) -> tuple[str, ...]:
    return tuple(f"{name}." for name in model.attention_names())


def make_optimizer(
    groups: list[dict[str, Any]], name: str, lr: float, momentum: float, device: torch.device, scaled: bool
) -> torch.optim.Optimizer:
    """Make one of YOLOv5's optimizers; on CUDA one kernel works on all tensors.

    Args:
        groups: from `parameter_groups`.
        name: SGD, Adam or AdamW.
        lr: learning rate.
        momentum: of SGD; Adam's beta1.
        device: of the parameters.
        scaled: whether fp16's scaler stands above it: a fused one then skips steps unseen, and they are counted.
    """
    fused = True if device.type == "cuda" and not scaled else None
    if name == "SGD":
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=True, fused=fused)
    return getattr(torch.optim, name)(groups, lr=lr, betas=(momentum, 0.999), fused=fused)  # type: ignore[no-any-return]
