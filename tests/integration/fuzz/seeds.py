"""Valid files to begin with: labels in three formats, data YAMLs, and images."""

import io
from functools import cache
from typing import Any

import cv2
import numpy as np
from PIL import Image


def data_trees() -> tuple[Any, ...]:
    """Data YAMLs of each format."""
    names = {"names": {0: "cat", 1: "dog"}, "nc": 2}
    splits = {"train": "images", "val": ["images", "images/a.png"], "test": "images/*.png"}
    coco_like = {"train": {"images": "images", "annotations": "x.json"}, "format": "coco"}
    return {"path": ".", **splits, **names}, {**coco_like, **names}, {"train": ".", "format": "voc", "corners": "plain"}


def labels() -> list[str]:
    """YOLO text."""
    rows = ["0 0.5 0.5 0.2 0.2", "1 0.25 0.75 0.5 0.5", "2 0.1 0.1 0.1 0.1", "1 0.1 0.1 0.9 0.1 0.5 0.9 0.2 0.5"]
    return ["\n".join(rows[:count]) for count in (1, 2, 4)]


XML = """<annotation><size><width>100</width><height>80</height><depth>3</depth></size>
<object><name>cat</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>
<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>
<object><name>dog</name><part><name>head</name></part><difficult>1</difficult>
<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>100</xmax><ymax>80</ymax></bndbox></object></annotation>"""


def coco_tree() -> dict[str, Any]:
    """A COCO JSON with every form of box."""
    runs = {"size": [80, 100], "counts": "52203"}
    annotations = [
        {"id": 1, "image_id": 3, "category_id": 7, "bbox": [1, 2, 30.5, 40], "area": 1220, "iscrowd": 0},
        {"id": 2, "image_id": 3, "category_id": 90, "segmentation": [[1, 1, 50, 1, 50, 60]], "difficult": 1},
        {"id": 3, "image_id": 4, "category_id": 7, "segmentation": runs, "iscrowd": 1, "keypoints": [1, 2, 3]},
        {"id": 4, "image_id": 4, "category_id": 7, "segmentation": {"size": [80, 100], "counts": [5, 10, 7985]}},
    ]
    images = [{"id": number, "file_name": f"{number}.jpg", "width": 100, "height": 80} for number in (3, 4)]
    categories = [{"id": 7, "name": "cat"}, {"id": 90, "name": "dog"}]
    return {"info": {"year": 2026}, "images": images, "annotations": annotations, "categories": categories}


@cache
def images_as_bytes() -> tuple[bytes, ...]:
    """Small images in every format and colour mode that people train on."""
    draw = np.random.default_rng(0)
    rgb = cv2.GaussianBlur(draw.integers(0, 256, (32, 40, 3), dtype=np.uint8), (0, 0), 2)
    found = []
    for suffix in (".jpg", ".png", ".bmp", ".webp", ".tif", ".jp2"):
        found += [cv2.imencode(suffix, shown)[1].tobytes() for shown in (rgb, rgb[..., 0])]
    found += [cv2.imencode(".png", rgb.astype(np.uint16) * 257)[1].tobytes()]
    plain = Image.fromarray(rgb)
    exif = Image.Exif()
    exif[0x0112] = 6
    for form, image, options in (
        ("JPEG", plain, {"exif": exif}),
        ("JPEG", plain, {"progressive": True}),
        ("JPEG", plain.convert("CMYK"), {}),
        ("PNG", plain.convert("RGBA"), {"exif": exif}),
        ("PNG", plain.convert("P"), {}),
        ("PPM", plain, {}),
        ("GIF", plain.convert("P"), {"save_all": True, "append_images": [plain.rotate(90).convert("P")]}),
        ("TIFF", plain, {"compression": "tiff_lzw"}),
        ("MPO", plain, {"save_all": True, "append_images": [plain.rotate(180)]}),
    ):
        stream = io.BytesIO()
        image.save(stream, form, **options)
        found.append(stream.getvalue())
    return tuple(found)
