"""Write a model in one of the formats that ultralytics exports."""

import json
import logging
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from attention.fuse import remove_closed
from engine.backends.base import TRAINED
from engine.runtime.image_size import usual_size
from engine.runtime.log import LOGGER, quiet
from models.upstream import patches
from models.upstream.export import Exporter, export_formats


def write_format(
    detector: Any,
    name: str,
    target: Path,
    calibration: Any = None,
    quantizer: Callable[..., str] | None = None,
    *,
    imgsz: int,
    device: str = "cpu",
    **settings: Any,
) -> Path:
    """Write a model in one format; the result is not verified.

    Args:
        detector: the model; it is not changed.
        name: of the format, as ultralytics calls it.
        target: path of the result without its ending.
        calibration: loader of images, for 8 bits.
        quantizer: takes an ONNX file from fp32 to 8 bits, in place of ultralytics' own way.
        imgsz: pixels of a side.
        device: where the model is traced.
        settings: of ultralytics' exporter; those that a format does not take are left out.

    Returns:
        The file or folder.
    """
    model = deepcopy(detector)
    for line in remove_closed(model.model, "model"):
        LOGGER.info(line)
    model.pt_path = str(target.with_name(f"{target.name}.pt"))
    overrides = {"format": name, "imgsz": imgsz, "device": device, "mode": "export", **_taken(name, **settings)}
    with quiet(logging.WARNING), warnings.catch_warnings():  # it has a page to say about every file
        warnings.simplefilter("ignore")  # of functions that it uses and that PyTorch will drop one day
        return Path(str(_Exporter(calibration, quantizer, overrides)(model=model)))


# What a file's output holds, for those who read it without this program.
OUTPUT = "(batch, 4 + classes, boxes): centre x, centre y, width, height in input pixels, then a score for each class"
FINISHED_OUTPUT = "(batch, boxes, 6): left, top, right, bottom in input pixels, score, class; rows of score 0 are empty"


class _Exporter(Exporter):
    """Export by ultralytics, with the model's YAML in every file's metadata.

    Args:
        calibration: loader of images, for 8 bits; stock would look for a data set of its own.
        quantizer: takes an ONNX file from fp32 to 8 bits; None for ultralytics' own way.
        overrides: ultralytics' settings.
    """

    def __init__(self, calibration: Any, quantizer: Callable[..., str] | None, overrides: dict[str, Any]) -> None:
        super().__init__(overrides=overrides)
        self.calibration, self.quantizer = calibration, quantizer

    def export_onnx(self, *args: Any, **kwargs: Any) -> Any:
        """Write ONNX; in 8 bits with a scale for every channel, and with the head in fp32."""
        if self.quantizer is None:
            return super().export_onnx(*args, **kwargs)
        with patches.quantized_by(self.quantizer):
            return super().export_onnx(*args, **kwargs)

    def get_int8_calibration_dataloader(self, prefix: str = "") -> Any:
        """Return the images whose numbers set the ranges."""
        return self.calibration

    @property
    def metadata(self) -> dict[str, Any]:
        """Return what is written into a file beside the model."""
        return self._metadata

    @metadata.setter
    def metadata(self, content: dict[str, Any]) -> None:
        if "names" not in content:
            self._metadata = content
            return
        finished = bool(content.get("end2end")) or bool(content.get("args", {}).get("nms"))
        self._metadata = {
            **{key: value for key, value in content.items() if key not in ("docs", "version")},
            "description": f"yolo-attention {self.model.spec.name}",
            "author": "yolo-attention",
            "license": "AGPL-3.0",
            "exporter": f"ultralytics {content.get('version', '')}",
            "output": FINISHED_OUTPUT if finished else OUTPUT,
            "spec": json.dumps(self.model.spec.yaml),
            TRAINED: usual_size(self.model.trained_imgsz, float(max(self.model.stride))),
        }


def _taken(name: str, **wanted: Any) -> dict[str, Any]:
    """Return the options that a format takes; ultralytics refuses others even where they say nothing."""
    table = export_formats()
    taken = dict(zip(table["Argument"], table["Arguments"], strict=True))[name]
    always = {"conf", "iou", "max_det"}  # settings of every task, not of formats
    return {key: value for key, value in wanted.items() if key in always or (key in taken and value is not None)}
