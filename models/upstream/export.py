"""What engine/ uses of ultralytics to export."""

from typing import Any

from ultralytics.engine.exporter import Exporter, export_formats

from models.upstream.patches import apply

__all__ = ["Exporter", "export_formats", "onnx_calibration_reader"]


def onnx_calibration_reader(*args: Any, **kwargs: Any) -> Any:
    """Return ultralytics' reader of calibration images for ONNX; imports onnxruntime, which is an extra."""
    from ultralytics.utils.export import onnx

    return onnx.onnx_calibration_reader(*args, **kwargs)


apply()
