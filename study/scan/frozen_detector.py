"""Hold a detector and images in memory: maps, their gradients, and the loss with candidates in it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from models.network.attention_inside import places as inner_places
from models.network.detector import Detector
from study.scan.candidates import Place, Tap, block_copies

# (x, g) of every tap of a place: maps (n, C, H, W) and what the loss of each image would have them change, negated.
Maps = list[tuple[Tensor, Tensor]]


class FrozenDetector:
    """A detector with fixed parameters and statistics.

    Args:
        model: it is put into eval mode, so that an image's maps do not depend on the others in its batch.
        images: (n, 3, H, W) float in 0–1.
        targets: of each image, rows (class, x, y, w, h), centre form in 0–1.
        batch: images at a time.
    """

    def __init__(self, model: Detector, images: Tensor, targets: Sequence[Tensor], batch: int = 8) -> None:
        self.model, self.images, self.targets, self.batch = model.eval(), images, list(targets), batch
        model.model[-1].training = True  # raw maps, the losses' input; its own layers stay in eval mode
        model.requires_grad_(False)

    def copy(self, learning: bool) -> "FrozenDetector":
        """Return one with its own parameters and the same images.

        Args:
            learning: whether its parameters may be trained; statistics of normalisations stay.
        """
        other = FrozenDetector(deepcopy(self.model), self.images, self.targets, self.batch)
        other.model.criterion = None  # it refers to the head that it was made for
        other.model.requires_grad_(learning)
        return other

    def targets_of(self, numbers: Sequence[int]) -> dict[str, Tensor]:
        """Return the targets of some images as the losses take them.

        Args:
            numbers: of the images.
        """
        rows = [self.targets[number] for number in numbers]
        index = torch.cat([torch.full((len(row),), float(place)) for place, row in enumerate(rows)])
        joined = torch.cat(rows)
        return {"batch_idx": index, "cls": joined[:, :1], "bboxes": joined[:, 1:]}

    def loss(self, numbers: Sequence[int]) -> Tensor:
        """Return the mean loss of some images, with whatever stands in the detector at the moment."""
        total, _ = self.model.loss({"img": self.images[list(numbers)], **self.targets_of(numbers)})
        return total.sum() / len(numbers)

    def outputs(self, numbers: Sequence[int]) -> Any:
        """Return the raw maps of some images, with whatever stands in the detector at the moment."""
        return self.model(self.images[list(numbers)])

    def loss_of(self, outputs: Any, labels: Sequence[int]) -> Tensor:
        """Return the mean loss of raw maps.

        Args:
            outputs: of some images.
            labels: images whose targets they are held against, one each.
        """
        total, _ = self.model.loss(self.targets_of(labels), outputs)
        return total.sum() / len(labels)

    def batches(self, numbers: Sequence[int]) -> Iterator[list[int]]:
        """Yield numbers of images, a batch at a time."""
        for start in range(0, len(numbers), self.batch):
            yield list(numbers[start : start + self.batch])

    def maps(self, places: Sequence[Place]) -> dict[str, Maps]:
        """Return the maps at some places and the gradients of each image's loss with respect to them.

        The head's loss is the mean over a batch; gradients are scaled to be those of the sum.
        """
        taps = list(dict.fromkeys(tap for place in places for tap in place.taps))
        kept: dict[Tap, tuple[list[Tensor], list[Tensor]]] = {tap: ([], []) for tap in taps}
        for numbers in self.batches(range(len(self.images))):
            seen: dict[Tap, Tensor] = {}
            probes: dict[Tap, Tensor] = {}

            def watch(tap: Tap, x: Tensor, seen: Any = seen, probes: Any = probes) -> Tensor:
                seen[tap] = x.detach().clone()
                probes[tap] = torch.zeros_like(x, requires_grad=True)
                return x + probes[tap]

            with self._hooked({tap: [_bound(watch, tap)] for tap in taps}):
                loss = self.loss(numbers) * len(numbers)
            gradients = torch.autograd.grad(loss, [probes[tap] for tap in taps], allow_unused=True)
            for tap, gradient in zip(taps, gradients, strict=True):
                kept[tap][0].append(seen[tap])
                kept[tap][1].append(torch.zeros_like(seen[tap]) if gradient is None else gradient)
        joined = {tap: (torch.cat(x), torch.cat(g)) for tap, (x, g) in kept.items()}
        return {place.name: [joined[tap] for tap in place.taps] for place in places}

    @torch.no_grad()
    def shapes(self, places: Sequence[Place]) -> dict[str, list[torch.Size]]:
        """Return the shape (C, H, W) of each map at some places."""
        seen: dict[Tap, torch.Size] = {}

        def watch(tap: Tap, x: Tensor) -> Tensor:
            seen[tap] = x.shape[1:]
            return x

        with self._hooked({tap: [_bound(watch, tap)] for place in places for tap in place.taps}):
            self.model(self.images[:1])
        return {place.name: [seen[tap] for tap in place.taps] for place in places}

    @contextmanager
    def holding(self, placed: Mapping[Place, nn.ModuleList]) -> Iterator[None]:
        """Put modules at places for the time being, one for each tap."""
        functions: dict[Tap, list[Any]] = {}
        for place, modules in placed.items():
            for tap, module in zip(place.taps, modules, strict=True):
                functions.setdefault(tap, []).append(module)
        with self._hooked(functions):
            yield

    @contextmanager
    def _hooked(self, functions: Mapping[Tap, Sequence[Any]]) -> Iterator[None]:
        hooks = [self._hook(tap, applied) for tap, applied in functions.items()]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hook(self, tap: Tap, applied: Sequence[Any]) -> Any:
        def through(x: Tensor) -> Tensor:
            for function in applied:
                x = function(x)
            return x

        if tap.source is None:
            return self.module(tap).register_forward_hook(lambda _module, _inputs, output: through(output))
        source = tap.source

        def replaced(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            first = inputs[0]
            if not isinstance(first, list):
                return (through(first), *inputs[1:])
            return ([through(x) if number == source else x for number, x in enumerate(first)], *inputs[1:])

        return self.module(tap).register_forward_pre_hook(replaced)

    def module(self, tap: Tap) -> nn.Module:
        """Return the module whose output, or one of whose inputs, the tap is."""
        if tap.inner is None:
            return self.model.model.get_submodule(tap.layer)
        found = [place for copy in block_copies(self.model, tap.layer) for place, _ in inner_places(copy, tap.where)]
        return found[tap.inner]


def joined(parts: Sequence[Any]) -> Any:
    """Join outputs of several batches, whatever lists and mappings of tensors they are."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(list(parts))
    if isinstance(first, Mapping):
        return {key: joined([part[key] for part in parts]) for key in first}
    return type(first)(joined(list(some)) for some in zip(*parts, strict=True))


def _bound(function: Any, tap: Tap) -> Any:
    return lambda x: function(tap, x)
