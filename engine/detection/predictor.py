"""Predict in a pipeline of threads with bounded queues: read → letterbox → model → non-maximum suppression."""

import time
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data.image_files.image_channels import displayable
from engine.backends.select import FEW_IMAGES, open_backend
from engine.cli.detect_flags import detect_parser
from engine.cli.option_types import CallOptions
from engine.cli.option_values import checked_values
from engine.detection.class_names import check_classes, named_classes
from engine.detection.frames import Frame
from engine.detection.result import FrameDetections
from engine.detection.sources import open_source
from engine.errors import UsageError
from engine.ops.letterbox import Letterbox, canvas_size, letterbox
from engine.ops.nms_numpy import filter_by_confidence, image_nms, passing_rows
from engine.runtime.gpu_advice import without_unusable_gpu
from engine.runtime.image_size import canvas_limit, check_reduced_decode
from engine.runtime.stage_timer import Stopwatch
from engine.runtime.threads import prefetch
from models.upstream import environment

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from engine.detection.slicing import ViewJoiner
    from engine.detection.tracking import Tracks
    from models.upstream.inference import Results

AHEAD = 4  # batches in each queue; one for streams, whose newest image counts
REPLICAS = 4  # batches in the model at a time where there are many; the threads are shared out among them
CALL_OPTIONS = tuple(CallOptions.__annotations__)  # what may differ from call to call of a loaded model


Observer = Callable[[np.ndarray, Sequence[Letterbox], Sequence[FrameDetections]], None]


@dataclass
class _Batch:
    """Hold one batch between the stages of the pipeline."""

    images: list[np.ndarray]
    frames: list[Frame]
    inputs: np.ndarray
    letterboxes: list[Letterbox]
    speed: dict[str, float]


class Predictor:
    """Detect objects in the images of a source; `engine.load` returns one whose model stays loaded.

        predictor = engine.load("best.pt")
        for result in predictor("images/", conf_thres=0.4):
            print(result.path, result.boxes.xyxy)

    Calls share the model and nothing else: an iterator that is not finished may wait while others run, in threads too.

    Args:
        options: flags of detect.py.
        weights: path of a checkpoint or exported model, official name, or a Detector.

    Attributes:
        observer: called with the inputs, letterboxes and detections of every batch, in order; None for nobody.
        source: its reader, once opened; `source.report` counts what was read and lists what was skipped.
        backend: the model, once opened.
        watch: where the time went.
    """

    def __init__(self, options: Namespace, weights: Any) -> None:
        check_reduced_decode(options)
        self.options, self.weights = options, weights
        self.observer: Observer | None = None
        self.watch = Stopwatch()
        self.source: Any = None
        self.reader: Any = None  # of whole images
        self.backend: Any = None
        self.tracks: Tracks | None = None
        self.joiner: ViewJoiner | None = None

    def open(self, source: Any) -> None:
        """Open a source, and the model where it is not loaded yet.

        Raises:
            UsageError: if the source does not exist, or a flag does not fit the model.
            CheckpointError: if the weights cannot be read.
        """
        self.tracks = None
        if self.options.track:
            from engine.detection.tracking import Tracks

            self.tracks = Tracks(self.options.track)
        self._open_source(source)
        if self.backend is None:
            few = self.source.images is not None and self.source.images <= FEW_IMAGES
            replicas = 1 if self.source.mode == "stream" or few else min(REPLICAS, environment.threads())
            self.load(self.source.images, replicas)
        check_classes(self.options.classes, self.backend.names)
        self.reader.expect(getattr(self.backend, "channels", 3))
        if self.backend.batch and self.source.bs != self.backend.batch:
            self.source.bs = self.backend.batch

    def load(self, images: int | None = None, replicas: int = 1) -> None:
        """Load the model.

        Args:
            images: how many there are to look at; None if that is not known, or many.
            replicas: batches in the model at a time.

        Raises:
            UsageError: if a flag does not fit the model.
            CheckpointError: if the weights cannot be read.
        """
        if self.options.backend in ("auto", "torch"):
            self.options.device = without_unusable_gpu(self.options.device)
        self.backend = open_backend(self.options, self.weights, images, replicas)
        self.backend.names = named_classes(self.backend.names, self.options)
        self.on_device = getattr(self.backend, "on_device", False)
        self.size = self._size()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise UsageError("a loaded model stays in its process; call load() in each process that looks at images")

    @property
    def names(self) -> dict[int, str]:
        """Class number → name, of a model that is loaded."""
        return self.backend.names  # type: ignore[no-any-return]

    def __call__(self, source: Any, **options: "Unpack[CallOptions]") -> "Iterator[Results]":
        """Detect objects in a source, with the model that is loaded.

        Args:
            source: path, folder, glob, .txt list, webcam number, address, or a list of paths; or images in memory, one
                or a list or batch of them: arrays (h, w, 3) uint8 BGR, PIL images, tensors (3, H, W) RGB, 0–1 or uint8.
            options: for this call alone; see `engine.cli.option_types.CallOptions`.

        Returns:
            An iterator of ultralytics Results, one for each image or frame, in the order of the source; nothing is
            detected before it is asked for. `result.frame` is the file and the number of the frame.

        Raises:
            UsageError: if the source does not exist, an option is no option of a call, or a value none of an option; by
                the iterator, if nothing of the source can be used.
        """
        for name in options:
            if name not in CALL_OPTIONS:
                raise UsageError(
                    f"a loaded model takes no option '{name}'; give it to load(), or one of {', '.join(CALL_OPTIONS)}"
                )
        call: Predictor = object.__new__(type(self))
        vars(call).update(vars(self))
        checked = checked_values(detect_parser(), "predictor", options) if options else {}
        call.options = Namespace(**{**vars(self.options), **checked})
        check_reduced_decode(call.options)
        call.watch = Stopwatch()
        call.open(source)
        if "imgsz" in options:
            call.size = call._size()
        return call.results()

    def results(self) -> "Iterator[Results]":
        """Yield ultralytics Results image by image, in the order of the source; then tell what was skipped."""
        with closing(self.detections()) as detections:
            for entry in detections:
                yield entry.results()
        self.source.report.tell_skipped()

    def detections(self) -> Generator[FrameDetections, None, None]:
        """Yield detections image by image, in the order of the source."""
        ahead = 1 if self.source.mode == "stream" else AHEAD
        self.reader.longer = max(self.size) if self.options.reduced_decode else None
        with closing(prefetch(self._prepared(), ahead)) as prepared:
            with closing(prefetch(self._detections(prepared), ahead)) as detections:
                for batch in detections:
                    yield from batch if self.tracks is None else map(self.tracks.follow, batch)

    def _open_source(self, source: Any) -> None:
        """Open the source, of whose images windows are looked at where --slice asks for it.

        Raises:
            UsageError: if it does not exist, or --slice does not fit another flag.
        """
        options = self.options
        self.joiner = None
        if options.slice is None:
            self.reader = open_source(source, options.batch_size, options.vid_stride, options.stretch, None)
            self.source = self.reader
            return
        from engine.detection.slicing import SlicedSource, ViewJoiner
        from engine.ops.windows import Slicing

        if options.maps or options.visualize:
            raise UsageError(
                "--maps: shows images as a whole, not in windows; leave out --slice, or cut out the part to look at"
            )
        self.reader = open_source(source, 1, options.vid_stride, options.stretch, None)
        slicing: Any = Slicing.of(options)  # --slice is given
        self.source = SlicedSource(self.reader, slicing, options.batch_size)
        self.joiner = ViewJoiner(options.iou_thres, options.max_det, options.agnostic_nms)

    def _size(self) -> tuple[int, int]:
        """Return height and width of the canvas at most."""
        if self.backend.size:
            return self.backend.size  # type: ignore[no-any-return]
        return canvas_limit(self.options.imgsz, self.backend.imgsz, self.backend.stride)

    def _prepared(self) -> Iterator[_Batch]:
        """Read and letterbox images."""
        reader = iter(self.source)
        while True:
            start = time.perf_counter()
            entry = next(reader, None)
            if entry is None:
                return
            paths, images, frames = entry
            read = time.perf_counter() - start
            self.watch.add("read", read, len(images))
            size = canvas_size(images, self.size, self.backend.stride, tight=self.backend.size is None)
            inputs, letterboxes = letterbox(images, size, self.on_device)
            prepared = time.perf_counter() - start - read
            self.watch.add("prepare", prepared, len(images))
            frames = [
                frame if isinstance(frame, Frame) else Frame(path) for path, frame in zip(paths, frames, strict=True)
            ]
            yield _Batch(images, frames, inputs, letterboxes, {"preprocess": 1000 * prepared / len(images)})

    def _detections(self, batches: Iterator[_Batch]) -> Iterator[list[FrameDetections]]:
        """Run the model and non-maximum suppression."""
        for batch, output in self._outputs(batches):
            start, count = time.perf_counter(), len(batch.images)
            detections = self._boxes(output, batch)
            each = self.watch.add("suppress", time.perf_counter() - start, count)
            for entry in detections:
                entry.speed["postprocess"] = each
            if self.observer is not None:
                with self.watch.measure("maps", count):
                    self.observer(batch.inputs, batch.letterboxes, detections)
            yield detections if self.joiner is None else self.joiner.take(detections)

    def _outputs(self, batches: Iterator[_Batch]) -> Iterator[tuple[_Batch, Any]]:
        """Run the model on as many batches at a time as it has replicas, one more waiting; keep their order."""
        replicas = self.backend.replicas
        with ThreadPoolExecutor(replicas) as pool:
            running: deque[tuple[_Batch, Future[Any]]] = deque()
            for batch in batches:
                running.append((batch, pool.submit(self._output, batch)))
                if len(running) > replicas:
                    first, output = running.popleft()
                    yield first, output.result()
            for batch, output in running:
                yield batch, output.result()

    def _output(self, batch: _Batch) -> Any:
        start = time.perf_counter()
        output = self._run(batch.inputs)
        batch.speed["inference"] = self.watch.add("model", time.perf_counter() - start, len(batch.images))
        return output

    def _run(self, inputs: np.ndarray) -> np.ndarray | list[np.ndarray]:
        """Run the model on as many images as it takes; return its output, or the rows of each image that count."""
        if self.on_device:
            return self.backend.call_filtered(inputs, self.options.conf_thres)  # type: ignore[no-any-return]
        missing = (self.backend.batch or len(inputs)) - len(inputs)
        if missing > 0:
            filled = np.concatenate([inputs, np.zeros((missing, *inputs.shape[1:]), inputs.dtype)])
            return self.backend(filled)[: len(inputs)]  # type: ignore[no-any-return]
        return self.backend(inputs)  # type: ignore[no-any-return]

    def _boxes(self, output: np.ndarray | list[np.ndarray], batch: _Batch) -> list[FrameDetections]:
        options = self.options
        if self.backend.finished:
            rows_by_image = [
                passing_rows(rows, options.conf_thres, options.max_det, options.classes) for rows in output
            ]
        else:
            rows_by_image = [
                image_nms(
                    rows, options.conf_thres, options.iou_thres, options.max_det, options.classes, options.agnostic_nms
                )
                for rows in (output if isinstance(output, list) else filter_by_confidence(output, options.conf_thres))
            ]
        detections = []
        for rows, image, frame, letterboxed in zip(
            rows_by_image, batch.images, batch.frames, batch.letterboxes, strict=True
        ):
            classes = rows[:, 5].astype(np.int64)
            boxes, shown = letterboxed.boxes_to_image(rows[:, :4], frame.size), displayable(image)
            detections.append(
                FrameDetections(shown, frame, boxes, rows[:, 4], classes, self.backend.names, dict(batch.speed))
            )
        return detections
