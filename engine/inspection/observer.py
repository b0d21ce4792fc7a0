"""Make maps of every image that detect.py looks at, and write them beside its results."""

from argparse import Namespace
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.detection.result import FrameDetections
from engine.detection.writers import Outputs
from engine.errors import UsageError
from engine.inspection import sheets
from engine.inspection.cam import ClassActivationMaps, check_grad_cam
from engine.inspection.gates import read_gates
from engine.inspection.places import attention_places, feature_layers
from engine.ops.letterbox import Letterbox
from engine.runtime.figures import write_image_pdf
from engine.runtime.log import LOGGER, printable

KINDS = ("gates", "cam", "features")
LISTED = 20  # images whose maps could not be written, that are named


class MapObserver:
    """Write maps of each batch that the detection pipeline has gone through.

    It runs a detector of its own, so the pipeline's, which other threads are using, is never touched; hooks are there
    for the time of one run.

    Args:
        detector: a Detector; it is copied. Mechanisms that do not act yet are still in it.
        device: where the copy runs.
        folder: of the run; maps go to maps/KIND in it.
        options: flags of detect.py: maps, layer, map_classes, pdf.
        names: class number → name, as detections bear them; the detector's where None.

    Raises:
        UsageError: if a selector or a class names nothing, or grad-cam is missing.
    """

    def __init__(
        self,
        detector: Any,
        device: torch.device,
        folder: Path,
        options: Namespace,
        names: dict[int, str] | None = None,
    ) -> None:
        self.model = deepcopy(detector).to(device).float().eval()
        self.device, self.kinds, self.pdf = device, list(dict.fromkeys(options.maps)), options.pdf
        self.outputs = {kind: Outputs(folder / "maps" / kind) for kind in self.kinds}
        self.classes = class_numbers(detector.names if names is None else names, options.map_classes)
        selectors = options.layer or ()
        self.places = attention_places(self.model, selectors) if "gates" in self.kinds else []
        self.layers = feature_layers(self.model, selectors) if {"cam", "features"} & set(self.kinds) else []
        if "cam" in self.kinds:
            check_grad_cam()

    def __call__(
        self, inputs: np.ndarray, letterboxes: Sequence[Letterbox], detections: Sequence[FrameDetections]
    ) -> None:
        """Make and write the maps of one batch.

        Args:
            inputs: (B, 3, H, W) RGB in 0–1, or uint8.
            letterboxes: where each image lies on its canvas.
            detections: of each.
        """
        images = torch.from_numpy(inputs).to(self.device)
        images = images.float() / 255 if images.dtype == torch.uint8 else images.float()
        canvas = (int(inputs.shape[2]), int(inputs.shape[3]))
        chosen = [self._chosen(one) for one in detections]
        views = [
            sheets.ImageView(number, one, letterbox, canvas)
            for number, (one, letterbox) in enumerate(zip(chosen, letterboxes, strict=True))
        ]
        for kind in self.kinds:
            for view, sheet in zip(views, self._sheets(kind, images, views), strict=True):
                self.outputs[kind].write(view.detections, sheet)
                if self.pdf and view.detections.frame.kind == "image":
                    self._save_pdf(kind, view, sheet)

    def close(self) -> None:
        """Finish videos that are open, and say what could not be written."""
        for kind, outputs in self.outputs.items():
            outputs.close()
            failed = list(outputs.failed.items())
            for name, reason in failed[:LISTED]:
                LOGGER.warning(printable(f"not written: {kind} of {name}: {reason}"))
            if len(failed) > LISTED:
                LOGGER.warning(f"not written: {kind} of {len(failed) - LISTED} more")

    def _chosen(self, detections: FrameDetections) -> FrameDetections:
        """Keep the boxes of the classes that were asked for."""
        if self.classes is None:
            return detections
        keep = np.isin(detections.classes, self.classes)
        return replace(
            detections,
            boxes=detections.boxes[keep],
            scores=detections.scores[keep],
            classes=detections.classes[keep],
            ids=None if detections.ids is None else detections.ids[keep],
        )

    def _sheets(self, kind: str, images: Tensor, views: Sequence[sheets.ImageView]) -> list[np.ndarray]:
        if kind == "gates":
            gates = read_gates(self.model, self.places, images)
            return [sheets.gate_sheet(view, gates) for view in views]
        names = [name for name, _ in self.layers]
        if kind == "features":
            maps = read_features(self.model, self.layers, images)
            return [
                sheets.feature_sheet(view, [(name, one[view.number].cpu().numpy()) for name, one in maps])
                for view in views
            ]
        boxes = [_on_canvas(view) for view in views]
        with ClassActivationMaps(self.model, [layer for _, layer in self.layers]) as activation_maps:
            made = activation_maps(images, boxes, [view.detections.classes for view in views])
        return [sheets.cam_sheet(view, made[view.number], names) for view in views]

    def _save_pdf(self, kind: str, view: sheets.ImageView, sheet: np.ndarray) -> None:
        """Write a sheet as PDF beside its image."""
        name = self.outputs[kind].path_of(view.detections.frame).with_suffix(".pdf")
        write_image_pdf(sheet, name)


def read_features(
    model: nn.Module, layers: Sequence[tuple[str, nn.Module]], images: Tensor
) -> list[tuple[str, Tensor]]:
    """Run a model once and return the output (B, C, h, w) of some of its layers; it is as before afterwards.

    Raises:
        UsageError: if a layer returns no map.
    """
    seen: dict[str, Any] = {}

    def remember(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            seen[name] = output

        return hook

    handles = [layer.register_forward_hook(remember(name)) for name, layer in layers]
    try:
        with torch.no_grad():
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    for name, _ in layers:
        if not isinstance(seen.get(name), Tensor) or seen[name].dim() != 4:
            raise UsageError(f"--layer {name}: returns no single map of features; choose another layer")
    return [(name, seen[name].float()) for name, _ in layers]


def class_numbers(names: dict[int, str], wanted: Sequence[str] | None) -> list[int] | None:
    """Return the numbers of classes given by name or number; None where none are given.

    Raises:
        UsageError: naming one that the model does not have, and those that it has.
    """
    if not wanted:
        return None
    by_name = {str(name): int(number) for number, name in names.items()}
    numbers = []
    for one in wanted:
        if one in by_name:
            numbers.append(by_name[one])
        elif one.isdecimal() and int(one) in names:
            numbers.append(int(one))
        else:
            there = ", ".join(list(by_name)[:20]) + (f" and {len(by_name) - 20} more" if len(by_name) > 20 else "")
            raise UsageError(f"--class {one}: the model has {there}")
    return numbers


def _on_canvas(view: sheets.ImageView) -> np.ndarray:
    """Return the boxes (n, 4) of an image in pixels of its canvas."""
    box = view.letterbox
    scale = np.array([box.scale_x, box.scale_y] * 2)
    return view.detections.boxes.reshape(-1, 4) * scale + np.array([box.left, box.top] * 2)
