"""Keep what every layer of a detector made of some images, so that a candidate costs only the layers after it."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from study.scan.candidates import Place
from study.scan.frozen_detector import FrozenDetector


class KeptLayers:
    """Outputs of all layers for several batches, computed with nothing in the detector.

    Args:
        host: the detector.
        batches: numbers of the images of each.
        memory: bytes from which on nothing more is kept; further batches are run whole each time.
    """

    def __init__(self, host: FrozenDetector, batches: Sequence[Sequence[int]], memory: int) -> None:
        self.host, self.batches = host, batches
        self.layers = {name: position for position, (name, _) in enumerate(host.model.model.named_children())}
        self.kept: list[list[Any]] = []
        for numbers in batches:
            outputs = self._record(numbers) if memory > 0 else []
            if not outputs:
                break
            memory -= sum(tensor.nbytes for output in outputs for tensor in _tensors(output))
            self.kept.append(outputs)

    def raw_maps(self, places: Iterable[Place] = ()) -> list[Any]:
        """Return the raw maps of each batch, with whatever stands in the detector at the moment.

        Args:
            places: where that stands.
        """
        taps = [tap for place in places for tap in place.taps]
        first = min((self.layers[tap.layer.partition(".")[0]] for tap in taps), default=0)
        return [self._from(first, number) for number in range(len(self.batches))]

    @torch.no_grad()
    def _from(self, first: int, number: int) -> Any:
        """Run the layers from one position on, for one batch."""
        if number >= len(self.kept) or not first:
            return self.host.outputs(self.batches[number])
        outputs, x = self.kept[number][:first], self.kept[number][first - 1]
        versions = [_versions(output) for output in outputs]
        for position in range(first, len(self.host.model.model)):
            x = self._layer(position, x, outputs)
            outputs.append(x)
        if [_versions(output) for output in outputs[:first]] != versions:  # a module has written into its input
            del self.kept[number:]
        return x

    @torch.no_grad()
    def _record(self, numbers: Sequence[int]) -> list[Any]:
        """Return what each layer but the head makes of a batch; nothing where a layer writes into its input."""
        outputs: list[Any] = []
        versions = []
        x: Any = self.host.images[list(numbers)]
        for position in range(len(self.host.model.model) - 1):
            x = self._layer(position, x, outputs)
            outputs.append(x)
            versions.append(_versions(x))
        return outputs if [_versions(output) for output in outputs] == versions else []

    def _layer(self, position: int, before: Any, outputs: Sequence[Any]) -> Any:
        inputs = self.host.model.routes[position].inputs(before, outputs)
        return self.host.model.model[position](list(inputs) if isinstance(inputs, list) else inputs)


def _versions(output: Any) -> list[int]:
    return [tensor._version for tensor in _tensors(output)]


def _tensors(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    return [tensor for part in output for tensor in _tensors(part)] if isinstance(output, list | tuple) else []
