"""Validate by ultralytics' validator over our data sets, and keep every box for the numbers of `metrics`."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.datasets.loader import make_loader
from engine.datasets.record_dataset import NUMBER, RecordDataset
from engine.datasets.sliced_dataset import SlicedDataset, sliced
from engine.errors import UsageError
from engine.ops.nms_torch import non_max_suppression
from engine.ops.windows import Slicing
from engine.runtime.devices import memory_format
from engine.runtime.threads import BackgroundWorker
from engine.validation.joined_views import JoinedViews
from engine.validation.truths import collect_truths
from models.load import load_model
from models.upstream import patches
from models.upstream.validation import ConfusionMatrix, DetectionValidator

patches.connect(load_model, non_max_suppression)

FITNESS = {"metrics/mAP50(B)": 0.1, "metrics/mAP50-95(B)": 0.9}  # YOLOv5's; ultralytics looks at mAP50-95 alone

MAX_PENDING = 2  # batches of which the boxes may still have to be selected and matched


class _UncountedMatrix(ConfusionMatrix):
    """Stands where ultralytics counts boxes from the lowest confidence on; `Validator.report` counts as YOLOv5 does."""

    def process_batch(self, *args: Any, **kwargs: Any) -> None:
        """Count nothing."""


def check_channels(model: int, data: int) -> None:
    """Refuse to measure a model on images of another number of channels.

    Raises:
        UsageError: if the two numbers differ.
    """
    if model != data:
        raise UsageError(
            f"the model takes images of {model} channels, those of --data have {data}; write channels: {model} into "
            "the data YAML if that is what they have, or train on this data first"
        )


class Validator(DetectionValidator):
    """Validate a detector, during training or on its own.

    Three batches are under way at a time: one is read, one is in the model, and of one the boxes are selected and
    matched.

    Args:
        info: data dictionary from `engine.datasets.record_dataset.describe`; needed for validation on its own.
        keep_boxes: keep detections and truth in pixels for `report_inputs`.
        per_class: print a row for each class.
    """

    device: Any
    names: Any  # class number → name
    speed: dict[str, float]  # ms an image by stage

    def __init__(self, *args: Any, info: dict | None = None, keep_boxes: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.info = info
        self.keep_boxes = keep_boxes
        self.dtype: torch.dtype | None = None  # what training's forward pass computes in, on GPUs; None: full precision
        self.stretch = self.reduced_decode = False  # how images are read, see `RecordDataset`
        self.slicing: Slicing | None = None  # how large images are cut into windows
        self.workers = 0  # loader processes; ultralytics sets its own setting to 0 on CPUs
        self.boxes: list[np.ndarray] = []  # (n, 7): record, class, x, y, width, height in pixels, score
        self.background = BackgroundWorker(2 * MAX_PENDING)
        self.selecting = 0.0  # seconds

    def __call__(self, trainer: Any = None, model: Any = None, **kwargs: Any) -> Any:
        """Validate, see BaseValidator; a data set of ours takes the place of the YAML that stock would read."""
        with patches.validating_in(self.dtype):
            if trainer is not None:
                return super().__call__(trainer, model, **kwargs)
            with patches.dataset_described_by(self.info or {}):
                return super().__call__(trainer, model, **kwargs)

    def build_dataset(self, img_path: Any, mode: str = "val", batch: int | None = None) -> RecordDataset:
        """Build the data set of one split.

        Args:
            img_path: its `data.records.Split`.
            mode: kept for the signature.
            batch: images a batch, for rectangular batches.

        Raises:
            UsageError: if an exported model takes images of one shape only that is no square.
        """
        sizes = self.args.imgsz if isinstance(self.args.imgsz, list | tuple) else [self.args.imgsz]
        if sizes[0] != sizes[-1]:
            raise UsageError(
                f"the exported model takes {sizes[0]}×{sizes[-1]} images only; to measure it write one with --dynamic"
            )
        return sliced(
            self.slicing,
            img_path.records,
            stretch=self.stretch,
            reduced_decode=self.reduced_decode,
            data=self.data,
            imgsz=sizes[0],
            augment=False,
            hyp=self.args,
            rect=bool(self.args.rect),  # off where an exported model takes one shape only
            batch_size=batch,
            stride=int(max(float(self.stride), 32)),
            pad=0.5,
            single_cls=bool(self.args.single_cls),
            task="detect",
        )

    def get_dataloader(self, dataset_path: Any, batch_size: int) -> Any:
        """Build the loader of one split."""
        dataset = self.build_dataset(dataset_path, batch=batch_size)
        if self.names and len(self.names) < self.data["nc"]:
            dataset.update_labels(list(range(len(self.names))))
        return make_loader(dataset, batch_size, self.workers, None, self.device)

    def preprocess(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Move a batch to the device, as 0–1, in the memory format that convolutions like.

        In half precision where the model is; during training autocast converts by itself.
        """
        waiting = self.device.type in ("cpu", "mps")
        for key, value in batch.items():
            if isinstance(value, torch.Tensor):
                batch[key] = value.to(self.device, non_blocking=not waiting)
        half = self.args.quantize == 16 and not self.training
        image = (batch["img"].half() if half else batch["img"].float()) / 255
        batch["img"] = image.contiguous(memory_format=memory_format(image.device))
        return batch

    def init_metrics(self, model: torch.nn.Module) -> None:
        """Reset the metrics and the boxes of an earlier validation."""
        super().init_metrics(model)
        if not self.training:
            check_channels(getattr(model, "channels", self.data["channels"]), self.data["channels"])
        self.boxes, self.selecting = [], 0.0
        self._report: Any = None
        self.joined: JoinedViews | None = None
        if isinstance(self.dataloader.dataset, SlicedDataset):
            args = self.args
            agnostic = bool(args.single_cls or args.agnostic_nms)
            self.joined = JoinedViews(self.dataloader.dataset, args.iou, args.max_det, agnostic)
        self.confusion_matrix = _UncountedMatrix(names=model.names)

    def postprocess(self, preds: Any) -> Any:
        """Select boxes in the background; return a future of them."""
        return self.background.submit(lambda: self._select(preds))

    @torch.inference_mode()
    def _select(self, preds: Any) -> list[dict[str, torch.Tensor]]:
        start = time.perf_counter()
        selected = super().postprocess(preds)
        self.selecting += time.perf_counter() - start
        return selected  # type: ignore[no-any-return]

    def update_metrics(self, preds: Any, batch: dict[str, Any]) -> None:
        """Take a batch into account when its boxes are selected, and keep them where they are wanted."""
        self.background.submit(lambda: self._take(preds.result(), batch))

    @torch.inference_mode()
    def _take(self, preds: list[dict[str, torch.Tensor]], batch: dict[str, Any]) -> None:
        if self.joined is None:
            self._count(preds, batch)
            return
        for position, pred in enumerate(preds):
            view = int(batch[NUMBER][position])
            whole = self.joined.take(self.scale_preds(pred, self._prepare_batch(position, batch)), view)
            if whole is not None:
                own = {key: value.to(self.device) for key, value in whole.items()}
                self._count([own], self.joined.image_batch(view, self.device))

    def _count(self, preds: list[dict[str, torch.Tensor]], batch: dict[str, Any]) -> None:
        if self.keep_boxes:
            for position, pred in enumerate(preds):
                self._keep(pred, self._prepare_batch(position, batch), int(batch[NUMBER][position]))
        super().update_metrics(preds, batch)

    def plot_val_samples(self, batch: dict[str, Any], ni: int) -> None:
        """Draw the truth of a batch, when it is matched: drawing changes batch and boxes."""
        self.background.finish()
        super().plot_val_samples(batch, ni)

    def plot_predictions(self, batch: dict[str, Any], preds: Any, ni: int, max_det: int | None = None) -> None:
        """Draw the boxes of a batch; a space parts name and confidence, which ultralytics writes as one word."""
        names = self.names
        self.names = {number: f"{name} " for number, name in names.items()}
        try:
            super().plot_predictions(batch, preds.result(), ni, max_det)
        finally:
            self.names = names

    def gather_stats(self) -> None:
        """Wait for the last batches."""
        self.background.finish()
        super().gather_stats()

    def finalize_metrics(self) -> None:
        """Give the time of selecting boxes, which ultralytics' loop has not seen, and draw the confusion matrix."""
        dataset = self.dataloader.dataset
        views = len(dataset) / len(dataset.images)  # which the loop has taken for images
        self.speed = {stage: ms * views for stage, ms in self.speed.items()}
        self.speed["postprocess"] = self.selecting / len(dataset.images) * 1e3
        plots, self.args.plots = self.args.plots, False
        super().finalize_metrics()
        self.args.plots = plots
        if plots and self.keep_boxes:
            self._draw_confusion()

    def _draw_confusion(self) -> None:
        """Draw the matrix that metrics.json holds."""
        from metrics.confusion_plot import plot_confusion

        report = self.report()
        self.confusion_matrix.matrix = report.confusion.astype(float)
        for normalized, name in ((True, "confusion_matrix_normalized.png"), (False, "confusion_matrix.png")):
            path = self.save_dir / name
            plot_confusion(report.confusion, report.matches.names, path, report.confidence, normalized=normalized)
            self.on_plot(path)

    def report(self, evaluator: str = "table") -> Any:
        """Return every number of the last validation, computed once.

        Args:
            evaluator: who computes COCO's numbers, see `metrics.evaluate`.
        """
        from metrics import evaluate

        if self._report is None or evaluator != self._report[0]:
            self._report = evaluator, evaluate(*self.report_inputs(), evaluator)
        return self._report[1]

    def _keep(self, pred: dict[str, torch.Tensor], image: dict[str, Any], number: int) -> None:
        scaled = self.scale_preds(pred, image)
        corners = scaled["bboxes"].cpu().double().numpy()  # not every GPU has float64
        rows = np.empty((len(corners), 7))
        rows[:, 0] = number
        rows[:, 1] = 0 if self.args.single_cls else scaled["cls"].cpu().numpy()
        rows[:, 2:4] = corners[:, :2]
        rows[:, 4:6] = corners[:, 2:] - corners[:, :2]
        rows[:, 6] = scaled["conf"].cpu().double().numpy()
        self.boxes.append(rows)

    def get_stats(self) -> dict[str, Any]:
        """Compute the metrics; fitness weighs mAP50 and mAP50-95 as YOLOv5 does."""
        names = self.metrics.names  # matplotlib leaves out of a legend what begins with an underscore
        self.metrics.names = {k: f" {name}" if str(name).startswith("_") else name for k, name in names.items()}
        stats = super().get_stats()
        self.metrics.names = names
        stats["fitness"] = float(sum(weight * stats[key] for key, weight in FITNESS.items()))
        return stats

    def report_inputs(self) -> tuple[Any, Any]:
        """Return truth and detections of the last validation as `metrics` takes them, difficult objects included."""
        from metrics import Detections

        truths = collect_truths(self.dataloader.dataset.images, self.names, bool(self.args.single_cls))
        rows = np.concatenate(self.boxes) if self.boxes else np.zeros((0, 7))
        rows[:, 4:6] = rows[:, 4:6].clip(min=0)
        detections = Detections(rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64), rows[:, 2:6], rows[:, 6])
        return truths, detections

    def write_json(self, path: Path, category_ids: dict[int, int]) -> int:
        """Write the boxes of the last validation as COCO results.

        Args:
            path: the file.
            category_ids: class number → COCO's id; empty numbers classes from 1.

        Returns:
            How many boxes were written.
        """
        records = self.dataloader.dataset.images
        rows = [
            {
                "image_id": int(records[int(row[0])].image_id),
                "file_name": records[int(row[0])].path.name,
                "category_id": category_ids.get(int(row[1]), int(row[1]) + 1),
                "bbox": [round(value, 3) for value in row[2:6].tolist()],
                "score": round(float(row[6]), 5),
            }
            for row in (np.concatenate(self.boxes) if self.boxes else np.zeros((0, 7)))
        ]
        path.write_text(json.dumps(rows), encoding="utf-8")
        return len(rows)
