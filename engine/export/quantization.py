"""Quantize to int8: calibrate on the training images, and measure the AP drop on the val split."""

import logging
import tempfile
from argparse import Namespace
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from engine.datasets.loader import EpochLoader, make_loader
from engine.datasets.record_dataset import RecordDataset, describe
from engine.datasets.splits import check_classes, data_name
from engine.errors import UsageError
from engine.runtime.log import quiet

IMAGES = 300  # that ranges are read from; more take longer and change little


@dataclass(frozen=True)
class ApDrop:
    """Hold the average precision on one split, of the checkpoint and of the 8-bit file.

    Attributes:
        label: data set and split.
        images: in it.
        before: COCO's AP and AP50 of the checkpoint.
        after: of the file.
    """

    label: str
    images: int
    before: tuple[float, float]
    after: tuple[float, float]

    @property
    def drop(self) -> float:
        """Return by how much AP has dropped."""
        return self.before[0] - self.after[0]

    def __str__(self) -> str:
        """Return both as one line."""
        (ap, ap50), (ap_after, ap50_after) = self.before, self.after
        return (
            f"mAP50-95 {ap:.4f} → {ap_after:.4f} ({ap_after - ap:+.4f}), mAP50 {ap50:.4f} → {ap50_after:.4f} "
            f"({ap50_after - ap50:+.4f}) on {self.label}, {self.images} images"
        )


def calibration(detector: Any, options: Namespace) -> EpochLoader:
    """Return a loader of training images, evenly chosen, padded to squares as an exported model gets them.

    Args:
        detector: gives the stride.
        options: data, data_root, imgsz, batch_size.

    Raises:
        UsageError: if there is no data set to read, its classes are others, or its training split has no usable image.
        DataError: if it cannot be read.
    """
    from data import load_dataset

    if not options.data:
        raise UsageError(
            "--int8 needs --data: its training images set the ranges of the numbers, and its val split shows the cost"
        )
    dataset = load_dataset(options.data, split="train", data_root=options.data_root, download=options.download)
    check_classes(options.weights, detector.names, options.data, dataset.names)
    split = dataset["train"]
    step = max(1, -(-len(split.records) // IMAGES))
    chosen = RecordDataset(
        split.records[::step],
        data=describe(detector.names, {"train": split}),
        imgsz=options.imgsz,
        augment=False,
        rect=False,
        stride=int(max(detector.stride)),
        task="detect",
    )
    return make_loader(chosen, options.batch_size, 0, None, torch.device("cpu"))


def quantize_onnx(source: Any, target: Any, images: Any, prepare: Callable[[Any], Any], prefix: str = "") -> str:
    """Write the 8-bit form of an ONNX file, in the place of ultralytics' function of the same signature.

    That one has one scale for all channels of a weight, and takes in the head's last convolutions, whose outputs are
    the boxes: on the digits at 160 px it costs 0.097 of mAP50-95, this one 0.006.

    Args:
        source: the file in fp32.
        target: the file to write.
        images: batches, as often as asked for.
        prepare: batch → input of the model.
        prefix: kept for the signature.

    Returns:
        `target`.
    """
    import onnx
    from onnxruntime.quantization import quantize_static

    from models.upstream.export import onnx_calibration_reader

    nodes = onnx.load(source).graph.node
    convolutions = [node.name for node in nodes if node.op_type == "Conv"]
    head = convolutions[-1].split("/")[1]
    quantized = {name for name in convolutions if name.split("/")[1] != head}
    quantize_static(
        str(source),
        str(target),
        onnx_calibration_reader(images, prepare),
        nodes_to_exclude=[node.name for node in nodes if node.name not in quantized],
        per_channel=True,
    )
    return str(target)


class Int8Quantization:
    """Share among the 8-bit files of one detector: the images that set ranges, and the checkpoint's own AP.

    Args:
        detector: the checkpoint's model; it is not changed.
        options: data, data_root, imgsz, batch_size, device.

    Attributes:
        quantize_onnx: takes an ONNX file from fp32 to 8 bits.
    """

    quantize_onnx = staticmethod(quantize_onnx)

    def __init__(self, detector: Any, options: Namespace) -> None:
        self.detector, self.options = detector, options

    @cached_property
    def images(self) -> EpochLoader:
        """Return the loader of `calibration`; see there for errors."""
        return calibration(self.detector, self.options)

    @cached_property
    def before(self) -> tuple[float, float]:
        """Return COCO's AP and AP50 of the checkpoint on the val split."""
        return self._measure(deepcopy(self.detector), 16)[:2]

    def measure_drop(self, file: Path) -> ApDrop:
        """Measure an exported file on the same squares as the checkpoint.

        Raises:
            UsageError, DataError: if the val split cannot be measured.
        """
        *after, count = self._measure(str(file), self.options.batch_size)
        return ApDrop(f"{data_name(self.options.data)} val", count, self.before, (after[0], after[1]))

    def _measure(self, weights: Any, batch_size: int) -> tuple[float, float, int]:
        from engine.validation.run import validate

        options = self.options
        with tempfile.TemporaryDirectory() as folder, quiet(logging.INFO):
            report = validate(
                weights,
                options.data,
                data_root=options.data_root,
                download=options.download,
                imgsz=options.imgsz,
                batch_size=batch_size,
                device=options.device,
                square=True,
                noplots=True,
                trust=True,  # it was written a moment ago
                project=folder,
            )
        return report["coco"]["AP"], report["coco"]["AP50"], report["images"]
