"""Draw what was read from a detector for one image: gates, class-activation map, or feature maps, as one sheet."""

from dataclasses import dataclass

import cv2
import numpy as np

from engine.detection.annotate import draw
from engine.detection.result import FrameDetections
from engine.inspection import attended_maps, panels
from engine.inspection.gate_values import Gate
from engine.inspection.gates import MechanismGates
from engine.ops.letterbox import Letterbox

CHANNELS = (4, 8)  # rows and columns of feature maps, as YOLOv5 draws them
MARK = (255, 255, 255)


@dataclass
class ImageView:
    """Name an image of a batch, its place on the canvas, and what was detected.

    Attributes:
        number: in the batch.
        detections: the image and its boxes.
        letterbox: where it lies on the canvas.
        canvas: height and width of the canvas.
    """

    number: int
    detections: FrameDetections
    letterbox: Letterbox
    canvas: tuple[int, int]

    def focus(self) -> tuple[float, float]:
        """Return a point of the image, in parts of the canvas: the middle of the best box, else of the image."""
        box = self.letterbox
        x, y = box.width / 2, box.height / 2
        if len(self.detections):
            left, top, right, bottom = (float(value) for value in self.detections.boxes[0])
            x, y = (left + right) / 2, (top + bottom) / 2
        return (x * box.scale_x + box.left) / self.canvas[1], (y * box.scale_y + box.top) / self.canvas[0]

    def over(self, values: np.ndarray, top: float | None = None) -> np.ndarray:
        """Draw a map of the canvas over the image."""
        return panels.over_image(values, self.detections.image, self.letterbox, self.canvas, top)

    def boxes(self) -> np.ndarray:
        """Draw the image with its boxes, as wide as a panel."""
        image = self.detections.image
        drawn = draw(self.detections, max(2, round(image.shape[1] / 200)))
        return cv2.resize(drawn, panels.image_size(image), interpolation=cv2.INTER_AREA)


def gate_sheet(view: ImageView, mechanisms: list[MechanismGates]) -> np.ndarray:
    """Draw the gates of all mechanisms for one image, (h, w, 3) uint8 BGR."""
    rows = [panels.sheet_row("detections", view.detections.summary(), [view.boxes()])]
    for one in mechanisms:
        title = str(one.place)
        if one.gamma is not None:
            acts = "the gates do not act yet" if one.gamma == 0 else "of the change is let through"
            title += f", started as the identity: γ = {one.gamma:.3g}, {acts}"
        drawn = [panels.captioned(_gate(view, one, gate), gate.title) for gate in one.gates]
        rows.append(panels.sheet_row(title, one.reason or one.place.formula, drawn))
    return panels.stacked(rows)


def cam_sheet(view: ImageView, values: np.ndarray, layers: list[str]) -> np.ndarray:
    """Draw a class-activation map (H, W) of the canvas beside the boxes that it is about."""
    about = view.detections.summary() if len(view.detections) else "no box, so there is nothing to explain"
    drawn = [
        panels.captioned(view.boxes(), "detections"),
        panels.captioned(view.over(values, 1.0), "what speaks for them"),
    ]
    row = panels.sheet_row(f"class-activation map at layers {', '.join(layers)}", about, drawn)
    return panels.stacked([row])


def feature_sheet(view: ImageView, features: list[tuple[str, np.ndarray]]) -> np.ndarray:
    """Draw the first channels of feature maps (C, h, w), each channel scaled by itself, as YOLOv5 does."""
    rows = [panels.sheet_row("detections", view.detections.summary(), [view.boxes()])]
    for name, maps in features:
        tall, wide = CHANNELS
        shown = maps[: tall * wide]
        side = max(48, 2 * panels.WIDTH // wide)
        tiles = [np.full((side, side, 3), panels.GROUND, np.uint8)] * (tall * wide)
        for number, one in enumerate(shown):
            spread = float(one.max() - one.min())
            scaled = ((one - one.min()) / spread if spread > 0 else one * 0) * 255
            coloured = cv2.applyColorMap(scaled.astype(np.uint8), cv2.COLORMAP_VIRIDIS)
            tiles[number] = cv2.resize(coloured, (side, side), interpolation=cv2.INTER_NEAREST)
        used = -(-len(shown) // wide)
        grid = np.concatenate([np.concatenate(tiles[row * wide : (row + 1) * wide], 1) for row in range(used)])
        size = f"{maps.shape[0]} channels of {maps.shape[1]} × {maps.shape[2]}"
        rows.append(panels.sheet_row(f"features of layer {name}", f"{size}, the first {len(shown)} shown", [grid]))
    return panels.stacked(rows)


def _gate(view: ImageView, mechanism: MechanismGates, gate: Gate) -> np.ndarray:
    """Draw one gate for one image."""
    if gate.kind in attended_maps.KINDS:
        return _attended(view, mechanism, gate)
    values = gate.values[min(view.number, len(gate.values) - 1)].cpu().numpy()
    if gate.kind == "channels":
        return panels.bars(values)
    if gate.kind == "branches":
        return panels.branch_bars(values, _branch_names(mechanism, len(values)))
    if gate.kind in ("positions", "elements"):
        top = max(1.0, float(values.max())) if gate.kind == "elements" or values.max() > 0.5 else None
        return view.over(values.mean(0), top)
    if gate.kind == "rows":
        return view.over(np.repeat(values.mean(0)[:, None], 2, 1), max(1.0, float(values.max())))
    if gate.kind == "columns":
        return view.over(np.repeat(values.mean(0)[None], 2, 0), max(1.0, float(values.max())))
    if gate.kind == "strips":
        rows, columns = np.split(values.mean(0), [mechanism.input_shape[2]])
        return view.over(np.outer(rows, columns), 1.0)
    return panels.matrix(values if values.ndim == 2 else values.reshape(1, -1))


def _branch_names(mechanism: MechanismGates, count: int) -> list[str]:
    """Name the branches of a selective kernel by their kernels, where the mechanism has them."""
    sizes = mechanism.place.kernels
    return [f"kernel {size}" for size in sizes] if len(sizes) == count else [f"branch {k + 1}" for k in range(count)]


def _position(view: ImageView, height: int, width: int) -> tuple[int, int]:
    x, y = view.focus()
    return min(int(y * height), height - 1), min(int(x * width), width - 1)


def _marked(view: ImageView, values: np.ndarray) -> np.ndarray:
    """Draw a map over the image, and a ring at the position that it is of."""
    drawn = view.over(values)
    x, y = view.focus()
    box = view.letterbox
    at_x = (x * view.canvas[1] - box.left) / (box.width * box.scale_x)
    at_y = (y * view.canvas[0] - box.top) / (box.height * box.scale_y)
    cv2.circle(drawn, (round(at_x * drawn.shape[1]), round(at_y * drawn.shape[0])), 6, MARK, 2, cv2.LINE_AA)
    return drawn


def _attended(view: ImageView, mechanism: MechanismGates, gate: Gate) -> np.ndarray:
    """Draw what the position in the middle of the best box attends to."""
    shape = mechanism.input_shape
    row, column = _position(view, shape[2], shape[3])
    values = attended_maps.attended_map(gate, shape, view.number, row, column)
    if values is not None:
        return _marked(view, values)
    sheet = np.full((panels.BARS, panels.WIDTH, 3), panels.GROUND, np.uint8)
    panels.write_line(sheet, "where its keys lie is not known", 4, panels.LINE)
    return sheet
